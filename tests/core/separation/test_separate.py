"""The face of separation: any length, true levels, channels in one order, files that add up."""

import numpy as np
import pytest
import soundfile
import torch

from core.audio.clip import Clip, read
from core.errors import RavelError
from core.separation import separate
from core.separation.model import FeatureNorm
from core.separation.objective import si_snr
from tests.core.conftest import rush, whistle

RATE = 16_000


@pytest.fixture(scope="module")
def model(separator):
    return separate.load(separator)


@pytest.fixture(scope="module")
def long_scene():
    """Half a minute of whistles over rushing noise, as references [2, S]."""
    rng = np.random.default_rng(5)
    parts = [np.concatenate([kind(rng) for _ in range(10)]) for kind in (whistle, rush)]
    return torch.stack([torch.from_numpy(p / p.std() * 0.1).float() for p in parts])


@pytest.mark.parametrize("seconds", [0.01, 1.0, 10.0, 10.1, 27.3])
def test_channels_of_any_length_add_up_to_the_mixture(model, long_scene, seconds):
    mixture = long_scene.sum(dim=0)[: round(seconds * RATE)]
    channels = model.separate(mixture)
    assert channels.shape == (model.channels, len(mixture))
    assert torch.allclose(channels.sum(dim=0), mixture, atol=1e-5)


def test_what_is_joined_of_windows_is_what_one_pass_gives(model, long_scene, monkeypatch):
    """Where no normalisation looks beyond its window, to the last sample."""
    monkeypatch.setattr(FeatureNorm, "forward", lambda self, x: x)
    monkeypatch.setattr(model.model, "_consistent", lambda channels, *_: channels)
    steady = long_scene / long_scene.sum(dim=0).square().mean().sqrt() * separate.LEVEL
    monkeypatch.setattr(separate, "LEVEL", 1.0)
    monkeypatch.setattr(separate, "rms", lambda x: torch.ones(x.shape[:-1]))
    mixture = steady.sum(dim=0)
    joined, whole = model.separate(mixture), model.batch(mixture[None])[0]
    assert torch.allclose(joined, whole, atol=1e-4 * float(whole.abs().max()))


def test_with_normalisation_the_join_stays_close_to_one_pass(model, long_scene):
    mixture = long_scene.sum(dim=0)
    joined, whole = model.separate(mixture), model.batch(mixture[None])[0]
    assert (si_snr(joined, whole) > 10).all()


class Flipping(separate.SeparationModel):
    """Separates perfectly, but every other window comes out in the other order."""

    def __init__(self, references, model):
        super().__init__(model.model, model.config, model.checkpoint)
        self.references, self.calls = references, 0

    def batch(self, mixtures):
        mixture, size = self.references.sum(dim=0), mixtures.shape[1]
        start = next(
            s for s in range(0, len(mixture) - size + 1, 100)
            if torch.equal(mixture[s : s + size], mixtures[0])
        )  # fmt: skip
        self.calls += 1
        piece = self.references[:, start : start + size]
        return (piece.flip(0) if self.calls % 2 else piece)[None]


def test_channels_keep_their_order_from_window_to_window(model, long_scene):
    flipping = Flipping(long_scene, model)
    channels = flipping.separate(long_scene.sum(dim=0))
    assert flipping.calls > 3
    assert torch.allclose(channels, long_scene.flip(0), atol=1e-6)


def test_joins_do_not_click(model, long_scene):
    mixture = long_scene.sum(dim=0)
    rough = model.separate(mixture).diff(n=2, dim=1).abs()
    size, step = separate.WINDOW * RATE, (separate.WINDOW - separate.OVERLAP) * RATE
    joins = [round(step * i + separate.OVERLAP * RATE / 2) for i in range(1, 4)]
    assert all(join < mixture.shape[0] for join in joins) and size < len(mixture)
    for join in joins:
        near = rough[:, join - RATE // 2 : join + RATE // 2].amax(dim=1)
        assert (near <= rough.amax(dim=1)).all()
        smooth = rough[:, join - RATE // 4 : join + RATE // 4].quantile(0.999, dim=1)
        assert (smooth < 2 * rough[:, ::7].quantile(0.999, dim=1)).all()


def test_level_changes_nothing_but_level(model, long_scene):
    mixture = long_scene.sum(dim=0)[: 3 * RATE]
    loud, quiet = model.separate(mixture), model.separate(mixture / 100)
    assert torch.allclose(loud, 100 * quiet, atol=1e-4)


@pytest.mark.parametrize("wave", [np.zeros(RATE), np.r_[np.zeros(RATE), np.ones(RATE)]])
def test_silence_and_excess_stay_finite(model, wave):
    channels = model.separate(wave.astype(np.float32))
    assert torch.isfinite(channels).all()
    assert np.allclose(channels.sum(dim=0), wave, atol=1e-4)


@pytest.mark.parametrize(
    ("wave", "says"),
    [
        (np.zeros((2, 100), np.float32), "mono"),
        (np.zeros(0, np.float32), "mono"),
        (np.array([0.0, np.nan], np.float32), "not numbers"),
    ],
)
def test_input_that_is_no_mixture_is_refused(model, wave, says):
    with pytest.raises(RavelError, match=says):
        model.separate(wave)


def test_a_snapshot_is_another_model_of_the_same_run(separator, model, long_scene):
    early = separate.load(f"{separator}@0")
    assert early.name == "tiny-separator@0"
    assert early.checkpoint.digest != model.checkpoint.digest
    mixture = long_scene.sum(dim=0)[: 3 * RATE]
    truth = long_scene[:, : 3 * RATE]

    def gained(model):
        return np.mean([m.improvement for m in separate.match(model.separate(mixture), truth)])

    assert gained(model) > gained(early) + 2


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("separator-scenes", [0.040005, 0.047769]),
        ("separator-scenes@0", [0.037574, 0.037550]),
        ("separator-duets", [0.065161, 0.017360]),
    ],
)
def test_included_separators_give_what_they_gave_when_they_were_added(examples, name, levels):
    scene = torch.zeros(5 * 16_000)
    for sound in ("rooster", "dog"):
        scene += 0.5 * read(examples / "scenes" / f"{sound}.flac", normalise=False).wave
    channels = separate.load(name).separate(scene)
    assert channels.square().mean(dim=1).sqrt().tolist() == pytest.approx(levels, rel=1e-3)


def test_a_missing_snapshot_and_a_foreign_checkpoint_are_refused(separator, untrained):
    with pytest.raises(RavelError, match="no snapshot of step 7: it keeps 0, 40"):
        separate.load(f"{separator}@7")
    with pytest.raises(RavelError, match="not for separating"):
        separate.load(untrained)


def test_files_of_the_channels_add_up_to_the_recording(model, examples, tmp_path):
    mixture = read(examples / "violin-1.flac", normalise=False)
    written = separate.separate_file(model, mixture, tmp_path / "new" / "folder")
    assert [path.name for path in written] == ["violin-1-channel-1.wav", "violin-1-channel-2.wav"]
    waves = [soundfile.read(path, dtype="float32") for path in written]
    assert {rate for _, rate in waves} == {RATE}
    assert np.allclose(sum(wave for wave, _ in waves), mixture.wave, atol=1e-6)
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == sorted(
        path.name for path in written
    )


def test_a_failure_amid_writing_leaves_nothing_behind(model, long_scene, tmp_path, monkeypatch):
    made = iter(model.parts(long_scene.sum(dim=0)))

    def failing(_):
        yield next(made)
        raise OSError("the disk is full")

    monkeypatch.setattr(model, "parts", failing)
    with pytest.raises(RavelError, match="the disk is full"):
        separate.separate_file(model, Clip(long_scene.sum(dim=0).numpy(), "scene"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_remix_at_nought_is_the_mixture_and_mutes_what_is_none(model, long_scene):
    mixture = long_scene.sum(dim=0)[: 2 * RATE]
    channels = model.separate(mixture)
    assert torch.allclose(separate.remix(channels, [0.0, 0.0]), mixture, atol=1e-5)
    assert torch.allclose(separate.remix(channels, [None, -20.0]), channels[1] / 10, atol=1e-6)
    with pytest.raises(RavelError, match="one for each"):
        separate.remix(channels, [0.0])


def test_channels_are_matched_with_what_they_hold(long_scene):
    truth = torch.cat([long_scene, torch.roll(long_scene[:1], 9_000, dims=1)])[:, : 4 * RATE]
    apart = separate.match(truth[[2, 0, 1]], truth)
    assert [found.references for found in apart] == [(2,), (0,), (1,)]
    assert all(found.si_snr > 60 and found.improvement > 50 for found in apart)
    fewer = separate.match(torch.stack([truth[1], truth[0] + truth[2]]), truth)
    assert [found.references for found in fewer] == [(1,), (0, 2)]
    more = separate.match(torch.stack([truth[1], torch.zeros(4 * RATE), truth[0]]), truth[:2])
    assert [found.references for found in more] == [(1,), (), (0,)]
    assert more[1].si_snr is None
