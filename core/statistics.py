"""Intervals of figures that were measured on a sample."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import bootstrap

RESAMPLES = 1000


def interval(items: np.ndarray, statistic: Callable[[np.ndarray], Any]) -> dict[str, float]:
    """A statistic of two or more items with its 95 % percentile bootstrap interval."""
    found = bootstrap(
        (items,),
        lambda resampled: statistic(resampled),
        vectorized=False,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    ends = {"value": statistic(items), "low": found.low, "high": found.high}
    return {name: round(float(value), 4) + 0.0 for name, value in ends.items()}  # no -0.0


def macro_f1(expected: np.ndarray, predicted: np.ndarray) -> float:
    """F1 averaged over the labels there are, as scikit-learn has it, in a tenth of its time."""
    names, codes = np.unique(np.concatenate([expected, predicted]), return_inverse=True)
    truth, told = np.split(codes, 2)
    hits, named, there = (
        np.bincount(of, minlength=len(names)) for of in (truth[truth == told], told, truth)
    )
    return float(np.mean(2 * hits / (named + there)))
