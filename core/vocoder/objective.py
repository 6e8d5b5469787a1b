"""The vocoder's losses: magnitudes, phase increments, and which phases can be predicted.

The wave itself is not compared, since a log-mel does not determine its phase.
Letters: B clips, T frames, F bins, S samples.
"""

import math

import torch
from torch import Tensor

from core.vocoder.model import BINS, HOP, N_FFT, TINY, Spectra

RESOLUTIONS = (512, 1024, 2048)  # samples of the windows, a quarter of them a hop
QUIET = 1e-3  # added to magnitudes before their logarithm is taken
SILENT = 1.0  # added to a clip's norm, which sound at LEVEL has some hundreds of
OVERLAP = 0.659  # how alike frames of white noise are to the next: their windows' correlation
MOST = 20.0  # times what was said, the power from which a bin counts no more
EPS = 1e-9


def losses(said: Spectra, truth: Tensor, weights: dict[str, float]) -> dict[str, Tensor]:
    """Every term, and their weighted sum as `loss`.

    `said`: of T frames. `truth`: the true STFT [B, T + 1, F], centred, with the frame before them.
    """
    spectrum = truth[:, 1:]
    magnitude = spectrum.abs()
    terms = {
        "magnitude": (said.log_magnitude - (magnitude + TINY).log()).abs().mean(),
        "convergence": convergence(magnitude, said.magnitude),
        "advance": apart(said.advance, advance(truth)),
        "delay": apart(said.delay[..., 1:], delay(spectrum)),
    }
    weighted = [weights[name] * term for name, term in terms.items()]
    return {"loss": sum(weighted[1:], weighted[0]), **terms}


def advance(truth: Tensor) -> Tensor:
    """How far phases of [B, T + 1, F] moved on to each of T frames beyond the bins' own turn.

    As complex numbers [B, T, F] whose size is how much it matters: the root of the magnitudes'
    geometric mean.
    """
    return _rooted(_onward(truth))


def _onward(truth: Tensor) -> Tensor:
    bins = torch.arange(BINS, device=truth.device)
    turn = torch.polar(torch.ones(BINS, device=truth.device), -2 * math.pi * HOP / N_FFT * bins)
    return truth[:, 1:] * truth[:, :-1].conj() * turn


def delay(spectrum: Tensor) -> Tensor:
    """How much the phases of [B, T, F] differ from bin to bin: complex numbers [B, T, F - 1]."""
    return _rooted(spectrum[..., 1:] * spectrum[..., :-1].conj())


def _rooted(product: Tensor) -> Tensor:
    """Complex products with the fourth root of their size."""
    return product / (product.abs() + EPS).pow(0.75)


def apart(said: Tensor, true: Tensor) -> Tensor:
    """1 - cos of the angle between complex numbers, a mean weighted by the size of the true ones.

    From 0 to 2; 1 is what chance reaches.
    """
    along = (said.real * true.real + said.imag * true.imag) / (said.abs() + EPS)
    return 1 - along.sum() / (true.abs().sum() + EPS)


def tonality(said: Spectra, truth: Tensor) -> Tensor:
    """How far from the truth is what is said to be tonal: a squared error, least for the mean.

    Two frames of a tone are alike once the phase has advanced as said: their coherence is 1. Noise
    is as alike as windows overlap and turns by its bin's frequency, OVERLAP times the cosine of
    what is said beyond that. Both in one bin are between, in proportion to their power. Bins count
    by their power over what was said of it, which makes a ratio of means of the least score, and by
    the root of what was said, so that loud ones count more.
    """
    power = (truth[:, 1:].abs().square() + truth[:, :-1].abs().square()) / 2
    onward = _onward(truth)
    size = said.advance.abs() + EPS
    along = (onward.real * said.advance.real + onward.imag * said.advance.imag) / size
    expected = said.log_magnitude.exp()
    weight = (power / expected.square()).clamp(max=MOST) * expected.sqrt()
    noise = OVERLAP * said.advance.real / size
    coherence = noise + (1 - noise) * said.tonal
    return (weight * (coherence - along / (power + EPS)).square()).sum() / (weight.sum() + EPS)


def convergence(true: Tensor, said: Tensor) -> Tensor:
    """Spectral convergence of magnitudes [B, T, F] (Arik et al. 2019), mean of B clips."""
    difference = torch.linalg.vector_norm(true - said, dim=(1, 2))
    return (difference / (torch.linalg.vector_norm(true, dim=(1, 2)) + SILENT)).mean()


def stft_distance(wave: Tensor, original: Tensor) -> tuple[Tensor, Tensor]:
    """Multi-resolution STFT distance (Yamamoto et al. 2020) of waves [B, S] to their originals.

    Spectral convergence and the mean absolute difference of log magnitudes in dB, each [B], means
    over the RESOLUTIONS.
    """
    found = []
    for window in RESOLUTIONS:
        said, true = (_magnitude(x, window) for x in (wave, original))
        size = torch.linalg.vector_norm(true, dim=(1, 2)) + QUIET
        ratio = torch.linalg.vector_norm(true - said, dim=(1, 2)) / size
        decibels = 20 * ((true + QUIET).log10() - (said + QUIET).log10()).abs().mean(dim=(1, 2))
        found.append(torch.stack([ratio, decibels]))
    return tuple(torch.stack(found).mean(0))


def _magnitude(waves: Tensor, window: int) -> Tensor:
    hann = torch.hann_window(window, device=waves.device)
    return torch.stft(
        waves, window, window // 4, window=hann, center=True, return_complex=True
    ).abs()
