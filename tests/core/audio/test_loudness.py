import numpy as np
import pytest

from core.audio.clip import read
from core.audio.invert import to_waveform
from core.audio.loudness import CEILING, LEVEL, loudness, match
from core.audio.mel import log_mel
from core.errors import RavelError

TIME = np.arange(64_000) / 16_000


def sine(hertz: float, peak: float = 1.0) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * hertz * TIME)).astype(np.float32)


def decibels(ratio: float) -> float:
    return 20 * np.log10(ratio)


def test_a_full_scale_sine_has_the_loudness_that_the_standard_gives_it():
    assert loudness(sine(997)) == pytest.approx(-3.01, abs=0.1)


def test_low_sounds_count_for_less_and_high_ones_for_more():
    assert loudness(sine(30)) < loudness(sine(997)) - 3
    assert loudness(sine(4000)) > loudness(sine(997)) + 2


def test_loudness_follows_the_gain():
    wave = sine(440, 0.5)
    assert loudness(wave) - loudness(wave / 8) == pytest.approx(decibels(8), abs=1e-3)


def test_silence_before_and_after_a_sound_does_not_make_it_softer():
    wave = sine(440, 0.5)
    surrounded = np.concatenate([np.zeros(64_000), wave, np.zeros(64_000)])
    assert loudness(surrounded) == pytest.approx(loudness(wave), abs=0.5)


def test_copies_at_any_level_become_the_same_again():
    wave = sine(440, 0.3)
    first, second, third = match([wave, 0.01 * wave, 3 * wave])
    assert np.allclose(first, second, atol=1e-6) and np.allclose(first, third, atol=1e-6)
    assert loudness(first) == pytest.approx(LEVEL, abs=1e-3)


def test_what_peaks_high_lowers_both_rather_than_clip():
    clicks = np.zeros(64_000, np.float32)
    clicks[::4000] = 1
    tone = sine(440, 0.5)
    matched = match([clicks, tone])
    assert max(np.abs(wave).max() for wave in matched) == pytest.approx(CEILING, abs=1e-4)
    first, second = map(loudness, matched)
    assert first == pytest.approx(second, abs=1e-3) and first < LEVEL - 3


def test_a_recording_and_its_round_trip_become_equally_loud_and_long(examples):
    recording = read(examples / "violin-1.flac").wave
    rebuilt = 0.2 * to_waveform(log_mel(recording)).numpy()
    first, second = match([recording, rebuilt])
    assert len(first) == len(second) == len(rebuilt) < len(recording)
    assert loudness(first) == pytest.approx(loudness(second), abs=1e-2)
    assert np.corrcoef(first, recording[: len(first)])[0, 1] == pytest.approx(1, abs=1e-6)


def test_the_shortest_sound_that_can_be_read_has_a_loudness():
    assert np.isfinite(loudness(sine(440)[:3200]))


def test_silence_has_no_level_to_be_matched():
    assert loudness(np.zeros(16_000)) == -np.inf
    with pytest.raises(RavelError, match="silent"):
        match([sine(440), np.zeros(64_000)])
