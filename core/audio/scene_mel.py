"""Log-mel spectrograms of sound scenes: 64 bands every 10 ms, as in the audio tagging papers."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from core.audio.clip import SAMPLE_RATE

if TYPE_CHECKING:  # configs name the front end, and are read before torch is needed
    import numpy as np
    import torch


class FrontEnd(NamedTuple):
    """What a log-mel is made with; frequencies in Hz, sizes in samples."""

    window: int = 400  # 25 ms
    hop: int = 160  # 10 ms
    n_fft: int = 512
    bands: int = 64
    lowest: float = 60.0
    highest: float = 7_800.0
    epsilon: float = 1e-3


FRONT_END = FrontEnd()


def scene_log_mel(wave: torch.Tensor | np.ndarray, front_end: FrontEnd = FRONT_END) -> torch.Tensor:
    """Waves [..., S] at 16 kHz as natural log-mels float32 [..., T, M] of their magnitudes.

    Frames are not centred: T = 1 + (S - n_fft) // hop. A wave shorter than one frame is followed by
    silence.
    """
    import torch
    from torch.nn import functional as F

    wave = torch.as_tensor(wave).float()
    wave = F.pad(wave, (0, max(0, front_end.n_fft - wave.shape[-1])))
    mel = _transform(front_end, wave.device)(wave)  # [..., M, T]
    return (mel + front_end.epsilon).log().transpose(-1, -2).contiguous()


def scene_frames(samples: int, front_end: FrontEnd = FRONT_END) -> int:
    """How many frames the log-mel of `samples` samples has: 497 for 5 s."""
    return 1 + max(0, samples - front_end.n_fft) // front_end.hop


@cache
def _transform(front_end: FrontEnd, device: torch.device) -> torch.nn.Module:
    from torchaudio.transforms import MelSpectrogram

    return MelSpectrogram(
        SAMPLE_RATE,
        n_fft=front_end.n_fft,
        win_length=front_end.window,
        hop_length=front_end.hop,
        f_min=front_end.lowest,
        f_max=front_end.highest,
        n_mels=front_end.bands,
        power=1.0,
        center=False,
    ).to(device)
