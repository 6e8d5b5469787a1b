"""Log-mels back to waveforms: the live way, by fitting the mel itself, and the paper's way."""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch.nn.functional import pad

from core.audio.clip import SAMPLE_RATE
from core.audio.mel import EPSILON, HOP, N_FFT, N_MELS, mel_basis
from core.errors import RavelError

Route = Literal["live", "paper"]
ITERATIONS = {"live": 16, "paper": 32}
MIN_FRAMES = 1 + N_FFT // 2 // HOP + 1  # the reflected edges need as much sound
LOUDEST = 16.0  # a full-scale sine at 16 kHz stays below 15
MEL_STEPS = 10  # of the fit before any phase is known
MOMENTUM = 0.99 / 1.99  # as torchaudio counts 0.99
BATCH = 16  # clips at once, to bound the memory
FLOOR = 1e-12
CUTS = (0, 160, 416, N_FFT // 2 + 1)  # bins: bands are the narrower the lower they are


@torch.no_grad()
def to_waveform(
    log_mel: torch.Tensor, *, route: Route = "live", iterations: int | None = None, seed: int = 0
) -> torch.Tensor:
    """Log-mels [..., T, 80] as waves float32 [..., (T - 1) * 256] at their own level.

    "live": a non-negative fit of the power spectrum to the mel, then fast Griffin-Lim whose
    magnitudes keep following the mel. "paper": least squares and Griffin-Lim (section 4.1). The
    same `seed` gives the same wave, alone or in a batch, and the global random state stays as it
    is. NaN counts as silence. RavelError for any other shape or route.
    """
    log_mel = torch.as_tensor(log_mel).float()
    if route not in ITERATIONS:
        raise RavelError(f"There is no route {route!r} back to sound: choose live or paper.")
    check(log_mel)
    flat = log_mel.reshape(-1, *log_mel.shape[-2:])
    power = flat.nan_to_num(nan=-torch.inf).clamp(max=LOUDEST).exp().clamp(min=EPSILON)  # [B, T, M]
    invert = _live if route == "live" else _paper
    count = ITERATIONS[route] if iterations is None else iterations
    waves = [invert(chunk, count, seed) for chunk in power.split(BATCH)]
    return torch.cat(waves).reshape(*log_mel.shape[:-2], -1)


def check(log_mel: torch.Tensor) -> None:
    """Raises RavelError unless a tensor has the shape of log-mels that can be made sound."""
    if log_mel.ndim < 2 or log_mel.shape[-1] != N_MELS or log_mel.shape[-2] < MIN_FRAMES:
        raise RavelError(
            f"A log-mel has the shape [..., frames, {N_MELS}] with {MIN_FRAMES} frames "
            f"or more, got {list(log_mel.shape)}."
        )


@torch.no_grad()
def refine(wave: torch.Tensor, log_mel: torch.Tensor, rounds: int) -> torch.Tensor:
    """Waves [B, (T - 1) * 256] brought nearer to log-mels [B, T, 80] by rounds of the live route.

    They begin with the phases and, within each band, the magnitudes that the waves have.
    """
    power = log_mel.float().clamp(max=LOUDEST).exp().clamp(min=EPSILON)
    return _rounds(_stft(wave), power, rounds) if rounds else wave


def _live(mel: torch.Tensor, iterations: int, seed: int) -> torch.Tensor:
    """Power mels [B, T, M] as waves [B, S]: Griffin-Lim with a step of the mel fit in each round.

    Holding the magnitudes of one fixed guess, as usual, would freeze what the mel does not say:
    where in a band the energy lies. The rebuilt spectrum knows, so the fit goes on from there.
    """
    return _rounds(_random_phase(mel, seed) * _fit(mel).sqrt(), mel, iterations)


def _rounds(spectrum: torch.Tensor, mel: torch.Tensor, iterations: int) -> torch.Tensor:
    """Waves [B, S] of spectra [B, T, F] after as many rounds towards power mels [B, T, M].

    In the same memory in each round: to ask for it anew would take a quarter of the time.
    """
    spectrum = spectrum.clone()
    rebuilt, previous = torch.empty_like(spectrum), torch.zeros_like(spectrum)
    frames = mel.new_empty(*spectrum.shape[:2], N_FFT)
    power, spare = (mel.new_empty(spectrum.shape) for _ in range(2))
    for _ in range(iterations):
        _stft(_istft(spectrum, frames), frames, rebuilt)
        _step(_power(rebuilt, power), mel, spare, over=True)
        torch.sub(rebuilt, previous, alpha=MOMENTUM, out=spectrum)
        spectrum *= power.div_(_power(spectrum, spare).add_(FLOOR)).sqrt_()
        previous, rebuilt = rebuilt, previous
    return _istft(spectrum, frames)


def _fit(mel: torch.Tensor) -> torch.Tensor:
    """The non-negative power spectrum [B, T, F] whose mel is `mel`, from its back-projection."""
    basis = mel_basis(mel.device)  # [F, M]
    power = (mel @ basis.T) / (basis @ basis.sum(0) + FLOOR)
    spare = torch.empty_like(power)
    for _ in range(MEL_STEPS):
        _step(power, mel, spare)
    return power


def _step(power: torch.Tensor, mel: torch.Tensor, spare: torch.Tensor, over: bool = False) -> None:
    """One multiplicative step of `power` towards `mel`, in Kullback-Leibler divergence.

    After Lee and Seung (2001). It reaches a log-mel in fewer steps than the least-squares update
    does, because quiet bands count as much as loud ones. `over` steps half as far again. `power`
    is changed, and `spare`, as large, is written over.
    """
    reached = torch.zeros_like(mel)
    for bins, bands, basis, _ in _blocks(mel.device):
        reached[..., bands] += power[..., bins] @ basis
    ratio = torch.div(mel, reached.add_(FLOOR), out=reached)
    for bins, bands, _, share in _blocks(mel.device):
        torch.matmul(ratio[..., bands], share, out=spare[..., bins])
    ratio = spare.clamp_(1e-3, 1e3)
    power.mul_(ratio.mul_(ratio.sqrt()) if over else ratio)


class _Block(NamedTuple):
    """Some bins, F of them, and the bands, M, that they are in: the others have nothing of them.

    `basis` [F, M] is the mel's own, `share` [M, F] how much each band has to say about each bin.
    """

    bins: slice
    bands: slice
    basis: torch.Tensor
    share: torch.Tensor


@cache
def _blocks(device: torch.device) -> tuple[_Block, ...]:
    """The mel basis, mostly zeros, as blocks without most of them: in half the time."""
    basis = mel_basis(device)
    share = (basis / (basis.sum(1, keepdim=True) + FLOOR)).T  # bins of no band get nothing
    blocks = []
    for first, end in pairwise(CUTS):
        bands = basis[first:end].any(0).nonzero().flatten()
        part = slice(int(bands[0]), int(bands[-1]) + 1)
        parts = basis[first:end, part], share[part, first:end]
        blocks.append(_Block(slice(first, end), part, *(each.contiguous() for each in parts)))
    return tuple(blocks)


def _random_phase(mel: torch.Tensor, seed: int) -> torch.Tensor:
    """Unit phasors [1, T, F], the same for all clips, so that a batch changes none of them."""
    generator = torch.Generator().manual_seed(seed)
    shape = (1, mel.shape[1], N_FFT // 2 + 1)
    phase = torch.rand(shape, dtype=torch.complex64, generator=generator)
    return (phase / (phase.abs() + FLOOR)).to(mel.device)


def _power(spectrum: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    real, imaginary = spectrum.real, spectrum.imag
    return torch.square(real, out=out).addcmul_(imaginary, imaginary)  # half the cost of abs


# torch.stft and torch.istft want [F, T]; frames first, as here, saves every transposition.


def _stft(
    wave: torch.Tensor, frames: torch.Tensor | None = None, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Waves [B, S] as spectra [B, T, F], centred, with reflected edges.

    `frames` [B, T, 2048] and `out` [B, T, F] are written over where they are given.
    """
    edges = pad(wave[:, None], (N_FFT // 2, N_FFT // 2), mode="reflect")[:, 0]
    frames = torch.mul(edges.unfold(-1, N_FFT, HOP), _window(wave.device), out=frames)
    return torch.fft.rfft(frames, out=out)


def _istft(spectrum: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Spectra [B, T, F] as the waves [B, (T - 1) * 256] closest to them (Griffin and Lim 1984).

    `frames` [B, T, 2048] is written over.
    """
    torch.fft.irfft(spectrum, out=frames).mul_(_window(spectrum.device))
    wave = _overlap_add(frames).div_(_envelope(frames.shape[1], frames.device))
    return wave[:, N_FFT // 2 : -(N_FFT // 2)]


def _overlap_add(frames: torch.Tensor) -> torch.Tensor:
    """Frames [B, T, 2048] added up, each 256 samples after the last: [B, (T + 7) * 256]."""
    count, overlap = frames.shape[1], N_FFT // HOP
    wave = frames.new_zeros(len(frames), count + overlap - 1, HOP)
    for i in range(overlap):
        wave[:, i : i + count] += frames[..., i * HOP : (i + 1) * HOP]
    return wave.flatten(1)


@cache
def _window(device: torch.device) -> torch.Tensor:
    return torch.hann_window(N_FFT, device=device)


@lru_cache(maxsize=8)
def _envelope(frames: int, device: torch.device) -> torch.Tensor:
    return _overlap_add(_window(device).square().expand(1, frames, N_FFT)).clamp(min=FLOOR)


def _paper(mel: torch.Tensor, iterations: int, seed: int) -> torch.Tensor:
    """Power mels [B, T, M] as waves [B, S], by torchaudio with the settings of the authors."""
    spectrum = _inverse_mel_scale(mel.device)(mel.transpose(1, 2))  # [B, F, T]
    griffin_lim = _griffin_lim(mel.device, iterations)
    return torch.cat([_seeded(griffin_lim, one, seed) for one in spectrum.split(1)])


def _seeded(function: torch.nn.Module, value: torch.Tensor, seed: int) -> torch.Tensor:
    devices = [value.device] if value.is_cuda else []
    with torch.random.fork_rng(devices=devices):
        # torch.manual_seed would also seed the devices that are not forked.
        torch.default_generator.manual_seed(seed)
        if value.is_cuda:
            torch.cuda.default_generators[value.device.index or 0].manual_seed(seed)
        return function(value)


@cache
def _inverse_mel_scale(device: torch.device) -> torch.nn.Module:
    from torchaudio.transforms import InverseMelScale

    return InverseMelScale(N_FFT // 2 + 1, N_MELS, SAMPLE_RATE).to(device)


@cache
def _griffin_lim(device: torch.device, iterations: int) -> torch.nn.Module:
    from torchaudio.transforms import GriffinLim

    return GriffinLim(N_FFT, iterations, hop_length=HOP, power=2.0, momentum=0.99).to(device)
