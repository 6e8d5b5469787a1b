"""Which clips are swapped with which, and intervals that know that such pairs share clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.statistics import RESAMPLES, draw_weights, macro_f1, percentile_interval

Interval = dict[str, float]  # value, low, high


@dataclass(frozen=True, eq=False)
class SwapPairs:
    """For each of P swaps the clips whose melody and whose instrument it should have, of `clips`.

    A pair of a clip with itself is a reconstruction, or the original.
    """

    source: np.ndarray
    target: np.ndarray
    clips: int

    def __len__(self) -> int:
        return len(self.source)

    def take(self, rows: np.ndarray) -> SwapPairs:
        """Some of the swaps, by index or mask."""
        return SwapPairs(self.source[rows], self.target[rows], self.clips)

    def weights(self, seed: int = 0) -> np.ndarray:
        """How often each swap is drawn when the clips are resampled [RESAMPLES, P]: the product of
        how often its two clips are."""
        counts = draw_weights(self.clips, RESAMPLES, seed)
        alone = self.source == self.target
        return counts[:, self.source] * np.where(alone, 1, counts[:, self.target])

    def mean(self, values: np.ndarray) -> Interval:
        """The mean of the values [P] that are not NaN, and its interval; empty without any."""
        good = np.isfinite(values)
        weights, values = self.take(good).weights().astype(float), values[good]
        totals = weights.sum(1)
        if not len(values):
            return {}
        drawn = (weights @ values)[totals > 0] / totals[totals > 0]
        return percentile_interval(float(values.mean()), drawn)

    def of(self, statistic: Callable[[np.ndarray], float]) -> Interval:
        """A statistic of the weights of the swaps [P], and its interval."""
        weights = self.weights()
        drawn = [statistic(weight) for weight in weights if weight.any()]
        return percentile_interval(statistic(np.ones(len(self))), drawn)


def everyone(clips: int) -> SwapPairs:
    """Each clip with itself."""
    return SwapPairs(np.arange(clips), np.arange(clips), clips)


def between_instruments(
    instrument: np.ndarray, targets: int | None = None, part: np.ndarray | None = None
) -> SwapPairs:
    """Each clip with `targets` clips of every other instrument (None: with all of them).

    The targets are dealt in turn, so that each is used about equally often. `part` [N]: only clips
    of one part are swapped with each other.
    """
    part = np.zeros(len(instrument), bool) if part is None else part
    names = sorted(set(instrument.tolist()))
    dealt: dict[tuple[str, str, bool], int] = {}  # so many targets of a pair of instruments
    sources: list[int] = []
    chosen: list[int] = []
    for name in names:
        for other in names:
            if other == name:
                continue
            for clip in np.flatnonzero(instrument == name):
                of_other = np.flatnonzero((instrument == other) & (part == part[clip]))
                if not len(of_other):
                    continue
                first = dealt.get((name, other, bool(part[clip])), 1)
                count = min(targets or len(of_other), len(of_other))
                sources += [int(clip)] * count
                chosen += [int(of_other[(first + k) % len(of_other)]) for k in range(count)]
                dealt[name, other, bool(part[clip])] = first + count
    return SwapPairs(np.array(sources, int), np.array(chosen, int), len(instrument))


def weighted_f1(expected: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
    """Macro-F1 over the labels of the items [P] that have a weight, by which they count."""
    rows = weight > 0
    return macro_f1(expected[rows], predicted[rows], weight[rows]) if rows.any() else 0.0
