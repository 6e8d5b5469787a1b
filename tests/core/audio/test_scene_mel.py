"""Log-mels of scenes against two libraries, and their sizes."""

import librosa
import numpy as np
import pytest
import torch
import torchaudio

from core.audio.clip import read
from core.audio.scene_mel import FRONT_END, scene_frames, scene_log_mel


@pytest.fixture(scope="module")
def wave(examples):
    return read(examples / "violin-1.flac").segment(0.0, 2.0).wave


def test_it_is_what_librosa_makes_of_the_same_numbers(wave):
    magnitude = librosa.feature.melspectrogram(
        y=wave, sr=16_000, n_fft=512, win_length=400, hop_length=160, center=False, power=1.0,
        n_mels=64, fmin=60, fmax=7800, htk=True, norm=None,
    )  # fmt: skip
    assert np.allclose(scene_log_mel(wave).numpy(), np.log(magnitude + 1e-3).T, atol=2e-3)


def test_it_is_torch_audios_filters_on_the_magnitude_of_frames(wave):
    frames = torch.from_numpy(wave).unfold(0, 512, 160)
    window = torch.nn.functional.pad(torch.hann_window(400, periodic=True), (56, 56))
    magnitude = torch.fft.rfft(frames * window).abs()
    filters = torchaudio.functional.melscale_fbanks(257, 60.0, 7800.0, 64, 16_000)
    assert torch.allclose(scene_log_mel(wave), (magnitude @ filters + 1e-3).log(), atol=1e-3)


@pytest.mark.parametrize("samples", [1, 511, 512, 671, 672, 16_000, 80_000])
def test_the_frames_are_those_that_fit_and_one_at_least(samples):
    found = scene_log_mel(torch.zeros(2, 3, samples))
    assert found.shape == (2, 3, scene_frames(samples), 64)
    assert scene_frames(samples) == max(1, 1 + (samples - 512) // 160)
    assert torch.allclose(found, torch.tensor(FRONT_END.epsilon).log())


def test_a_part_of_a_wave_has_the_frames_of_the_whole(wave):
    whole = scene_log_mel(wave)
    part = scene_log_mel(wave[50 * 160 : 50 * 160 + 95 * 160 + 512])
    assert part.shape == (96, 64)
    assert torch.allclose(part, whole[50:146], atol=1e-5)
