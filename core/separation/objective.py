"""Losses of separation: thresholded SNR, the mixture invariant loss, and its supervised cousin.

Wisdom et al., Unsupervised Sound Separation Using Mixture Invariant Training (NeurIPS 2020), and
for many channels and their sparsity Wisdom et al., Sparse, Efficient, and Semantic Mixture
Invariant Training (WASPAA 2021). B batch, N references, M channels, S samples.
"""

import itertools
from functools import cache

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

EPSILON = 1e-8
TINY = 1e-200  # of doubles: keeps silence from dividing by zero
EXACT = 4096  # assignments up to which all are scored: 12 channels of two references


def negative_snr(reference: Tensor, estimate: Tensor, snr_max: float = 30.0) -> Tensor:
    """-SNR [...] in dB of `estimate` [..., S], softly bounded at -`snr_max` (equation 1).

    A silent reference has no SNR: there it is the level of the estimate, in dB, bounded likewise.
    """
    tau = 10 ** (-snr_max / 10)
    power = reference.square().sum(dim=-1)
    error = (reference - estimate).square().sum(dim=-1)
    floor = torch.where(power > 0, power, torch.ones_like(power))
    return 10 * torch.log10((error + tau * floor + EPSILON) / (floor + EPSILON))


def mixit(references: Tensor, estimates: Tensor, snr_max: float = 30.0) -> tuple[Tensor, Tensor]:
    """The mixture invariant loss [B] and the best assignment [B, M] (equation 2).

    `references` [B, N, S] are what was mixed, `estimates` [B, M, S] the channels. Every channel is
    given to one reference; the loss is the mean over references of the negative SNR of the sums of
    what each was given, in the best assignment. The gradient goes through the best alone.
    """
    best = assign(references, estimates, snr_max)
    return negative_snr(references, sums(estimates, best, references.shape[1]), snr_max).mean(
        dim=1
    ), best


def whole(clip: Tensor, estimates: Tensor, snr_max: float = 30.0) -> Tensor:
    """Negative SNR [B] of the channel of [B, M, S] that is nearest to the clip [B, S] by itself.

    For a mixture of one clip, with which MixIT is content however channels share it, for their sum
    is right. As channels sum to the clip, the others are as silent as the nearest is right.
    """
    return negative_snr(clip[:, None], estimates, snr_max).amin(dim=1)


def sums(estimates: Tensor, assignment: Tensor, count: int) -> Tensor:
    """What each of `count` references was given: channels [B, M, S] summed to [B, N, S]."""
    with torch.autocast(estimates.device.type, enabled=False):  # which would round them to bfloat16
        estimates = estimates.float()
        given = torch.nn.functional.one_hot(assignment, count).to(estimates.dtype)  # [B, M, N]
        return torch.einsum("bmn,bms->bns", given, estimates)


@torch.no_grad()
def assign(references: Tensor, estimates: Tensor, snr_max: float = 30.0) -> Tensor:
    """The best assignment [B, M]: exact while there are few, by least squares beyond."""
    if references.shape[1] ** estimates.shape[1] > EXACT:
        return assign_by_least_squares(references, estimates)
    return assign_exactly(references, estimates, snr_max)


@torch.no_grad()
def assign_exactly(references: Tensor, estimates: Tensor, snr_max: float = 30.0) -> Tensor:
    """All N^M assignments scored from inner products alone: no waveform is touched twice."""
    references, estimates = references.double(), estimates.double()  # autocast leaves these alone
    m, n = estimates.shape[1], references.shape[1]
    candidates = _candidates(m, n).to(estimates.device)  # [K, M]
    given = torch.nn.functional.one_hot(candidates, n).double()  # [K, M, N]
    cross = torch.einsum("bns,bms->bnm", references, estimates)
    gram = torch.einsum("bms,bks->bmk", estimates, estimates)
    power = references.square().sum(dim=-1)  # [B, N]
    error = power[:, None] - 2 * torch.einsum("kmn,bnm->bkn", given, cross)
    error = error + torch.einsum("kmn,bml,kln->bkn", given, gram, given)  # [B, K, N]
    floor = torch.where(power > 0, power, torch.ones_like(power))[:, None]
    tau = 10 ** (-snr_max / 10)
    loss = torch.log10((error.clamp(min=0) + tau * floor + EPSILON) / (floor + EPSILON))
    return candidates[loss.mean(dim=-1).argmin(dim=1)]


@torch.no_grad()
def assign_by_least_squares(references: Tensor, estimates: Tensor) -> Tensor:
    """Each channel to the reference it has most weight in, by least squares (WASPAA 2021)."""
    references, estimates = references.double(), estimates.double()
    cross = torch.einsum("bms,bns->bmn", estimates, references)
    gram = torch.einsum("bms,bks->bmk", estimates, estimates)
    ridge = 1e-6 * gram.diagonal(dim1=1, dim2=2).mean(dim=1) + EPSILON
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    weights = torch.linalg.solve(gram + ridge[:, None, None] * eye, cross)  # [B, M, N]
    return weights.argmax(dim=-1)


def sparsity(estimates: Tensor) -> Tensor:
    """How evenly sound is spread over channels [B, M, S]: L1 over L2 norm of their RMS, [B].

    Divided by M, as in the published code of Self-Remixing: from 1 / M, where one channel holds
    everything, to 1 / sqrt(M), where all are equally loud. The scale does not matter.
    """
    rms = estimates.square().mean(dim=-1).clamp(min=EPSILON).sqrt()
    return rms.sum(dim=-1) / (rms.shape[-1] * rms.norm(dim=-1))


def covariance(estimates: Tensor, mixture: Tensor) -> Tensor:
    """How much channels [B, M, S] have in common, [B]: 0 if they are uncorrelated.

    The mean magnitude of the covariances of two different channels, over the power of the mixture
    [B, S], so that neither the scale nor silent channels matter. The paper's own normalisation
    could not be checked.
    """
    with torch.autocast(estimates.device.type, enabled=False):
        estimates, m = estimates.float(), estimates.shape[1]
        gram = (estimates @ estimates.mT).abs()  # [B, M, M]
        shared = gram.sum(dim=(1, 2)) - gram.diagonal(dim1=1, dim2=2).sum(dim=1)
        power = mixture.float().square().sum(dim=-1).clamp(min=EPSILON)
        return shared / (m * (m - 1) * power)


def pit(references: Tensor, estimates: Tensor, snr_max: float = 30.0) -> tuple[Tensor, Tensor]:
    """The permutation invariant loss [B] and which reference each channel is, [B, M].

    The supervised comparison: `references` [B, N, S] are sources, N at most M; channels beyond
    them should be silent. The best permutation is found by the Hungarian algorithm.
    """
    missing = estimates.shape[1] - references.shape[1]
    references = torch.nn.functional.pad(references, (0, 0, 0, missing))
    pairs = negative_snr(references[:, None], estimates[:, :, None], snr_max)  # [B, M, N]
    found = [linear_sum_assignment(cost)[1] for cost in pairs.detach().float().cpu().numpy()]
    order = torch.stack([torch.from_numpy(row) for row in found]).to(pairs.device)
    return pairs.gather(2, order[..., None])[..., 0].mean(dim=1), order


def best_pairs(figures: Tensor) -> Tensor:
    """Each reference's figure [B, N] under the best permutation of channels, of all [B, M, N].

    No channel is used twice; M must not be below N.
    """
    found = [linear_sum_assignment(of_one.T, maximize=True)[1] for of_one in figures.cpu().numpy()]
    channels = torch.stack([torch.from_numpy(row) for row in found]).to(figures.device)  # [B, N]
    return figures.gather(1, channels[:, None])[:, 0]


def si_snr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-invariant SNR [...] in dB of `estimate` [..., S]; no mean is removed.

    As in the released code it is bounded at -80 and 80 dB; what is silent has -80.
    """
    estimate, reference = estimate.double(), reference.double()  # a float's cosine cannot tell
    alike = (estimate * reference).sum(dim=-1)
    return _decibels(alike, estimate.square().sum(dim=-1), reference.square().sum(dim=-1))


def si_snr_of_pairs(estimates: Tensor, references: Tensor) -> Tensor:
    """`si_snr` [B, M, N] of every one of `estimates` [B, M, S] against all of [B, N, S]."""
    estimates, references = estimates.double(), references.double()
    alike = estimates @ references.mT
    of_estimates, of_references = (x.square().sum(dim=-1) for x in (estimates, references))
    return _decibels(alike, of_estimates[:, :, None], of_references[:, None])


def _decibels(alike: Tensor, power: Tensor, other_power: Tensor) -> Tensor:
    """From an inner product of two waves and their powers."""
    cosine = alike.square() / (power * other_power).clamp(min=TINY)  # squared
    return 10 * torch.log10((cosine + EPSILON) / ((1 - cosine).clamp(min=0) + EPSILON)).float()


@cache
def _candidates(channels: int, references: int) -> Tensor:
    return torch.tensor(list(itertools.product(range(references), repeat=channels)))
