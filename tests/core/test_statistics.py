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


def test_a_sample_is_spread_from_the_first_to_the_last():
    assert statistics.spread_evenly(10, 4).tolist() == [0, 3, 6, 9]
    assert statistics.spread_evenly(3, 5).tolist() == [0, 1, 2]


def test_weights_resample_all_items_with_replacement():
    weights = statistics.draw_weights(50, 2000)
    assert weights.shape == (2000, 50) and (weights.sum(1) == 50).all()
    items = np.random.default_rng(3).normal(5, 2, 50)
    found = statistics.percentile_interval(items.mean(), weights @ items / 50)
    half = 1.96 * items.std() / np.sqrt(50)
    assert found["high"] - found["low"] == pytest.approx(2 * half, rel=0.1)
