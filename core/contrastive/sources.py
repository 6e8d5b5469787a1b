"""Sources of a view's patches: stored log-mels, or a random processor applied when drawn.

N clips, B patches drawn, S samples, M channels, T frames of a clip, F frames of a patch, 64 bands.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from core.audio.scene_mel import FRONT_END, scene_log_mel
from core.data.joined import Rows
from core.data.store import PCM

Process = Callable[[Tensor], Tensor]  # waves [B, S] to channels [B, M, S] that sum to them
Make = Callable[[int], Process]  # a process by number; the same number gives the same process

TAPS = 256  # of a random filter: 16 ms, a window of the small separator
# dB of a channel of filtered white noise to the noise. Filtered channels of ESC-50's clips are then
# 7.4 dB from the wave on average, as those of untrained small separators.
FILTER_SNR = 6.1
KNOTS, DEPTH = 8, 1.5  # of a random equaliser: knots along frequency, and their deviation


class Source(Protocol):
    """Where a view's patches come from."""

    def patches(self, indices: Tensor, starts: Tensor, frames: int) -> Tensor:
        """Patches float32 [M, B, F, 64], one for each channel, of clips [B] from frames [B] on."""


class Kept:
    """Log-mels [N, M, T, 64] computed in advance, brought to a device or left on disk (Rows)."""

    def __init__(self, log_mels: np.ndarray | Tensor | Rows, device: torch.device | str) -> None:
        self.log_mels: list[Tensor | Rows]  # of each channel, [N, T, 64]
        if isinstance(log_mels, Rows):
            array, rows = log_mels.array, log_mels.rows
            self.log_mels = [Rows(array[:, m], rows) for m in range(array.shape[1])]
        else:
            kept = torch.as_tensor(np.array(log_mels)).to(device)
            self.log_mels = [kept[:, m] for m in range(kept.shape[1])]

    def patches(self, indices: Tensor, starts: Tensor, frames: int) -> Tensor:
        """See Source."""
        return torch.stack([cut(one, indices, starts, frames) for one in self.log_mels])


class Drawn:
    """Channels that random processes make of each patch when it is drawn.

    `waves` are int16 [N, S], brought to a device or left on disk (Rows); each call draws one of
    `pool` processes.
    """

    def __init__(
        self, waves: np.ndarray | Rows, make: Make, pool: int, device: torch.device | str
    ) -> None:
        self.waves: Tensor | Rows
        self.waves = (
            waves if isinstance(waves, Rows) else torch.from_numpy(np.array(waves)).to(device)
        )
        self.pool, self.make = pool, lru_cache(maxsize=1)(make)

    @torch.no_grad()
    def patches(self, indices: Tensor, starts: Tensor, frames: int) -> Tensor:
        """See Source."""
        process = self.make(int(torch.randint(self.pool, ())))
        size = FRONT_END.n_fft + (frames - 1) * FRONT_END.hop
        at = starts[:, None] * FRONT_END.hop + torch.arange(size, device=starts.device)
        beyond = at >= self.waves.shape[1]
        waves = span(self.waves, indices, at).float() / PCM
        channels = process(waves.masked_fill(beyond, 0.0))
        return scene_log_mel(channels, FRONT_END).transpose(0, 1)


def cut(source: Tensor | Rows, indices: Tensor, starts: Tensor, frames: int) -> Tensor:
    """Patches float32 [B, frames, 64] of log-mels [N, T, 64] from `starts` [B] on."""
    positions = starts[:, None] + torch.arange(frames, device=starts.device)
    return span(source, indices, positions).float()


def span(source: Tensor | Rows, indices: Tensor, positions: Tensor) -> Tensor:
    """Of [N, T, ...] the items [B, F, ...] at positions [B, F], which follow one another; the last
    one is repeated after the end."""
    if isinstance(source, Rows):
        found = source.spans(indices.numpy(), positions[:, 0].numpy(), positions.shape[1])
        return torch.from_numpy(found)
    return source[indices[:, None], positions.clamp(max=source.shape[1] - 1)]


def random_filter(number: int) -> Process:
    """Waves through a random FIR filter, and the remainder.

    An impulse plus white noise under a Hann window: as far from the wave as an untrained
    separator's channel, but constant over time.
    """
    noise = _noise(number, TAPS) * torch.hann_window(TAPS)
    noise *= 10 ** (-FILTER_SNR / 20) / noise.norm()
    noise[TAPS // 2] += 1.0

    def process(waves: Tensor) -> Tensor:
        taps = 0.5 * noise.to(waves.device)
        size = waves.shape[-1] + TAPS
        spectrum = torch.fft.rfft(waves, size) * torch.fft.rfft(taps, size)
        first = torch.fft.irfft(spectrum, size)[..., TAPS // 2 :][..., : waves.shape[-1]]
        return torch.stack([first, waves - first], dim=1)

    return process


def random_equaliser(number: int) -> Process:
    """Waves through a random equaliser, smooth over frequency, and the remainder."""
    knots = DEPTH * _noise(number, KNOTS)

    def process(waves: Tensor) -> Tensor:
        size = waves.shape[-1]
        bins = size // 2 + 1
        # Knots evenly spaced on a mel-like scale, denser at low frequencies.
        place = torch.linspace(0, 1, bins, device=waves.device).sqrt() * (KNOTS - 1)
        low = place.long().clamp(max=KNOTS - 2)
        points = knots.to(waves.device)
        curve = torch.sigmoid(torch.lerp(points[low], points[low + 1], place - low))
        first = torch.fft.irfft(torch.fft.rfft(waves) * curve, size)
        return torch.stack([first, waves - first], dim=1)

    return process


def _noise(number: int, size: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(number))
