"""What the maps of all systems have in common: which clips they show, and who is near."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_distances

from core.data.store import FeatureStore
from core.errors import RavelError
from core.maps import points as maps


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((60, 12)).astype(np.float32)


def test_more_clips_than_a_map_holds_are_sampled_the_same_each_time(melodies, monkeypatch):
    store = FeatureStore.open(melodies)
    assert np.array_equal(maps.sample_rows(store, None), np.arange(len(store)))
    monkeypatch.setattr(maps, "MAX_POINTS", 20)
    rows = maps.sample_rows(store, None)
    assert len(rows) == len(set(rows)) == 20
    assert np.array_equal(rows, maps.sample_rows(store, None))
    with pytest.raises(RavelError, match="no clips in its split 'test'"):
        maps.sample_rows(store, "test")


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbours_are_those_of_brute_force(x, metric):
    found, distances = maps.neighbours(x, 3, count=5, metric=metric)
    if metric == "cosine":
        every = cosine_distances(x.astype(float))[3]
    else:
        every = np.array([np.sqrt(sum((a - b) ** 2)) for a in x[3:4].astype(float) for b in x])
    every[3] = np.inf
    assert found.tolist() == np.argsort(every)[:5].tolist()
    assert np.allclose(distances, np.sort(every)[:5], atol=1e-5)


def test_neighbours_of_other_clips_alone(x):
    clips = np.repeat(np.arange(20), 3)
    found, _ = maps.neighbours(x, 31, count=10, metric="euclidean", clips=clips)
    assert clips[31] not in clips[found] and len(found) == 10
