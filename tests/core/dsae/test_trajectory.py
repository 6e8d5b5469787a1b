"""Clips followed through training on axes that stay."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from core.dsae import trajectory

LABELS = np.array(["a", "a", "b", "b", "b"])


@pytest.fixture
def states(tmp_path):
    """Three saved states of five clips, whose middle drifts far more than they part."""
    rng = np.random.default_rng(0)
    v, z = (rng.normal(size=(5, size)).astype(np.float32) for size in (6, 3))
    drift = np.eye(6, dtype=np.float32)[0] * 100
    for step in (10, 20, 30):
        trajectory.write(tmp_path / f"{step}", v * step + drift * step, z + step, LABELS)
    return {step: tmp_path / f"{step}" for step in (30, 10, 20)}


def test_one_pca_of_all_centred_states_lays_them_out(states):
    found = trajectory.read(states, "v")
    each = [np.load(states[step] / trajectory.FILE)["v"] for step in (10, 20, 30)]
    centred = np.concatenate([v - v.mean(0) for v in each])
    expected = PCA(2).fit(centred)
    assert found.steps == [10, 20, 30] and (found.labels == LABELS).all()
    assert np.allclose(found.points.reshape(-1, 2), expected.transform(centred), atol=1e-3)
    assert np.allclose(found.shares, expected.explained_variance_ratio_[:2], atol=1e-4)
    assert found.reach == pytest.approx(np.abs(found.points).max())


def test_the_same_shape_at_another_place_is_the_same_picture(states):
    found = trajectory.read(states, "z")
    assert np.allclose(found.points[0], found.points[2], atol=1e-4)


def test_states_that_are_damaged_missing_or_of_another_corpus_are_left_out(states, tmp_path):
    (states[10] / trajectory.FILE).write_bytes(b"no arrays")
    trajectory.write(states[20], np.ones((4, 6)), np.ones((4, 3)), LABELS[:4])
    assert trajectory.read(states | {40: tmp_path / "none"}, "v").steps == [30]
    assert trajectory.read({10: states[10]}, "v") is None
    assert trajectory.read({}, "v") is None
