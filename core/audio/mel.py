"""Log-mel spectrograms, exactly those of the paper and of its authors' code."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from core.audio.clip import HOP, SAMPLE_RATE
from core.errors import RavelError

if TYPE_CHECKING:
    from torchaudio.transforms import MelSpectrogram

N_MELS = 80
N_FFT = 2048  # 128 ms
EPSILON = 2.220446049250313e-16  # of float64; its logarithm, -36.04, is a silent frame
PIECE = 4096  # frames, 66 s, that are transformed at a time
AROUND = N_FFT // HOP  # frames on each side of a piece, so that its own see none of its edges


def frames_of(samples: int) -> int:
    """How many frames the log-mel of `samples` samples has: 251 for 4 s."""
    return 1 + samples // HOP


def log_mel(wave: torch.Tensor | np.ndarray) -> torch.Tensor:
    """Waves [..., S] at 16 kHz as natural log-mels float32 [..., T, 80].

    80 HTK bands to 8 kHz of the power spectrum under a 128 ms Hann window every 16 ms, centred with
    reflected edges, neither the bands nor the result normalised (section 4.1). However long the
    waves are, they are transformed in bounded memory. RavelError for waves of 64 ms or less.
    """
    wave = torch.as_tensor(wave).float()
    if wave.ndim == 0 or wave.shape[-1] <= N_FFT // 2:
        raise RavelError(
            f"A log-mel needs more than {N_FFT // 2} samples at 16 kHz, got shape "
            f"{list(wave.shape)}: give a longer clip."
        )
    frames = frames_of(wave.shape[-1])
    pieces = [_frames(wave, first, min(first + PIECE, frames)) for first in range(0, frames, PIECE)]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=-2)


def _frames(wave: torch.Tensor, first: int, end: int) -> torch.Tensor:
    """The frames from `first` to before `end` of the log-mel of waves [..., S]."""
    before = max(0, first - AROUND)
    mel = _transform(wave.device)(wave[..., before * HOP : (end + AROUND) * HOP])  # [..., M, T]
    mel = mel[..., first - before : end - before]
    return (mel + EPSILON).log().transpose(-1, -2).contiguous()


@cache
def _transform(device: torch.device) -> MelSpectrogram:
    from torchaudio.transforms import MelSpectrogram

    return MelSpectrogram(SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS).to(device)


def mel_basis(device: torch.device) -> torch.Tensor:
    """The filters that make the bands out of the power spectrum, float32 [1025, 80]."""
    fb = _transform(device).mel_scale.fb
    assert isinstance(fb, torch.Tensor)
    return fb
