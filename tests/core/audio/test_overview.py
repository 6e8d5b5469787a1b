"""A recording at a glance: extents of its waveform, step by step."""

import io

import numpy as np
import pytest
import soundfile

from core.audio.overview import of_wave, overview


def file_of(wave: np.ndarray, rate: int = 8_000) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format="WAV", subtype="FLOAT")
    file.seek(0)
    return file


def test_each_step_has_the_lowest_and_the_highest_sample_of_its_part():
    wave = np.concatenate([np.zeros(4_000), 0.2 * np.ones(2_000), -0.4 * np.ones(2_000)])
    expected = [[0, 0], [0, 0], [0.5, 0.5], [-1, -1]]  # peak 1
    assert overview(file_of(wave), 4) == pytest.approx(np.array(expected))
    assert of_wave(wave, 4) == pytest.approx(np.array(expected))


def test_channels_are_mixed():
    wave = np.stack([np.ones(800), np.zeros(800)], axis=1)
    assert overview(file_of(wave), 2) == pytest.approx(np.ones((2, 2)))


def test_of_a_long_recording_a_moment_of_each_step_is_read():
    wave = np.zeros(11 * 60 * 1_000, np.float32)
    wave[len(wave) // 2 :] = 0.5
    found = overview(file_of(wave, 1_000), 10)
    assert found[:, 1] == pytest.approx(np.repeat([0.0, 1.0], 5))


@pytest.mark.parametrize("file", [io.BytesIO(b"no sound"), io.BytesIO(b"")])
def test_what_is_no_sound_has_a_flat_overview(file):
    assert not overview(file, 5).any()


def test_a_silent_recording_and_one_shorter_than_the_steps_are_flat_or_drawn():
    assert not overview(file_of(np.zeros(100)), 5).any()
    assert overview(file_of(np.ones(3)), 5).max() == 1
