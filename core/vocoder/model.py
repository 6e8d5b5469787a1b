"""A vocoder from log-mels to sound: ConvNeXt at frame rate, then an inverse STFT.

After Vocos (Siuzdak, ICLR 2024), except for the phase. Frames of a held tone look alike, so a
convolution gives the same output for each and cannot predict the absolute phase. The network
predicts, for each bin, the magnitude and the phase increments from frame to frame and from bin to
bin (as Masuyama et al., ICASSP 2020); phases are integrated along the partials, with each peak's
bins locked to it (Laroche and Dolson, 1999). It also predicts the tonal share of each bin, whose
phase can be predicted; the rest is synthesised from noise (as Serra and Smith, 1990).

Letters: B clips, T frames, M mels, F bins, S samples.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from core.audio.mel import HOP, N_MELS, mel_basis

N_FFT = 1024  # 64 ms, Hann, every 16 ms
BINS = N_FFT // 2 + 1  # F
LEVEL = 10.0  # what the loudest band of a clip is brought to, about full scale
FAINT = -12.0  # a clip whose loudest band is below is taken for silence
FLOOR = -10.0  # log-mels below are raised to it: 87 dB under the loudest
TINY = 1e-2  # of a magnitude: some 70 dB below the loudest
NEW = 0.1  # a peak that was weaker than this share of itself a frame ago has begun anew
RAYLEIGH = 1 / math.log(2)  # mean power of noise in a bin over its median, which is learnt
LEAST = 0.4  # of a bin's power, played as said where no tone is: all noise has more to be mended
RISE = 1.5  # how fast that grows with the tone's share: what is mostly tone gets no noise


class Spectra(NamedTuple):
    """What the network says of T frames, each [B, T, F].

    `log_magnitude`: of the STFT, plus TINY. `advance`, `delay`: complex numbers whose angles are by
    how much the phase is ahead of the frame before, beyond the bin's own 2 pi k HOP / N_FFT, and
    ahead of the bin below. Phases count from the middle of the window. `tonal`: what share of a
    bin's power, 0 to 1, goes on as its phase's advance says; the rest is noise.
    """

    log_magnitude: Tensor
    advance: Tensor
    delay: Tensor
    tonal: Tensor

    @property
    def magnitude(self) -> Tensor:
        return (self.log_magnitude.exp() - TINY).clamp(min=0)


class VocoderNetwork(nn.Module):
    """Log-mels [B, T, M] to spectra, by `blocks` ConvNeXt blocks of `width` channels."""

    def __init__(self, width: int, hidden: int, blocks: int, kernel: int = 7) -> None:
        super().__init__()
        self.first = nn.Conv1d(N_MELS, width, kernel, padding=kernel // 2)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, hidden, kernel, 1 / blocks) for _ in range(blocks))
        self.last = nn.LayerNorm(width)
        self.head = nn.Linear(width, 5 * BINS)
        self.tonal = nn.Linear(width, BINS)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, log_mel: Tensor) -> Spectra:
        """Log-mels whose clips are at LEVEL, or below where they are a quiet part of one."""
        log_mel = log_mel.clamp(min=FLOOR)
        x = log_mel / 4 + 1
        x = self.norm(self.first(x.transpose(1, 2)).transpose(1, 2))  # [B, T, width]
        for block in self.blocks:
            x = block(x)
        x = self.last(x).to(self.head.weight.dtype)
        parts = self.head(x).unflatten(-1, (5, BINS)).unbind(-2)
        log_magnitude = spread_bands(log_mel) + parts[0].float()
        tonal = self.tonal(x).float().sigmoid()
        return Spectra(log_magnitude, _complex(*parts[1:3]), _complex(*parts[3:5]), tonal)

    def shorten(self) -> None:
        """Let the linear layers, most of the work, count in bfloat16; the rest stays as it is."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                layer.bfloat16()

    def waves(self, log_mel: Tensor) -> Tensor:
        """Log-mels [B, T, M] of any level as waves [B, (T - 1) * HOP] at theirs."""
        shift = LEVEL - log_mel.amax((1, 2), keepdim=True).clamp(min=FAINT)
        waves = synthesise(self(log_mel + shift))
        return waves * torch.exp(-shift[:, 0] / 2)


class Block(nn.Module):
    """ConvNeXt (Liu et al. 2022) over time: each channel by itself, then each frame by itself."""

    def __init__(self, width: int, hidden: int, kernel: int, scale: float) -> None:
        super().__init__()
        self.along = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.along(x.transpose(1, 2)).transpose(1, 2))
        return x + self.scale * self.down(gelu(self.up(y.to(self.up.weight.dtype))))


def spread_bands(log_mel: Tensor) -> Tensor:
    """Log magnitudes [B, T, F] that noise with this log-mel [B, T, M] has: what to begin with."""
    between, area = _bands(log_mel.device)
    return (log_mel - area) @ between / 2


@cache
def _bands(device: torch.device) -> tuple[Tensor, Tensor]:
    """How much of each of two bands a bin has, [M, F], and the logarithm of what the power of a
    bin of noise comes to in a band, [M]: its filter's sum, and twice the window's energy."""
    basis = mel_basis(device)  # [1025, M], of a window twice as long
    share = basis[::2].T  # [M, F]
    area = (basis.sum(0) * 2).log()
    return share / share.sum(0).clamp(min=1e-3), area


def synthesise(spectra: Spectra) -> Tensor:
    """Spectra of T frames as waves [B, (T - 1) * HOP]: what is said and, beside it, noise."""
    magnitude = spectra.magnitude
    phase = phases(magnitude, _angle(spectra.advance), _angle(spectra.delay))
    said, noise = (magnitude * factor for factor in factors(spectra.tonal))
    spectrum = torch.polar(said, phase) + noise * white(magnitude.shape[1], magnitude.device)
    return istft(spectrum * _centre(magnitude.device))


def factors(tonal: Tensor) -> tuple[Tensor, Tensor]:
    """What a median magnitude is to be multiplied by for its said part, and for its noise.

    Their squares add up to how far mean power is above the median's: of noise 1 / ln 2, of a tone
    nothing, and between the two, within a quarter of a decibel, in proportion to `tonal`.
    """
    power = tonal + (1 - tonal) * RAYLEIGH
    said = (LEAST + RISE * tonal).clamp(max=1)
    return (power * said).sqrt(), (power * (1 - said)).sqrt()


@lru_cache(maxsize=8)
def white(frames: int, device: torch.device) -> Tensor:
    """The spectra [1, T, F], phases centred, of a wave of white noise, of power 1 in each bin.

    A wave's, so that its frames agree where they overlap; and always the same one.
    """
    generator = torch.Generator().manual_seed(0)
    wave = torch.randn((1, (frames - 1) * HOP + N_FFT), generator=generator)
    return stft(wave.to(device)) / torch.linalg.vector_norm(_window(device))


def phases(magnitude: Tensor, advance: Tensor, delay: Tensor) -> Tensor:
    """Phases [B, T, F] of the window's middle, from how they change, in radians, each [B, T, F].

    A peak goes on from where its bin was a frame ago. The bins around it, up to half way to the
    next peak, are as far from it as `delay` says. Where sound begins there is no frame to go on
    from: `delay` alone, added up from bin 0, gives all that begins together one moment to begin.
    """
    own = peaks(magnitude)
    across = torch.cat([torch.zeros_like(delay[..., :1]), delay[..., 1:]], -1).cumsum(-1)
    step = advance + 2 * math.pi * HOP / N_FFT * torch.arange(BINS, device=advance.device)
    before = pad(magnitude, (0, 0, 1, 0))[:, :-1]
    begins = before < NEW * magnitude
    begins[:, 0] = True
    # Of each bin's peak: whether it goes on, and how far the bin is ahead of where it was.
    goes_on = (~begins).float().gather(-1, own)
    ahead = (torch.where(begins, across, step) - across).gather(-1, own) + across
    ahead = ahead.remainder(2 * math.pi)  # or fractions would be lost in their sum
    phase, found = torch.zeros_like(across[:, 0]), []
    for on, by, peak in zip(goes_on.unbind(1), ahead.unbind(1), own.unbind(1), strict=True):
        phase = torch.addcmul(by, phase.gather(-1, peak), on)
        found.append(phase)
    return torch.stack(found, 1)


def peaks(magnitude: Tensor) -> Tensor:
    """The bin of the nearest peak, of each bin of magnitudes [..., F]."""
    edges = pad(magnitude, (1, 1), value=-1.0)
    peak = (magnitude > edges[..., :-2]) & (magnitude >= edges[..., 2:])
    bins = torch.arange(magnitude.shape[-1], device=magnitude.device).expand_as(magnitude)
    far = 2 * magnitude.shape[-1]
    below = torch.where(peak, bins, -far).cummax(-1).values
    above = torch.where(peak, bins, far).flip(-1).cummin(-1).values.flip(-1)
    nearest = torch.where(bins - below <= above - bins, below, above)
    return nearest.clamp(0, magnitude.shape[-1] - 1)  # a flat spectrum has no peak


def stft(waves: Tensor) -> Tensor:
    """Waves [B, (T - 1) * HOP + N_FFT], edges included, as spectra [B, T, F], phases centred."""
    frames = waves.unfold(-1, N_FFT, HOP) * _window(waves.device)
    return torch.fft.rfft(frames) * _centre(waves.device)


def istft(spectrum: Tensor) -> Tensor:
    """Spectra [B, T, F], phases from the window's start, as the waves closest to them."""
    return torch.istft(
        spectrum.transpose(1, 2), N_FFT, HOP, window=_window(spectrum.device), center=True
    )


@cache
def _window(device: torch.device) -> Tensor:
    return torch.hann_window(N_FFT, device=device)


@cache
def _centre(device: torch.device) -> Tensor:
    """What turns phases [F] of the window's start into those of its middle, and back: 1, -1, 1."""
    return 1.0 - 2.0 * (torch.arange(BINS, device=device) % 2)


def _complex(real: Tensor, imaginary: Tensor) -> Tensor:
    return torch.complex(real.float(), imaginary.float())  # there are none of half precision


def _angle(value: Tensor) -> Tensor:
    """As torch.angle, in half the time."""
    return torch.atan2(value.imag.contiguous(), value.real.contiguous())
