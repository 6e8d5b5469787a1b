"""Random changes of timbre that leave pitch and rhythm alone, on log-mels of a batch.

What the local encoder sees is changed and what is to be rebuilt is not, so that z cannot carry what
was changed (information perturbation, Choi et al., NeurIPS 2021, by a filter of its own).

Letters: B batch, T frames, M mels.
"""

import math

import torch
from torch import Tensor

COSINES = 20  # the most ripples of a filter over the mels: finer than a formant, coarser than mels
DEPTH = 1.0  # standard deviation of a filter's gain: 4.3 dB, as log-mels are logarithms of power
LEVEL = 1.0  # and of the level
NOISY = 0.1  # share of clips with noise: with a third, z is slow to learn the pitch
NOISE = (-18.0, -8.0)  # its level relative to a clip's loudest value: -78 to -35 dB


def random_filters(count: int, mels: int, device: torch.device) -> Tensor:
    """Gains [B, M] for log-mels: sums of cosines over the mels, from smooth to rippled."""
    order = torch.arange(1, COSINES + 1, device=device)
    band = (torch.arange(mels, device=device) + 0.5) / mels
    cosines = torch.cos(math.pi * order[:, None] * band)  # [COSINES, M]
    most = torch.randint(1, COSINES + 1, (count, 1), device=device)
    depth = DEPTH * 2 * torch.rand(count, 1, device=device)
    weights = torch.randn(count, COSINES, device=device) * (order <= most)
    return (weights * depth * (2 / most).sqrt()) @ cosines


def filtered(x: Tensor, gains: Tensor, floor: float) -> Tensor:
    """Log-mels x [B, T, M] through filters [B, M]; what lies at the floor stays there."""
    # The floor is silence, which no filter makes louder: gains fade in over the first neper above.
    share = (x - floor).clamp(0, 1)
    return (x + share * gains[:, None]).clamp(min=floor)


def perturbed(x: Tensor, share: float, floor: float) -> Tensor:
    """Log-mels x [B, T, M], a `share` of the clips changed.

    Each of those passes a random filter, and half of them one that goes part of the way to the
    long-term spectrum of another clip. Levels change, and some clips get noise.
    """
    batch, device = len(x), x.device
    gains = random_filters(batch, x.shape[2], device)
    gains = gains + LEVEL * torch.randn(batch, 1, device=device)
    spectrum = x.mean(1)
    towards = torch.rand(batch, 1, device=device) * (torch.rand(batch, 1, device=device) < 0.5)
    gains = gains + towards * (spectrum[torch.randperm(batch, device=device)] - spectrum)
    changed = filtered(x, gains, floor)
    low, high = NOISE
    level = low + (high - low) * torch.rand(batch, 1, 1, device=device)
    noise = changed.amax((1, 2), keepdim=True) + level + 0.5 * torch.randn_like(x)
    tilt = random_filters(batch, x.shape[2], device)[:, None]
    noisy = torch.logaddexp(changed, noise + tilt)
    changed = torch.where(torch.rand(batch, 1, 1, device=device) < NOISY, noisy, changed)
    return torch.where(torch.rand(batch, 1, 1, device=device) < share, changed, x)
