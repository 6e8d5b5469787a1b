import numpy as np
import pytest

from core.audio import trackers
from core.audio.clip import SAMPLE_RATE
from core.audio.trackers import Track
from core.dsae.evaluation import pitch_kept
from core.dsae.evaluation.swap_pairs import SwapPairs


def tone(midi: float, seconds: float = 1.0) -> np.ndarray:
    """A tone with four harmonics."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    hertz = 440 * 2 ** ((midi - 69) / 12)
    return sum(np.sin(2 * np.pi * k * hertz * time) / k for k in range(1, 5)) / 3


def test_the_share_of_frames_within_50_cents_of_tones() -> None:
    played = np.concatenate([tone(60), tone(67.4)])[None]  # the second 40 cents from its reference
    found = trackers.find("crepe")(played)
    frames = found.f0.shape[1]
    half = np.arange(frames) < frames // 2
    for second, expected in ((67.0, 1.0), (68.0, 0.5), (79.0, 0.5)):  # 40 and 60 cents, an octave
        reference = np.where(half, 60.0, second)[None]
        assert pitch_kept.kept(reference, found)[0] == pytest.approx(expected, abs=0.04)


def test_frames_without_a_pitch_do_not_count() -> None:
    track = Track(np.array([[440.0, 440.0, 100.0]]), np.ones((1, 3), bool))
    assert pitch_kept.kept(np.array([[69.0, 69.0, np.nan]]), track)[0] == 1.0
    assert np.isnan(pitch_kept.kept(np.full((1, 3), np.nan), track)[0])


def test_swaps_are_sorted_by_how_far_the_registers_are_apart() -> None:
    register = np.array([50.0, 56.0, 56.1, 62.0, 62.1])
    pairs = SwapPairs(np.zeros(5, int), np.arange(5), 5)
    kept = np.array([np.nan, 1.0, 0.5, 0.7, 0.2])
    found = pitch_kept.by_distance(kept, register, pairs)
    assert {name: one["value"] for name, one in found.items()} == {
        "near": 1.0,  # exactly 6 semitones
        "middle": 0.6,  # 6.1 and exactly 12
        "far": 0.2,
    }


def test_a_distance_that_no_pair_has_is_left_out() -> None:
    pairs = SwapPairs(np.array([0, 1]), np.array([1, 0]), 2)
    assert list(pitch_kept.by_distance(np.ones(2), np.array([60.0, 61.0]), pairs)) == ["near"]


def test_the_table_names_source_and_target() -> None:
    pairs = SwapPairs(np.array([0, 1, 1]), np.array([1, 0, 0]), 2)
    names = np.array(["violin", "bassoon"])
    found = pitch_kept.by_instruments(np.array([0.9, 0.2, 0.4]), names, pairs)
    assert found["violin as bassoon"]["value"] == 0.9
    assert found["bassoon as violin"]["value"] == 0.3
