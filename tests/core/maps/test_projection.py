"""Projections of points, and the places of queries on them, against libraries."""

import time

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from core import jobs
from core.errors import RavelError
from core.maps import projection
from core.maps.projection import Projection, Settings


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """Four clouds of fifteen points."""
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.standard_normal((4, 12)), 15, axis=0)
    return (4 * centres + rng.standard_normal((60, 12))).astype(np.float32)


def test_pca_is_scikit_learn_s(x, tmp_path):
    made = projection.project(tmp_path / "new", "v", x, Settings("PCA", 3))
    oracle = PCA(3, svd_solver="full").fit(x)
    assert np.allclose(made.points, oracle.transform(x), atol=1e-4)
    assert np.allclose(made.about["explained"], oracle.explained_variance_ratio_, atol=1e-4)


def test_trustworthiness_is_scikit_learn_s_and_is_kept_with_the_settings(x, tmp_path):
    settings = Settings("PCA", 2, seed=5)
    made = projection.project(tmp_path, "z", x, settings)
    assert made.trustworthiness == trustworthiness(x, made.points, n_neighbors=15)
    kept = projection.read(tmp_path, "z", settings)
    assert kept.trustworthiness == made.trustworthiness and kept.judged == len(x)
    assert kept.about["settings"]["seed"] == 5 and kept.about["versions"]["scikit-learn"]


def test_points_without_any_spread_still_make_a_map():
    points, explained = projection.pca(np.ones((10, 4), dtype=np.float32), 2)
    assert np.allclose(points, 0) and explained == [0, 0]
    assert projection.pca(np.arange(8.0)[:, None], 3)[0].shape == (8, 3)


def test_too_few_points_and_a_folder_that_cannot_be_written_are_refused(x, tmp_path):
    with pytest.raises(RavelError, match="needs 4 points or more, but there are 3"):
        projection.project(tmp_path, "v", x[:3], Settings())
    (tmp_path / "file").write_text("in the way")
    for make in (projection.project, projection.start):
        with pytest.raises(RavelError, match="cannot be written"):
            make(tmp_path / "file", "v", x, Settings())


def test_a_damaged_file_counts_as_none(x, tmp_path):
    settings = Settings("PCA", 2)
    projection.project(tmp_path, "v", x, settings)
    projection._path(tmp_path, "v", settings).write_bytes(b"half a fi")
    assert projection.read(tmp_path, "v", settings) is None
    assert projection.project(tmp_path, "v", x, settings).points.shape[1] == 2


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_query_lies_where_pca_s_own_axes_put_it(x, tmp_path, dimensions):
    made = projection.project(tmp_path, "v", x, Settings("PCA", dimensions))
    queries = np.random.default_rng(1).standard_normal((3, 12)).astype(np.float32)
    oracle = PCA(dimensions, svd_solver="full").fit(x)
    assert np.allclose(projection.place(x, made, queries), oracle.transform(queries), atol=1e-3)
    assert np.allclose(projection.place(x, made, x[5:6]), made.points[5], atol=1e-3)


def test_on_umap_a_query_lies_with_most_of_its_nearest_points(x):
    islands = np.repeat([[0, 0], [100, 0], [0, 100], [100, 100]], 15, axis=0).astype(float)
    points = islands + np.random.default_rng(2).uniform(-1, 1, (60, 2))
    about = {"settings": {"method": "UMAP", "metric": "euclidean"}}
    near = x[15:30].mean(0)
    (place,) = projection.place(x, Projection(points, 1.0, 60, about), near[None])
    assert np.abs(place - [100, 0]).max() <= 1
    points[np.argsort(((x - near) ** 2).sum(1))[:2]] = [0, 900]  # two of the five lie elsewhere
    (place,) = projection.place(x, Projection(points, 1.0, 60, about), near[None])
    assert np.abs(place - [100, 0]).max() <= 1


def test_umap_is_made_beside_the_caller_and_keeps_neighbours(x, tmp_path):
    settings = Settings("UMAP", neighbours=5, epochs=20)
    assert projection.progress(tmp_path, "v", settings).state == "missing"
    projection.start(tmp_path, "v", x, settings)
    projection.start(tmp_path, "v", x, settings)  # a second wish for the same is no second process
    assert projection.progress(tmp_path, "v", settings).state == "running"
    deadline = time.monotonic() + 240
    while projection.progress(tmp_path, "v", settings).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert projection.progress(tmp_path, "v", settings).state == "done"
    made = projection.read(tmp_path, "v", settings)
    assert made.points.shape == (len(x), 2) and np.isfinite(made.points).all()
    assert made.trustworthiness == trustworthiness(x, made.points, n_neighbors=5)
    assert made.trustworthiness > 0.6 and made.about["settings"]["epochs"] == 20
    assert not list(tmp_path.glob("*.npy"))  # what the process was handed is gone


def test_a_process_that_fails_says_why(x, tmp_path, monkeypatch):
    monkeypatch.setattr(projection, "_save", lambda path, x: path.touch())
    projection.start(tmp_path, "v", x, Settings("UMAP"))
    deadline = time.monotonic() + 60
    while (progress := projection.progress(tmp_path, "v", Settings("UMAP"))).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert progress.state == "failed" and "holds no points" in progress.text


def test_a_process_that_is_warm_makes_one_projection_after_another(x, tmp_path):
    projection.warm_up()
    try:
        pid = projection._worker.pid
        for seed in (1, 2):
            settings = Settings("UMAP", neighbours=5, epochs=20, seed=seed)
            projection.start(tmp_path, "v", x, settings)
            deadline = time.monotonic() + 240
            while (progress := projection.progress(tmp_path, "v", settings)).state == "running":
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert progress.state == "done"
        assert projection._worker.pid == pid and projection._worker.is_running
        points = [
            projection.read(tmp_path, "v", Settings("UMAP", neighbours=5, epochs=20, seed=s)).points
            for s in (1, 2)
        ]
        assert not np.allclose(*points)
    finally:
        projection.cool_down()
        projection._worker = jobs.Worker("core.maps.projection")
