"""Figures measured on a sample: their intervals, F1, and the choice of a sample itself."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

RESAMPLES = 1000


def spread_evenly(total: int, count: int) -> np.ndarray:
    """At most `count` of the indices 0 to `total` - 1, evenly spaced from first to last, [N]."""
    return np.linspace(0, total - 1, min(count, total)).round().astype(int)


def interval(items: np.ndarray, statistic: Callable[[np.ndarray], Any]) -> dict[str, float]:
    """A statistic of two or more items with its 95 % percentile bootstrap interval."""
    # Slow to import, which those who only spread a sample need not wait for.
    from scipy.stats import bootstrap

    found = bootstrap(
        (items,),
        lambda resampled: statistic(resampled),
        vectorized=False,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return _rounded(statistic(items), found.low, found.high, digits=4)


def draw_weights(count: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each of `count` items is drawn in each bootstrap resample, int [R, N]."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), resamples)


def percentile_interval(
    value: float, resampled: Sequence[float] | np.ndarray, digits: int = 4
) -> dict[str, float]:
    """`{value, low, high}`: a statistic and the 95 % interval of its values on resamples [R]."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return _rounded(value, low, high, digits)


def macro_f1(
    expected: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None = None
) -> float:
    """F1 averaged over the labels that occur in the items [N], which may count by a weight [N].

    scikit-learn's macro F1 in a small part of its time. A label whose items all have weight 0
    counts as 0, as with its `sample_weight`.
    """
    names, codes = np.unique(np.concatenate([expected, predicted]), return_inverse=True)
    truth, guess = np.split(codes, 2)
    weight = np.ones(len(truth)) if weight is None else weight
    hit = truth == guess
    hits = np.bincount(truth[hit], weight[hit], len(names))
    total = np.bincount(truth, weight, len(names)) + np.bincount(guess, weight, len(names))
    return float(np.mean(2 * hits / np.where(total > 0, total, 1)))


def _rounded(value: Any, low: Any, high: Any, digits: int) -> dict[str, float]:
    ends = {"value": value, "low": low, "high": high}
    return {name: round(float(end), digits) + 0.0 for name, end in ends.items()}  # no -0.0
