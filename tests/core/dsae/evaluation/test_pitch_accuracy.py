"""Raw pitch accuracy and distances of sounds whose truth is known."""

from types import SimpleNamespace

import mir_eval
import numpy as np
import pytest
import torch

from core import statistics
from core.audio import pitch
from core.audio.mel import log_mel
from core.data import dmelodies, synth
from core.data.store import Chunk, FeatureStore, StoreWriter, to_pcm
from core.dsae.card import MEANINGS
from core.dsae.config import ModelConfig
from core.dsae.evaluation import pitch_accuracy as melody
from core.dsae.evaluation import scores as evaluate
from core.dsae.evaluation import swap_f1 as swaps
from core.dsae.layers import Gaussian

RATE = 16_000


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 60)


def identity():
    """z is the clip and the decoder shows it: a swap of v changes nothing, one of z everything."""

    def sharp(mean):
        return Gaussian(mean, torch.full_like(mean, -torch.inf))

    return SimpleNamespace(
        config=ModelConfig(),
        global_encoder=lambda x, lengths=None: sharp(x[:, 0, :2]),
        local_encoder=lambda x, v, lengths=None: sharp(x),
        local=lambda x, q_v, v, lengths=None: sharp(x),
        decoder=lambda z, v, lengths=None: z,
        encode=lambda x, lengths=None: (sharp(x[:, 0, :2]), sharp(x)),
    )


@pytest.fixture(scope="module")
def analysed(melodies):
    """Three melodies of a store that holds no sound, and the scores of an identity's swaps."""
    store = FeatureStore.open(melodies)
    originals = melody.Originals(store, 3, melody.Analyser())
    clips = swaps.read_split(store, "validation", "instrument", -40.0)
    return originals, evaluate.sound_scores(identity(), clips, originals, seed=0)


def test_a_swap_that_changes_nothing_keeps_every_melody(analysed):
    originals, scores = analysed
    for kind in ("pre", "global", "local", "round_trip"):
        assert scores[f"rpa_{kind}_crepe_tiny"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert scores["heard_clips"] == 3 and scores["pitch_reference"] == "round trip"
    assert len(originals.positions) == len(set(originals.positions)) == 3
    assert "rpa_original_notes_crepe_tiny" not in scores  # the originals have no sound
    assert set(scores) <= set(MEANINGS)


def test_the_pitch_of_a_melody_is_that_of_its_notes(analysed):
    _, scores = analysed
    for kind in ("pre", "global", "local"):
        assert scores[f"rpa_{kind}_notes_crepe_tiny"]["value"] > 0.6


def test_sounds_that_were_not_changed_are_at_no_distance(analysed):
    _, scores = analysed
    assert scores["fad_resynthesised_crepe_tiny"]["value"] == 0.0
    assert "fad_crepe_tiny" not in scores  # there are no originals to compare with
    assert scores["fad_frames_crepe_tiny"] == 3 * 200


def test_another_melody_is_not_taken_for_the_right_one(analysed):
    originals, _ = analysed
    wrong = np.roll(np.arange(3), 1)
    scores = originals.scores("pre", originals.round_trip, wrong)
    assert scores["rpa_pre_crepe_tiny"]["value"] < 0.6


def test_accuracy_is_mir_evals_for_each_sound_against_its_own_melody():
    rng = np.random.default_rng(0)
    reference = rng.uniform(200, 800, (3, 50))
    voiced = rng.uniform(size=(3, 50)) > 0.2
    order = np.array([2, 0, 1])
    found = reference[order] * 2 ** (rng.normal(0, 60, (3, 50)) / 1200)
    hertz = mir_eval.melody.hz2cents
    expected = [
        mir_eval.melody.raw_pitch_accuracy(
            voiced[i], hertz(reference[i]), voiced[i], hertz(f0), cent_tolerance=50
        )
        for i, f0 in zip(order, found, strict=True)
    ]
    ours = melody.accuracy(reference, found, order, voiced)
    assert ours["value"] == pytest.approx(np.mean(expected), abs=1e-4)
    voiced[0] = False  # a reference without any pitch does not count
    ours = melody.accuracy(reference, found, order, voiced)
    assert ours["value"] == pytest.approx(np.mean([expected[0], expected[2]]), abs=1e-4)


def test_a_contour_is_the_notes_and_rests_of_the_score():
    row = dmelodies.filtered_rows()[1234]
    times = np.arange(0, 4, 0.02)
    f0 = melody.contour(row, times)
    tune = dmelodies.melody(row)
    for slot in range(16):
        inside = f0[(times >= slot / 4 + 1e-6) & (times < slot / 4 + 0.24)]
        if slot in tune.slots:
            number = tune.pitches[tune.slots.index(slot)]
            assert inside == pytest.approx(440 * 2 ** ((number - 69) / 12))
        else:
            assert not inside.any()


def test_originals_with_sound_are_the_reference_as_far_as_each_lasts(tmp_path):
    """Two tones of unequal length, stored with their sound; the rest of the shorter is padding."""
    rows, mels, waves = [], [], []
    for i, (hertz, seconds) in enumerate([(440.0, 1.0), (330.0, 0.5)]):
        t = np.arange(int(seconds * RATE)) / RATE
        wave = sum(np.sin(2 * np.pi * k * hertz * t) / k for k in range(1, 7)) / 3
        labels = {"name": str(i), "split": "validation", "instrument": "ab"[i]}
        rows.append(labels)
        mels.append(log_mel(wave).numpy())
        waves.append(to_pcm(wave))
    writer = StoreWriter(tmp_path / "tones", kind="toy", settings={}, chunks=1)
    writer.write(0, Chunk(rows, mels, waves))
    originals = melody.Originals(writer.finish(), 9, melody.Analyser(route="live"))
    assert originals.reference is originals.recorded and originals.notes is None
    assert 2**originals.median_pitch == pytest.approx([440, 330], rel=0.01)
    assert originals.voiced.sum(1) == pytest.approx([50, 25], abs=2)
    assert [len(f) for f in originals.recorded.embeddings["crepe_tiny"]] == [50, 25]
    scores = originals.scores("round_trip", originals.round_trip, np.arange(2))
    assert scores["rpa_round_trip_crepe_tiny"]["value"] > 0.9
    alone = pitch.track(waves[1] / 32767.0, hop_seconds=melody.CREPE_HOP_SECONDS)
    assert np.allclose(originals.recorded.f0[1, 2:20], alone.f0[0, 2:20], rtol=0.01)


def test_played_by_another_instrument_the_notes_are_still_predicted(tmp_path):
    """CREPE on the rendered sound itself, which bounds what a model can reach."""
    if not synth.available():
        pytest.skip("no synthesiser is installed")
    store = dmelodies.build(
        tmp_path / "few", count=10, validation=0.4, counterfactual=False, workers=1, progress=False
    )
    originals = melody.Originals(store, 2, melody.Analyser())
    found = originals.scores("original", originals.recorded, np.arange(2), own=False)
    assert list(found) == ["rpa_original_notes_crepe_tiny"]
    assert found["rpa_original_notes_crepe_tiny"]["value"] > 0.75
