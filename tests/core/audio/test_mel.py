"""Log-mels against librosa's, an independent implementation."""

import librosa
import numpy as np
import pytest
import torch

from core.audio import clip, mel
from core.errors import RavelError


def by_librosa(wave):
    power = librosa.feature.melspectrogram(
        y=wave, sr=16_000, n_fft=2048, hop_length=256, n_mels=80, power=2.0, center=True,
        pad_mode="reflect", htk=True, norm=None, fmin=0, fmax=8000,
    )  # fmt: skip
    return np.log(np.finfo(np.float64).eps + power).T


@pytest.mark.parametrize("name", ["violin-1", "trumpet-1"])
def test_log_mel_of_a_recording_is_librosas(name, examples):
    wave = clip.read(examples / f"{name}.flac").segment().wave
    ours, theirs = mel.log_mel(wave).numpy(), by_librosa(wave)
    assert ours.shape == theirs.shape == (251, 80) and ours.dtype == np.float32
    audible = theirs > theirs.max() - 18  # float32 rounding rules 80 dB below the peak
    np.testing.assert_allclose(ours[audible], theirs[audible], atol=2e-3)
    np.testing.assert_allclose(ours, theirs, atol=0.5)


def test_log_mel_of_white_noise_is_librosas_everywhere():
    wave = np.random.default_rng(0).normal(size=64_000).astype(np.float32)
    np.testing.assert_allclose(mel.log_mel(wave), by_librosa(wave), atol=1e-3)


def test_silence_is_the_log_of_the_float64_epsilon():
    silent = mel.log_mel(np.zeros(64_000, np.float32))
    np.testing.assert_allclose(silent, np.log(np.finfo(np.float64).eps), rtol=1e-6)


def test_clips_in_a_batch_do_not_disturb_each_other():
    waves = torch.randn(2, 3, 8_000, generator=torch.Generator().manual_seed(0))
    batch = mel.log_mel(waves)
    assert batch.shape == (2, 3, mel.frames_of(8_000), 80) and batch.dtype == torch.float32
    torch.testing.assert_close(batch[1, 2], mel.log_mel(waves[1, 2]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("left", [0, 1, 255])
def test_a_long_wave_in_pieces_is_the_whole(left, examples, monkeypatch):
    wave = clip.read(examples / "violin-1.flac").wave[: 160 * 256 + left]
    whole = mel.log_mel(wave)
    monkeypatch.setattr(mel, "PIECE", 40)  # the last piece is a single frame
    assert len(whole) == 161
    torch.testing.assert_close(mel.log_mel(wave).exp(), whole.exp(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mel.log_mel(np.stack([wave, wave]))[1], mel.log_mel(wave))


def test_too_short_a_wave_gets_one_clear_sentence():
    with pytest.raises(RavelError, match="more than 1024 samples"):
        mel.log_mel(np.zeros(1024))
    assert mel.log_mel(np.zeros(1025)).shape == (mel.frames_of(1025), 80)
