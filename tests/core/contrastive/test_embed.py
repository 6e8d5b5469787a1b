"""Embeddings of sounds of any length, along time, from files, and the command."""

import json
import os
import shutil

import numpy as np
import pytest
import torch

from core.audio.clip import Clip, read
from core.audio.scene_mel import scene_log_mel
from core.cli import main
from core.contrastive import embed, probe
from core.contrastive.embed import load
from core.errors import RavelError


@pytest.fixture(scope="module")
def model(encoder):
    return load(encoder)


@pytest.fixture(scope="module")
def clip(examples):
    return read(examples / "violin-1.flac")


def by_hand(model, wave):
    """The mean over patches, cut out of the whole log-mel."""
    log_mel = scene_log_mel(wave)
    starts = probe.starts_of(len(log_mel), 96)
    with torch.no_grad():
        return model.encoder(torch.stack([log_mel[s : s + 96] for s in starts])).mean(dim=0)


def test_an_encoder_has_a_name_a_size_and_its_input(model, encoder):
    assert (model.name, model.size, model.sample_rate) == (encoder.name, 16, 16_000)
    assert (model.front_end.bands, model.front_end.hop, model.patch) == (64, 160, 96)


def test_an_embedding_is_the_mean_over_patches(model, clip):
    found = model.embed(clip)
    assert found.shape == (16,) and found.dtype == torch.float32
    assert torch.allclose(found, by_hand(model, clip.wave), atol=1e-5)
    for same in (clip.wave, torch.from_numpy(clip.wave), clip.wave.astype(np.float64)):
        assert torch.equal(model.embed(same), found)


def test_a_long_sound_is_embedded_piece_by_piece_to_the_same_result(model, monkeypatch):
    wave = np.random.default_rng(0).uniform(-1, 1, 12 * 16_000 + 123).astype(np.float32)
    whole = model.embed(wave)
    assert torch.allclose(whole, by_hand(model, wave), atol=1e-5)
    longest = []

    def watched(piece):
        longest.append(len(piece))
        return scene_log_mel(piece)

    monkeypatch.setattr(embed, "BATCH", 3)
    monkeypatch.setattr(embed, "scene_log_mel", watched)
    assert torch.allclose(model.embed(wave), whole, atol=1e-5)
    assert max(longest) <= 3 * 96 * 160 + 512


@pytest.mark.parametrize("samples", [1, 100, 8_000, 15_712, 15_713])
def test_short_sounds_are_followed_by_silence(model, samples):
    wave = np.random.default_rng(0).uniform(-1, 1, samples).astype(np.float32)
    padded = np.pad(wave, (0, max(0, 15_712 - samples)))
    assert torch.allclose(model.embed(wave), model.embed(padded), atol=1e-5)
    assert model.embed(wave).isfinite().all()


def test_a_timeline_is_of_the_patches_around_its_times(model, clip):
    h, times = model.timeline(clip, hop_seconds=0.25)
    assert h.shape == (len(times), 16)
    assert torch.allclose(times.diff(), torch.tensor(0.25))
    assert float(times[0]) == pytest.approx(15_712 / 2 / 16_000)
    assert times[-1] <= clip.seconds - float(times[0]) + 1e-6
    for row in (0, 3, len(times) - 1):
        middle = round(float(times[row]) * 16_000)
        patch = clip.wave[middle - 7_856 : middle + 7_856]
        assert torch.allclose(model.embed(patch), h[row], atol=1e-5)
    one = model.timeline(clip.wave[:1_000])
    assert one.h.shape == (1, 16)


def test_many_sounds_are_those_one_by_one(model, clip, examples):
    other = read(examples / "trumpet-1.flac")
    many = model.embed_many([clip, other])
    assert torch.equal(many, torch.stack([model.embed(clip), model.embed(other)]))


def test_what_is_no_sound_is_refused(model):
    for wave in (np.zeros((2, 100)), np.zeros(0)):
        with pytest.raises(RavelError, match="must be mono"):
            model.embed(wave)
    with pytest.raises(RavelError, match="not numbers"):
        model.embed(np.array([0.0, np.nan]))
    for hop in (0.0, -1.0, 0.001, float("inf"), float("nan")):
        with pytest.raises(RavelError, match="hop of"):
            model.timeline(np.zeros(16_000), hop)


@pytest.fixture
def copied(encoder, tmp_path):
    return shutil.copytree(encoder, tmp_path / "copied")


def test_a_checkpoint_of_another_front_end_is_refused(copied):
    config = json.loads((copied / "config.json").read_text())
    config["front_end"]["sample_rate"] = 32_000
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(RavelError, match="sample_rate should be 16000"):
        load(copied)


def test_a_checkpoint_of_something_else_or_a_damaged_one_is_refused(copied, untrained):
    with pytest.raises(RavelError, match="is for dsae, not for embeddings"):
        load(untrained)
    config = json.loads((copied / "config.json").read_text())
    config["model"]["width"] = 12
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(RavelError, match=r"do not fit its config\.json"):
        load(copied)


def test_the_command_writes_names_and_embeddings(encoder, model, examples, tmp_path, capsys):
    files = [str(examples / f"{name}.flac") for name in ("violin-1", "trumpet-1")]
    out = tmp_path / "found.npz"
    arguments = ["embed", *files, files[0], "--checkpoint", str(encoder), "--out", str(out)]
    assert main(arguments) == 0
    with np.load(out) as found:
        assert set(found.files) == {"names", "h"}
        assert found["names"].tolist() == files
        assert np.allclose(found["h"], model.embed_many(map(read, files)), atol=1e-5)
    assert main([*arguments, "--timeline", "--hop", "0.5"]) == 0
    with np.load(out) as found:
        h, times = found[f"{files[0]}/h"], found[f"{files[0]}/times"]
        assert len(h) == len(times) and np.allclose(np.diff(times), 0.5)
    assert f"wrote {out}" in capsys.readouterr().out
    assert os.listdir(tmp_path) == ["found.npz"]


MISTAKES = [
    (["TEXT", "--checkpoint", "MODEL", "--out", "OUT"], "notes.wav"),
    (["missing.wav", "--checkpoint", "MODEL", "--out", "OUT"], "does not exist"),
    (["VIOLIN", "--checkpoint", "nope", "--out", "OUT"], "no checkpoint"),
    (["VIOLIN", "--checkpoint", "OTHER", "--out", "OUT"], "not for embeddings"),
    (["VIOLIN", "--checkpoint", "MODEL", "--out", "no/such/o.npz"], "no/such"),
    (["VIOLIN", "--checkpoint", "MODEL", "--timeline", "--hop", "0", "--out", "OUT"], "--hop"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=lambda v: v if v is str else None)
def test_a_mistake_is_one_sentence(
    arguments, words, examples, encoder, untrained, tmp_path, capsys, monkeypatch
):
    (tmp_path / "notes.wav").write_text("not a sound")
    places = {
        "TEXT": tmp_path / "notes.wav",
        "VIOLIN": examples / "violin-1.flac",
        "MODEL": encoder,
        "OTHER": untrained,
        "OUT": tmp_path / "out.npz",
    }
    monkeypatch.chdir(tmp_path)
    assert main(["embed", *(str(places.get(argument, argument)) for argument in arguments)]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said and "\n" not in said
    assert not (tmp_path / "out.npz").exists()


def test_a_clip_is_embedded_from_the_features_of_training(model, trained, scenes):
    """What reports score, from the store's log-mels in half precision, is what users get."""
    from core.contrastive import views
    from core.data.store import FeatureStore

    store = FeatureStore.open(scenes)
    log_mels = torch.from_numpy(np.array(views.mixtures(store, progress=False)[:, 0]))
    scored = probe.embed_all(model.encoder, log_mels, torch.from_numpy(views.frames_of(store)))
    for row in (0, 17):
        clip = store.clip(row)
        assert isinstance(clip, Clip)
        assert np.allclose(model.embed(clip).numpy(), scored[row], atol=0.02)
