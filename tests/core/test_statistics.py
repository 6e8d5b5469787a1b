"""The bootstrap against the normal theory."""

import numpy as np
import pytest

from core import statistics


def test_the_interval_is_the_percentile_bootstrap(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 2000)
    items = np.random.default_rng(3).normal(5, 2, 400)
    found = statistics.interval(items, np.mean)
    half = 1.96 * items.std(ddof=1) / np.sqrt(len(items))  # the normal theory's answer
    assert found["value"] == pytest.approx(items.mean(), abs=1e-4)
    assert found["low"] == pytest.approx(items.mean() - half, abs=0.05)
    assert found["high"] == pytest.approx(items.mean() + half, abs=0.05)
