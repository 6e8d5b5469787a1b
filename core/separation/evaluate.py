"""How well mixtures were taken apart, measured as in FUSS and in the MixIT paper.

Wisdom et al., What's All the FUSS About Free Universal Sound Separation Data? (ICASSP 2021), and
Unsupervised Sound Separation Using Mixture Invariant Training (NeurIPS 2020).
Letters: B mixtures, N references, M channels, S samples.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from core.separation import objective
from core.statistics import interval

ACTIVE = 0.01  # of the quietest reference's power: a channel 20 dB below it holds nothing


class Figures(NamedTuple):
    """What was measured of each of B mixtures, every number finite.

    A reference that is silent is absent. A channel is active when its power is above ACTIVE times
    that of the quietest reference. Only references whose channel is active count: where `counted`
    is 0, `si_snr` and `si_snri` say nothing.
    """

    sources: Tensor  # [B] references that are there
    active: Tensor  # [B] channels that hold something
    counted: Tensor  # [B] references that count
    si_snr: Tensor  # [B] mean over them of the SI-SNR in dB
    si_snri: Tensor  # [B] mean over them of the improvement on the mixture, in dB
    momi: Tensor  # [B] dB; 0 where the references are not two


def figures(mixture: Tensor, references: Tensor, channels: Tensor) -> Figures:
    """Measure channels [B, M, S] of mixtures [B, S] against their references [B, N, S].

    While there are as many channels as references, each reference is given a channel of its own,
    in the permutation with the best mean SI-SNR. Where there are more references than channels,
    each takes the channel that is best for it, so that none is left out of the mean. A wave that is
    not finite counts as silent.
    """
    mixture, references, channels = (_finite(x) for x in (mixture, references, channels))
    pairs = objective.si_snr_of_pairs(channels, references).cpu()  # [B, M, N]
    before = objective.si_snr_of_pairs(mixture[:, None], references)[:, 0].cpu()  # [B, N]
    power, loudness = _power(references).cpu(), _power(channels).cpu()
    rows = [_of_one(*one) for one in zip(pairs, before, power, loudness, strict=True)]
    columns = [torch.tensor(column) for column in zip(*rows, strict=True)]
    return Figures(*columns, _of_two_clips(mixture, references, channels))


def _of_one(
    pairs: Tensor, before: Tensor, power: Tensor, loudness: Tensor
) -> tuple[int, int, int, float, float]:
    """From `pairs` [M, N], the mixture's own SI-SNR [N], and powers [N] and [M]."""
    there = power > 0
    if not there.any():
        return 0, int((loudness > 0).sum()), 0, 0.0, 0.0
    active = loudness > ACTIVE * power[there].min()
    channel = align(pairs[:, there])
    counts = active[channel]
    found = pairs[channel, there.nonzero()[:, 0]][counts]
    if not len(found):
        return int(there.sum()), int(active.sum()), 0, 0.0, 0.0
    gained = (found - before[there][counts]).mean()
    return int(there.sum()), int(active.sum()), len(found), float(found.mean()), float(gained)


def align(pairs: Tensor) -> Tensor:
    """The channel [N] of each reference, from what each pair scores [M, N]; see `figures`."""
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
    """MoMi [B]: by how many dB sums of channels are nearer to the clips [B, 2, S] than the mixture.

    `assignment` [B, M] is that of the mixture invariant loss. A clip that is silent, or was given
    no channel or silence, has gained nothing: 0 dB.
    """
    mixture = references.sum(dim=1) if mixture is None else mixture
    given = objective.sums(channels, assignment, references.shape[1])
    gained = objective.si_snr(given, references)
    gained = gained - objective.si_snr(mixture[:, None].expand_as(references), references)
    there = (_power(given) > 0) & (_power(references) > 0)
    return torch.where(there, gained, 0.0).mean(dim=1)


def joined(parts: Sequence[Figures]) -> Figures:
    """The figures of several batches as one."""
    return Figures(*(torch.cat(column) for column in zip(*parts, strict=True)))


def summary(measured: Figures) -> dict[str, Any]:
    """Scores `{value, low, high}` with 95 % bootstrap intervals that resample the mixtures.

    What fewer than two mixtures can tell is left out.
    """
    figure = {name: column.double().numpy() for name, column in measured._asdict().items()}
    sources, told = figure["sources"], figure["counted"] > 0
    chosen = {f"si_snri_{n}": ("si_snri", told & (sources == n)) for n in (2, 3, 4)}
    chosen |= {
        "msi": ("si_snri", told & (sources >= 2)),
        "momi": ("momi", sources == 2),
        "one_source": ("si_snr", told & (sources == 1)),
    }
    scores = {}
    for name, (column, rows) in chosen.items():
        for kind, statistic in (("median", np.median), ("mean", np.mean)):
            _add(scores, f"{name}_{kind}", figure[column][rows], statistic)
    found, there = figure["active"][sources > 0], sources[sources > 0]
    rates = {"under": found < there, "equal": found == there, "over": found > there}
    for name, rate in rates.items():
        _add(scores, name, rate.astype(float), np.mean)
    return scores


def gained_over(measured: Figures, other: Figures) -> dict[str, Any]:
    """`over_nmf`: by how much one improves on another, mixture by mixture, with its interval.

    The mean difference in SI-SNR improvement over the mixtures of two sources that both were
    measured on; the same mixtures are resampled for both, which says more than two intervals do.
    """
    both = (measured.sources == 2) & (measured.counted > 0) & (other.counted > 0)
    scores: dict[str, Any] = {}
    _add(scores, "over_nmf", (measured.si_snri - other.si_snri)[both].double().numpy(), np.mean)
    return scores


def _add(scores: dict[str, Any], name: str, items: np.ndarray, statistic: Any) -> None:
    if len(items) > 1:
        scores[name] = interval(items, statistic)


def _power(waves: Tensor) -> Tensor:
    """Mean square [...] of waves [..., S], 0 of those without samples."""
    return waves.double().square().sum(dim=-1) / max(1, waves.shape[-1])


def _finite(waves: Tensor) -> Tensor:
    return torch.where(waves.isfinite().all(dim=-1, keepdim=True), waves, 0.0)
