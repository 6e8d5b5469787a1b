from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import f1_score

from core.dsae.evaluation.swap_pairs import SwapPairs, between_instruments, everyone, weighted_f1

NAMES = np.array(["flute"] * 4 + ["oboe"] * 4 + ["viola"] * 3)


def test_every_clip_meets_every_other_instrument_and_targets_are_used_evenly() -> None:
    pairs = between_instruments(NAMES, targets=2)
    assert (NAMES[pairs.source] != NAMES[pairs.target]).all()
    met = Counter(zip(pairs.source.tolist(), NAMES[pairs.target].tolist(), strict=True))
    assert set(met.values()) == {2} and len(met) == len(NAMES) * 2
    flutes = Counter(pairs.target[NAMES[pairs.source] == "oboe"].tolist())
    assert max(flutes.values()) - min(flutes.values()) <= 1


def test_without_a_number_all_pairs_are_taken_once() -> None:
    pairs = between_instruments(NAMES)
    assert len(set(zip(pairs.source, pairs.target, strict=True))) == len(pairs) == 2 * (16 + 24)


def test_clips_of_one_part_are_swapped_with_each_other_alone() -> None:
    part = np.arange(len(NAMES)) % 2 == 0
    pairs = between_instruments(NAMES, targets=2, part=part)
    assert (part[pairs.source] == part[pairs.target]).all()
    assert set(pairs.source.tolist()) == set(range(len(NAMES)))


def test_the_interval_of_reconstructions_is_that_of_a_plain_bootstrap() -> None:
    values = np.random.default_rng(3).random(40)
    found = everyone(40).mean(values)
    drawn = np.random.default_rng(9).choice(values, (4000, 40)).mean(1)
    assert found["value"] == pytest.approx(values.mean(), abs=1e-4)
    assert [found["low"], found["high"]] == pytest.approx(
        np.percentile(drawn, [2.5, 97.5]), abs=0.02
    )


def test_pairs_that_share_clips_give_wider_intervals_than_independent_ones() -> None:
    source, target = (side.ravel() for side in np.indices((10, 10)))
    of_source = np.random.default_rng(0).random(10)[source]  # a value that its source decides
    shared = SwapPairs(source, target + 10, 20).mean(of_source)
    alone = everyone(100).mean(of_source)
    assert shared["high"] - shared["low"] > 2 * (alone["high"] - alone["low"])


def test_values_that_are_missing_do_not_count() -> None:
    assert everyone(3).mean(np.array([1.0, np.nan, 0.0]))["value"] == 0.5
    assert everyone(2).mean(np.array([np.nan, np.nan])) == {}


def test_weighted_f1_is_scikit_learns() -> None:
    rng = np.random.default_rng(4)
    truth, guess = rng.choice(["a", "b", "c"], (2, 60))
    weight = rng.integers(0, 4, 60)
    rows = weight > 0
    expected = f1_score(truth[rows], guess[rows], average="macro", sample_weight=weight[rows])
    assert weighted_f1(truth, guess, weight) == pytest.approx(expected)
