"""Random changes of timbre that leave pitch and rhythm alone, on log-mels of a batch.

What the local encoder sees is changed and what is to be rebuilt is not, so that z cannot carry what
was changed (information perturbation, Choi et al., NeurIPS 2021, by a filter of its own).

Letters: B batch, T frames, M mels.
"""

import torch
from torch import Tensor

from core.dsae.layers import cosines

COSINES = 20  # the most ripples of a filter over the mels: finer than a formant, coarser than mels
DEPTH = 1.0  # standard deviation of a filter's gain: 4.3 dB, as log-mels are logarithms of power
LEVEL = 1.0  # and of the level
ENVELOPES = 0.5  # share of changed clips whose frames get the spectral envelopes of another clip
SMOOTH = 8  # the most cosines of such an envelope: with more it would hold single partials
LOUDER = 6.0  # the most that a rendition's frame is raised: 26 dB
NOISY = 0.1  # share of clips with noise: with a third, z is slow to learn the pitch
NOISE = (-18.0, -8.0)  # its level relative to a clip's loudest value: -78 to -35 dB


def random_filters(count: int, mels: int, device: torch.device) -> Tensor:
    """Gains [B, M] for log-mels: sums of cosines over the mels, from smooth to rippled."""
    order = torch.arange(1, COSINES + 1, device=device)
    most = torch.randint(1, COSINES + 1, (count, 1), device=device)
    depth = DEPTH * 2 * torch.rand(count, 1, device=device)
    weights = torch.randn(count, COSINES, device=device) * (order <= most)
    return (weights * depth * (2 / most).sqrt()) @ cosines(order, mels)


def filtered(x: Tensor, gains: Tensor, floor: float) -> Tensor:
    """Log-mels x [B, T, M] through filters [B, M]; what lies at the floor stays there."""
    # The floor is silence, which no filter makes louder: gains fade in over the first neper above.
    share = (x - floor).clamp(0, 1)
    return (x + share * gains[:, None]).clamp(min=floor)


def with_other_envelopes(x: Tensor, others: Tensor, order: Tensor) -> Tensor:
    """Log-mels x [B, T, M] whose frames have the spectral envelopes of `others` [B, T, M].

    An envelope is the sum of the first `order` [B] cosines over the mels, without the constant, so
    that frames keep their level. A filter that is one for all frames leaves how an envelope changes
    with the pitch, by which an instrument is recognised too.
    """
    orders = torch.arange(1, SMOOTH + 1, device=x.device)
    basis = cosines(orders, x.shape[2])
    used = orders <= order[:, None]  # [B, SMOOTH]
    difference = (others - x) @ basis.T * (2 / x.shape[2]) * used[:, None]
    return x + difference @ basis


def with_dynamics_of(x: Tensor, renditions: Tensor, floor: float) -> Tensor:
    """Log-mels `renditions` [B, T, M] with the loudness of x [B, T, M] in each frame.

    Two players' renditions of a phrase share notes, but not how these swell and fade. The loudness
    of a frame is the log of its summed power. Frames become up to LOUDER louder, for what has faded
    to noise cannot be brought back, and silence stays silent.
    """
    gains = (x.logsumexp(2) - renditions.logsumexp(2)).clamp(max=LOUDER)[..., None]
    share = (renditions - floor).clamp(0, 1)  # as in `filtered`
    return (renditions + share * gains).clamp(min=floor)


def perturbed(x: Tensor, share: float, floor: float) -> Tensor:
    """Log-mels x [B, T, M], a `share` of the clips changed.

    Half of those get the spectral envelopes of another clip, frame by frame. All pass a random
    filter, and half of them one that goes part of the way to another's long-term spectrum. Levels
    change, and some clips get noise.
    """
    batch, device = len(x), x.device
    own = x
    others = x[torch.randperm(batch, device=device)].roll(int(torch.randint(x.shape[1], ())), 1)
    order = torch.randint(2, SMOOTH + 1, (batch,), device=device)
    order = order * (torch.rand(batch, device=device) < ENVELOPES)
    x = with_other_envelopes(x, others, order).clamp(min=floor)
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
    return torch.where(torch.rand(batch, 1, 1, device=device) < share, changed, own)
