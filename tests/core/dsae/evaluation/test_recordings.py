"""Judging swaps of real recordings: the identity keeps every note, and intervals are honest."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from core.audio import pitch
from core.audio.clip import read
from core.data.store import FeatureStore
from core.dsae import latents
from core.dsae.evaluation import recordings, report
from core.dsae.evaluation.classifier import Classifier, features
from core.errors import RavelError
from core.vocoder.play import play


@pytest.fixture(scope="module")
def originals(examples):
    files = {"violin": ["violin-1", "dmelodies-violin"], "trumpet": ["trumpet-1"]}
    clips = [
        read(examples / f"{name}.flac", labels={"instrument": label}).segment(0.5, 1.5)
        for label, names in files.items()
        for name in names
    ]
    return recordings.Recordings(clips)


def test_every_pair_across_the_two_instruments_both_ways(originals):
    assert set(originals.pairs) == {(0, 2), (1, 2), (2, 0), (2, 1)}


def test_a_recording_keeps_its_own_melody_and_no_other(originals):
    kept = originals.melody_accuracy(originals.pitch, [0, 1, 2])
    assert kept.tolist() == [1.0, 1.0, 1.0]
    assert originals.melody_accuracy(pitch.track(originals.waves[[1]]), [2])[0] < 0.5


def test_a_model_is_judged_by_the_sound_it_makes(originals, untrained):
    """The judges hear log-mels of rebuilt sound; an untrained model keeps no melody."""
    shapes = []

    def judge(log_mels):
        shapes.append(log_mels.shape)
        return np.array(["violin"] * len(log_mels))

    model = latents.load(untrained)
    scores = recordings.score_model(model, originals, {"judge": judge}, play, progress=False)
    assert list(scores) == ["leak_z", "original", "round trip", "reconstruction", "swap"]
    assert scores["leak_z"] == {}  # of three recordings a probe cannot learn
    assert scores["original"]["melody"]["value"] == 1.0
    assert scores["round trip"]["melody"]["value"] > 0.8
    assert scores["swap"]["melody"]["value"] < 0.5
    # All predicted to be violins, right for 2 of 4 swaps: F1 is 2/3 for violins and 0 for trumpets.
    assert scores["swap"]["judge"]["value"] == pytest.approx(1 / 3, abs=1e-3)
    assert shapes[0] == (3, 94, 80)
    assert scores["original"]["fad"]["value"] == 0.0
    assert 0 < scores["round trip"]["fad"]["value"] < scores["swap"]["fad"]["value"]


def test_intervals_resample_recordings_not_pairs():
    """One bad recording out of four spoils half of the pairs: the interval must be wide."""
    pairs = [(i, j) for i in range(2) for j in (2, 3)] + [(j, i) for i in range(2) for j in (2, 3)]
    melody, partner = (np.array(side) for side in zip(*pairs, strict=True))
    bad = (melody == 0) | (partner == 0)
    expected = np.array(["a" if j < 2 else "b" for j in partner])
    predicted = np.where(bad, "c", expected)
    judged = recordings.Results(
        melody, partner, expected, np.where(bad, 0.0, 1.0), {"judge": predicted}
    )
    scores = recordings.summary(judged, recordings=4)
    assert scores["melody"]["value"] == pytest.approx(0.5)
    assert scores["melody"]["low"] == 0.0
    assert scores["melody"]["high"] == 1.0
    by_sklearn = f1_score(expected, predicted, average="macro", zero_division=0.0)
    assert scores["judge"]["value"] == pytest.approx(by_sklearn, abs=1e-4)


def test_a_classifier_of_two_instruments_recognises_new_melodies(melodies):
    store = FeatureStore.open(melodies)

    def clips(split):
        rows = store.indices(split)
        return store.log_mel[rows].astype("float32"), store.labels["instrument"][rows].tolist()

    judge = Classifier(*clips("train"))
    held_out, names = clips("validation")
    assert judge.predict(held_out, among=("Trumpet", "Violin")).tolist() == names
    assert judge.predict(held_out + 3.0, among=("Trumpet", "Violin")).tolist() == names  # no level
    assert set(judge.predict(held_out, among=("Violin",))) == {"Violin"}


def test_a_description_takes_no_notice_of_level_noise_floor_and_pauses():
    rng = np.random.default_rng(0)
    clip = rng.normal(0, 2, (100, 80)).astype("float32")
    expected = features(clip)
    np.testing.assert_allclose(features(clip + 5), expected, atol=1e-5)
    deep = np.where(clip < clip.max() - 12, -36.0, clip)
    np.testing.assert_allclose(features(deep), expected, atol=1e-5)
    loud = clip[clip.mean(1) >= np.quantile(clip.mean(1), 0.3)]
    np.testing.assert_allclose(expected[80:160], np.maximum(loud, loud.max() - 12).std(0), atol=0.1)


def test_judges_without_real_violins_and_trumpets_to_learn_from_are_refused(melodies):
    with pytest.raises(RavelError, match="--judge"):
        report.read_training_clips([str(melodies)])


def test_recordings_come_from_folders_all_cut_to_one_length(examples):
    clips = report.read_recordings([str(examples)], most=2)
    assert [clip.labels["instrument"] for clip in clips] == ["violin"] * 2 + ["trumpet"] * 2
    assert len({len(clip.wave) for clip in clips}) == 1


def test_a_folder_without_the_instruments_says_what_is_missing(examples, tmp_path):
    import shutil

    shutil.copy(examples / "flute-1.flac", tmp_path)
    with pytest.raises(RavelError, match="violin"):
        report.read_recordings([str(tmp_path)], most=None)
