"""Latents of a store, their projections and neighbours, against libraries and brute force."""

import json
import time

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.metrics.pairwise import cosine_distances

from core import checkpoints
from core.data import dmelodies
from core.data.store import FeatureStore
from core.dsae import latents, maps, projection
from core.dsae.projection import Settings
from core.errors import RavelError


@pytest.fixture(scope="module")
def store(melodies) -> FeatureStore:
    return FeatureStore.open(melodies)


@pytest.fixture(scope="module")
def checkpoint(untrained):
    return checkpoints.find(untrained)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("maps")


@pytest.fixture(scope="module")
def encoded(store, checkpoint, cache) -> maps.StoreLatents:
    return maps.encode_store(store, checkpoint, cache)


@pytest.fixture(scope="module")
def folder(store, checkpoint, cache, encoded):
    return maps.folder_of(store, checkpoint, cache)


def test_a_store_s_latents_are_those_of_its_clips_one_by_one(store, checkpoint, encoded):
    model = latents.load(checkpoint.path)
    for i in (0, 7, len(store) - 1):
        frames = store.lengths[i]
        one = model.encode(store.log_mel[i, :frames])
        assert np.allclose(encoded.v[i], one.v, atol=1e-5)
        assert np.allclose(encoded.z[i], one.z.mean(0), atol=1e-5)
        assert np.allclose(encoded.frame_z[i], one.z[encoded.frames[i]], atol=1e-5)


def test_clips_of_unequal_length_are_encoded_without_their_padding(store, checkpoint):
    sizes = np.array([120, int(store.lengths[1])], dtype=np.int32)
    log_mel = np.array(store.log_mel[:2])
    log_mel[0, 120:] = -36
    short = FeatureStore(store.path, store.info, log_mel, sizes, store.labels)
    model = latents.load(checkpoint.path)
    found = maps._encode(model, short, np.array([0, 1]), kept=3)
    one = model.encode(log_mel[0, :120])
    assert np.allclose(found.v[0], one.v, atol=1e-5)
    assert np.allclose(found.z[0], one.z.mean(0), atol=1e-5)
    assert found.frames[0].max() < 120


def test_latents_are_read_from_disk_the_second_time(store, checkpoint, cache, encoded, monkeypatch):
    monkeypatch.setattr(maps, "_load", lambda *_: pytest.fail("encoded again"))
    again = maps.encode_store(store, checkpoint, cache)
    for name, array in vars(encoded).items():
        assert np.array_equal(getattr(again, name), array)


def test_an_interrupted_encoding_goes_on_where_it_was(store, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "CHUNK", 10)

    def interrupt(done: int, of: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        maps.encode_store(store, checkpoint, tmp_path, progress=interrupt)
    done, encode = [], maps._encode
    monkeypatch.setattr(maps, "_encode", lambda *a: done.append(len(a[2])) or encode(*a))
    whole = maps.encode_store(store, checkpoint, tmp_path)
    assert sum(done) == len(store) - 20 and len(whole.v) == len(store)
    assert [file.name for file in maps.folder_of(store, checkpoint, tmp_path).iterdir()] == [
        "latents.npz"
    ]


def test_one_split_is_encoded_alone_and_an_empty_one_is_refused(store, checkpoint, tmp_path):
    found = maps.encode_store(store, checkpoint, tmp_path, "validation")
    assert np.array_equal(found.rows, store.indices("validation"))
    with pytest.raises(RavelError, match="no clips in its split 'test'"):
        maps.encode_store(store, checkpoint, tmp_path, "test")


def test_more_clips_than_a_map_holds_are_sampled_the_same_each_time(store, monkeypatch):
    monkeypatch.setattr(maps, "MAX_POINTS", 20)
    rows = maps.sample_rows(store, None)
    assert len(rows) == len(set(rows)) == 20
    assert np.array_equal(rows, maps.sample_rows(store, None))


def test_a_diverged_checkpoint_is_told(store, checkpoint, tmp_path):
    weights = {name: tensor * float("nan") for name, tensor in checkpoint.weights().items()}
    broken = checkpoints.write(tmp_path / "broken", checkpoint.config, weights)
    with pytest.raises(RavelError, match="not finite"):
        maps.encode_store(store, broken, tmp_path / "maps")


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbours_are_those_of_brute_force(encoded, metric):
    x = encoded.v
    found, distances = maps.neighbours(x, 3, count=5, metric=metric)
    if metric == "cosine":
        every = cosine_distances(x.astype(float))[3]
    else:
        every = np.array([np.sqrt(sum((a - b) ** 2)) for a in x[3:4].astype(float) for b in x])
    every[3] = np.inf
    assert set(found) == set(np.argsort(every)[:5])
    assert np.allclose(distances, np.sort(every)[:5], atol=1e-5)


def test_a_frame_s_neighbours_are_of_other_clips(encoded):
    clips = encoded.clips("frames")
    found, _ = maps.neighbours(
        encoded.points("frames"), 30, count=10, metric="euclidean", clips=clips
    )
    assert clips[30] not in clips[found] and len(found) == 10


def test_pca_is_scikit_learn_s(folder, encoded):
    made = projection.project(folder, "v", Settings("PCA", 3))
    oracle = PCA(3, svd_solver="full").fit(encoded.v)
    assert np.allclose(made.points, oracle.transform(encoded.v), atol=1e-5)
    assert np.allclose(made.about["explained"], oracle.explained_variance_ratio_, atol=1e-4)


def test_trustworthiness_is_scikit_learn_s_and_is_kept_with_the_settings(folder, encoded):
    settings = Settings("PCA", 2, seed=5)
    made = projection.project(folder, "z", settings)
    assert made.trustworthiness == trustworthiness(encoded.z, made.points, n_neighbors=15)
    kept = projection.read(folder, "z", settings)
    assert kept.trustworthiness == made.trustworthiness and kept.judged == len(encoded.z)
    assert kept.about["settings"]["seed"] == 5 and kept.about["versions"]["scikit-learn"]


def test_latents_without_any_spread_still_make_a_map(encoded):
    points, explained = projection.pca(np.ones((10, 4), dtype=np.float32), 2)
    assert np.allclose(points, 0) and explained == [0, 0]
    assert projection.pca(np.arange(8.0)[:, None], 3)[0].shape == (8, 3)


def test_too_few_points_are_refused(store, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "sample_rows", lambda *_: np.arange(3))
    maps.encode_store(store, checkpoint, tmp_path)
    with pytest.raises(RavelError, match="needs 4 points"):
        projection.project(maps.folder_of(store, checkpoint, tmp_path), "v", Settings())


def test_a_damaged_file_counts_as_none(folder):
    settings = Settings("PCA", 2, seed=9)
    projection.project(folder, "v", settings)
    projection._path(folder, "v", settings).write_bytes(b"half a fi")
    assert projection.read(folder, "v", settings) is None
    assert projection.project(folder, "v", settings).points.shape[1] == 2


def test_umap_is_made_beside_the_caller_and_keeps_neighbours(folder, encoded):
    settings = Settings("UMAP", neighbours=5, epochs=20)
    assert projection.progress(folder, "v", settings).state == "missing"
    projection.start(folder, "v", settings)
    projection.start(folder, "v", settings)  # a second wish for the same is no second process
    assert projection.progress(folder, "v", settings).state == "running"
    deadline = time.monotonic() + 240
    while projection.progress(folder, "v", settings).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.5)

    assert projection.progress(folder, "v", settings).state == "done"
    made = projection.read(folder, "v", settings)
    assert made.points.shape == (len(encoded.v), 2) and np.isfinite(made.points).all()
    assert made.trustworthiness == trustworthiness(encoded.v, made.points, n_neighbors=5)
    assert made.trustworthiness > 0.6 and made.about["settings"]["epochs"] == 20


def test_a_process_that_fails_says_why(tmp_path):
    settings = Settings("UMAP")
    path = projection._path(tmp_path, "v", settings).with_suffix(".json")
    told = projection.main([str(tmp_path), "v", json.dumps({"method": "UMAP"})])
    assert told == 1 and path.exists()
    progress = projection.progress(tmp_path, "v", settings)
    assert progress.state == "failed" and "holds no latents" in progress.says


def test_the_pitch_of_frames_is_that_of_the_notes_they_lie_in():
    tune = dmelodies.melody(int(dmelodies.filtered_rows()[0]))
    frames = np.array([[2, 250]])  # 32 ms and 4 s: the filter leaves a note at either end
    pitch = maps.known_pitch({"melody": np.array([str(tune.row)])}, frames - [[0, 3]])
    assert pitch.tolist() == [[tune.pitches[0], tune.pitches[-1]]]
    rests = sorted(set(range(16)) - set(tune.slots))
    silent = np.array([[int((slot + 0.5) * 0.25 / maps.HOP_SECONDS) for slot in rests]])
    assert np.isnan(maps.known_pitch({"melody": np.array([str(tune.row)])}, silent)).all()


def test_the_frame_rate_is_that_of_the_log_mels():
    from core.audio.clip import SAMPLE_RATE
    from core.audio.mel import HOP

    assert maps.HOP_SECONDS == HOP / SAMPLE_RATE
