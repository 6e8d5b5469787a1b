"""Mixtures drawn on the fly: their levels, their seeds, their truth."""

import numpy as np
import pytest
import soundfile
import torch

from core.audio.clip import Clip, read
from core.data import folder, mixtures
from core.errors import RavelError

RATE = 16_000


def level(wave):
    return 10 * torch.log10(wave.square().mean(dim=-1))


@pytest.fixture(scope="module")
def store(tmp_path_factory, examples):
    """Real recordings, and one of which all but the last second is silent."""
    home = tmp_path_factory.mktemp("audio")
    files = sorted(examples.glob("*.flac"))[:6]
    rows = ["file,label,split"]
    for number, file in enumerate(files):
        soundfile.write(home / f"{number}.wav", read(file).wave, RATE)
        split = "validation" if number < 4 else "train"
        rows.append(f"{number}.wav,{'abcd'[number % 4]},{split}")
    late = np.zeros(4 * RATE, dtype=np.float32)
    late[3 * RATE :] = read(files[0]).wave[:RATE]
    soundfile.write(home / "late.wav", late, RATE)
    rows.append("late.wav,late,train")
    (home / "metadata.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path_factory.mktemp("stores") / "mixed"
    return folder.build(home, out, workers=1, progress=False)


def test_references_stand_at_the_common_level_within_the_spread(store):
    waves = mixtures.Waves(store, store.indices("train"))
    torch.manual_seed(0)
    references = mixtures.draw(waves, torch.tensor([0, 1]), samples=RATE, spread=2.5)
    assert references.shape == (2, 2, RATE)
    assert ((level(references) + 20).abs() <= 2.5 + 1e-3).all()
    exact = mixtures.draw(waves, torch.tensor([0, 1]), samples=RATE, spread=0.0)
    assert torch.allclose(level(exact), torch.full((2, 2), -20.0), atol=1e-3)


def test_a_seed_decides_everything(store):
    waves = mixtures.Waves(store, store.indices("train"))

    def drawn(seed):
        generator = torch.Generator().manual_seed(seed)
        return mixtures.draw(waves, torch.tensor([0, 1, 2]), samples=8_000, generator=generator)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_every_other_clip_becomes_a_partner_and_none_meets_itself(store, monkeypatch):
    waves = mixtures.Waves(store, np.arange(len(store)))
    requested = []

    def excerpts(indices, samples, generator=None):
        requested.append(indices.clone())
        return torch.ones(len(indices), samples)

    monkeypatch.setattr(waves, "excerpts", excerpts)
    torch.manual_seed(0)
    mixtures.draw(waves, torch.zeros(500, dtype=torch.long), samples=4, sources=4)
    chosen = torch.stack(requested)  # [4, 500]
    assert (chosen[0] == 0).all()
    for column in chosen.T:
        assert len(set(column.tolist())) == 4
    for row in chosen[1:]:
        assert set(row.tolist()) == set(range(1, len(store)))


def test_excerpts_leave_out_silence_where_there_is_sound(store):
    waves = mixtures.Waves(store, np.arange(len(store)))
    late = int(np.flatnonzero(store.labels["label"] == "late")[0])
    torch.manual_seed(0)
    cut = waves.excerpts(torch.full((200,), late), RATE)
    audible = (mixtures.rms(cut) > mixtures.SILENCE).float().mean()
    # One draw hears the last second a third of the time; TRIES draws nearly always.
    alone = (4 * RATE - RATE) / (4 * RATE - RATE + 1)
    assert audible > 1 - (1 - alone / 3) ** mixtures.TRIES - 0.15


def test_a_clip_shorter_than_the_excerpt_is_followed_by_silence(store):
    waves = mixtures.Waves(store, np.arange(len(store)))
    cut = waves.excerpts(torch.tensor([0]), 10 * RATE)
    assert cut.shape == (1, 10 * RATE)
    assert not cut[0, 4 * RATE :].any()
    assert cut[0, : 2 * RATE].any()


def test_held_out_mixtures_are_the_same_everywhere_and_of_different_kinds(store):
    first, chosen = mixtures.held_out(store, 5, sources=3, seconds=1.0, factor="label", seed=7)
    again, _ = mixtures.held_out(store, 5, sources=3, seconds=1.0, factor="label", seed=7)
    assert torch.equal(first, again)
    assert first.shape == (5, 3, RATE)
    assert set(store.labels["split"][chosen.ravel()]) == {"validation"}
    for row in store.labels["label"][chosen]:
        assert len(set(row)) == 3


def test_too_few_clips_are_refused(store):
    with pytest.raises(RavelError, match="needs as many"):
        mixtures.held_out(store, 1, sources=9, factor="label")
    waves = mixtures.Waves(store, store.indices("train")[:1])
    with pytest.raises(RavelError, match="as many clips"):
        mixtures.draw(waves, torch.tensor([0]), samples=100)


def test_a_store_without_sound_is_refused(melodies):
    from core.data.store import FeatureStore

    store = FeatureStore.open(melodies)
    with pytest.raises(RavelError, match="log-mels only"):
        mixtures.Waves(store, np.arange(4))


def test_clips_of_different_lengths_are_mixed_at_their_levels(examples):
    violin, trumpet = (read(examples / f"{n}-1.flac") for n in ("violin", "trumpet"))
    short = Clip(violin.wave[: RATE // 2], "short")
    references = mixtures.of_clips([short, trumpet], [0.0, -6.0])
    assert references.shape == (2, len(trumpet.wave))
    assert not references[0, RATE // 2 :].any()
    levels = level(references[0, : RATE // 2]), level(references[1])
    assert float(levels[0] - levels[1]) == pytest.approx(6.0, abs=0.01)


def test_a_sum_that_would_clip_is_turned_down_as_a_whole(examples):
    clips = [read(examples / f"{name}-1.flac") for name in ("violin", "trumpet")]
    loud = mixtures.of_clips(clips, [30.0, 24.0])
    assert float(loud.sum(dim=0).abs().max()) == pytest.approx(1.0, abs=1e-4)
    assert float(level(loud[0]) - level(loud[1])) == pytest.approx(6.0, abs=0.01)
