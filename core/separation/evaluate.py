"""Scores of separated mixtures, as in FUSS and in the MixIT paper.

Wisdom et al., What's All the FUSS About Free Universal Sound Separation Data? (ICASSP 2021), and
Unsupervised Sound Separation Using Mixture Invariant Training (NeurIPS 2020).
Letters: B mixtures, N references, M channels, S samples.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from core.separation import objective
from core.statistics import interval

# Share of a power above which a channel is active, -20 dB: of the quietest reference's in FUSS, and
# where there is no reference of the mixture's.
ACTIVE = 0.01


class Figures(NamedTuple):
    """The measurements of each of B mixtures, all finite.

    Silent references are ignored. A channel is active if its power is above ACTIVE times that of
    the quietest reference. Only references whose channel is active count: if `counted` is 0,
    `si_snr` and `si_snri` are meaningless.
    """

    sources: Tensor  # [B] references that are not silent
    active: Tensor  # [B] active channels
    counted: Tensor  # [B] references that count
    si_snr: Tensor  # [B] their mean SI-SNR in dB
    si_snri: Tensor  # [B] their mean improvement over the mixture in dB
    momi: Tensor  # [B] dB; 0 unless there are two references


def figures(mixture: Tensor, references: Tensor, channels: Tensor) -> Figures:
    """Measure channels [B, M, S] of mixtures [B, S] against their references [B, N, S].

    With at least as many channels as references, each reference gets a channel of its own, in the
    permutation with the best mean SI-SNR. With fewer channels, each reference takes the channel
    that suits it best, so that all count in the mean. A wave that is not finite counts as silent.
    """
    mixture, references, channels = (_finite(x) for x in (mixture, references, channels))
    pairs = objective.si_snr_of_pairs(channels, references).cpu()  # [B, M, N]
    before = objective.si_snr_of_pairs(mixture[:, None], references)[:, 0].cpu()  # [B, N]
    power, loudness = _power(references).cpu(), _power(channels).cpu()
    rows = [_of_one(*one) for one in zip(pairs, before, power, loudness, strict=True)]
    columns = (torch.tensor(column) for column in zip(*rows, strict=True))
    sources, active, counted, si_snr, si_snri = columns
    momi = _of_two_clips(mixture, references, channels)
    return Figures(sources, active, counted, si_snr, si_snri, momi)


def _of_one(
    pairs: Tensor, before: Tensor, power: Tensor, loudness: Tensor
) -> tuple[int, int, int, float, float]:
    """From `pairs` [M, N], the mixture's own SI-SNR [N], and powers [N] and [M]."""
    present = power > 0
    if not present.any():
        return 0, int((loudness > 0).sum()), 0, 0.0, 0.0
    active = loudness > ACTIVE * power[present].min()
    channel = align(pairs[:, present])
    counts = active[channel]
    si_snr = pairs[channel, present.nonzero()[:, 0]][counts]
    sizes = int(present.sum()), int(active.sum()), len(si_snr)
    if not len(si_snr):
        return *sizes, 0.0, 0.0
    improvement = (si_snr - before[present][counts]).mean()
    return *sizes, float(si_snr.mean()), float(improvement)


def active_channels(channels: Tensor, mixture: Tensor | None = None) -> Tensor:
    """Which of the channels [..., M, S] hold sound, bool [..., M]; none of a silent mixture does.

    A channel is active if it is less than 20 dB below the mixture [..., S], by default their sum.
    Unlike in `figures` no reference is needed.
    """
    mixture = channels.sum(dim=-2) if mixture is None else mixture
    return _power(channels) > ACTIVE * _power(mixture)[..., None]


def align(pairs: Tensor) -> Tensor:
    """The channel [N] of each reference, from the SI-SNR of all pairs [M, N]; see `figures`."""
    if pairs.shape[0] < pairs.shape[1]:
        return pairs.argmax(dim=0)
    return torch.from_numpy(linear_sum_assignment(pairs.T.numpy(), maximize=True)[1])


def _of_two_clips(mixture: Tensor, references: Tensor, channels: Tensor) -> Tensor:
    if references.shape[1] != 2:
        return torch.zeros(len(references))
    return momi(references, channels, objective.assign(references, channels), mixture).cpu()


def momi(
    references: Tensor, channels: Tensor, assignment: Tensor, mixture: Tensor | None = None
) -> Tensor:
    """MoMi [B]: SI-SNR improvement in dB of sums of channels over the mixture, for clips [B, 2, S].

    `assignment` [B, M] is that of the mixture invariant loss. A clip that is silent, or was
    assigned no channel or only silence, counts as 0 dB.
    """
    mixture = references.sum(dim=1) if mixture is None else mixture
    sums = objective.sums(channels, assignment, references.shape[1])
    improvement = objective.si_snr(sums, references)
    improvement = improvement - objective.si_snr(mixture[:, None].expand_as(references), references)
    audible = (_power(sums) > 0) & (_power(references) > 0)
    return torch.where(audible, improvement, 0.0).mean(dim=1)


def joined(parts: Sequence[Figures]) -> Figures:
    """The figures of several batches, concatenated."""
    return Figures(*(torch.cat(column) for column in zip(*parts, strict=True)))


def summary(measured: Figures) -> dict[str, Any]:
    """Scores `{value, low, high}` with 95 % bootstrap intervals that resample the mixtures.

    `mean` and `median` are over mixtures. `per_source`, as in FUSS, is the mean over all sources
    that count, so that a mixture of four weighs twice as much as one of two. Scores of fewer than
    two mixtures are left out.
    """
    figure = {name: column.double().numpy() for name, column in measured._asdict().items()}
    sources, counted = figure["sources"], figure["counted"] > 0
    chosen = {f"si_snri_{n}": ("si_snri", counted & (sources == n)) for n in (2, 3, 4)}
    chosen |= {
        "msi": ("si_snri", counted & (sources >= 2)),
        "momi": ("momi", sources == 2),
        "one_source": ("si_snr", counted & (sources == 1)),
    }
    scores: dict[str, Any] = {}
    for name, (column, rows) in chosen.items():
        for kind, statistic in (("median", np.median), ("mean", np.mean)):
            _add(scores, f"{name}_{kind}", figure[column][rows], statistic)
        if column == "si_snri":
            over_sources = partial(_mean_over_sources, figure["si_snri"], figure["counted"])
            _add(scores, f"{name}_per_source", rows.nonzero()[0], over_sources)
    active, true = figure["active"][sources > 0], sources[sources > 0]
    rates = {"under": active < true, "equal": active == true, "over": active > true}
    for name, rate in rates.items():
        _add(scores, name, rate.astype(float), np.mean)
    return scores


def gained_over(measured: Figures, other: Figures) -> dict[str, Any]:
    """`over_nmf`: the mean difference in SI-SNR improvement between two systems.

    Paired over the mixtures of two sources that both were measured on: resampling the same mixtures
    for both gives a tighter interval than two separate ones.
    """
    both = (measured.sources == 2) & (measured.counted > 0) & (other.counted > 0)
    scores: dict[str, Any] = {}
    _add(scores, "over_nmf", (measured.si_snri - other.si_snri)[both].double().numpy(), np.mean)
    return scores


def _mean_over_sources(means: np.ndarray, counted: np.ndarray, mixtures: np.ndarray) -> float:
    """From each mixture's mean and number of sources [B]: the mean over sources of `mixtures`."""
    return np.average(means[mixtures], weights=counted[mixtures])


def _add(scores: dict[str, Any], name: str, items: np.ndarray, statistic: Any) -> None:
    if len(items) > 1:
        scores[name] = interval(items, statistic)


def _power(waves: Tensor) -> Tensor:
    """Mean square [...] of waves [..., S], 0 of those without samples."""
    return waves.double().square().sum(dim=-1) / max(1, waves.shape[-1])


def _finite(waves: Tensor) -> Tensor:
    return torch.where(waves.isfinite().all(dim=-1, keepdim=True), waves, 0.0)
