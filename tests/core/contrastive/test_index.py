"""The index of a corpus against brute force: what it holds, finds, leaves out; how it is made."""

import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from core.checkpoints import checkpoint as checkpoints
from core.contrastive import index, indexing
from core.contrastive.embed import load
from core.contrastive.index import Index
from core.errors import RavelError
from core.jobs import Progress


@pytest.fixture
def embeddings():
    return 3 * np.random.default_rng(0).standard_normal((500, 24))


@pytest.fixture
def query():
    return np.random.default_rng(1).standard_normal(24)


def brute_force(embeddings, query, rows, count):
    distances = cdist(query[None], embeddings[rows], "cosine")[0]
    order = np.argsort(distances, kind="stable")[:count]
    return np.asarray(rows)[order], distances[order]


@pytest.mark.parametrize("count", [1, 7, 499, 500, 1000])
def test_the_nearest_are_those_of_brute_force(embeddings, query, count):
    found = Index.of(embeddings).nearest(query, count)
    rows, distances = brute_force(embeddings, query, np.arange(500), count)
    assert np.array_equal(found.rows, rows)
    assert np.allclose(found.distances, distances, atol=1e-6)


def test_the_nearest_are_those_of_scikit_learn(embeddings, query):
    found = Index.of(embeddings).nearest(query, 20)
    judge = NearestNeighbors(n_neighbors=20, metric="cosine", algorithm="brute").fit(embeddings)
    assert np.array_equal(found.rows, judge.kneighbors(query[None])[1][0])


def test_a_search_among_some_and_without_others_is_that_of_the_rest(embeddings, query):
    among = np.arange(500) % 3 == 0
    without = [0, 1, 9, 33]
    rest = np.setdiff1d(np.flatnonzero(among), without)
    found = Index.of(embeddings).nearest(query, 12, among=among, without=without)
    rows, distances = brute_force(embeddings, query, rest, 12)
    assert np.array_equal(found.rows, rows) and np.allclose(found.distances, distances, atol=1e-6)
    assert among.sum() == 167  # the caller's mask is left as it was


def test_what_is_not_there_is_not_found(embeddings, query):
    found = Index.of(embeddings).nearest(query, 5, among=np.zeros(500, bool))
    assert len(found.rows) == len(found.distances) == 0
    everything = Index.of(embeddings).nearest(query, 5, without=range(500))
    assert len(everything.rows) == 0


def test_distances_go_from_0_to_2_whatever_the_length(embeddings):
    own = Index.of(embeddings).nearest(1e-3 * embeddings[4], 500)
    assert own.rows[0] == 4 and own.distances[0] == pytest.approx(0, abs=1e-6)
    line = Index.of(np.array([[1.0, 0.0], [0.0, 5.0], [-2.0, 0.0]]))
    assert np.allclose(line.nearest(np.array([7.0, 0.0])).distances, [0, 1, 2], atol=1e-6)


def test_equals_come_in_the_order_of_the_corpus():
    alike = Index.of(np.tile([1.0, 2.0], (50, 1)))
    assert alike.nearest(np.array([1.0, 2.0]), 6).rows.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_clip_whose_embedding_is_zero_is_far_from_all():
    found = Index.of(np.array([[0.0, 0.0], [1.0, 1.0]])).nearest(np.array([1.0, 1.0]))
    assert found.rows.tolist() == [1, 0] and np.allclose(found.distances, [0, 1], atol=1e-6)


def test_a_query_of_another_encoder_or_of_no_numbers_is_refused(embeddings, query):
    made = Index.of(embeddings)
    with pytest.raises(RavelError, match="the same encoder"):
        made.nearest(query[:8])
    for bad in (np.nan, np.inf):
        with pytest.raises(RavelError, match="not finite"):
            made.nearest(np.full(24, bad))
        with pytest.raises(RavelError, match="not finite"):
            Index.of(np.full((2, 24), bad))


def test_distances_are_ranked_among_those_of_pairs_of_clips(embeddings):
    made = Index.of(embeddings)
    pairs = cdist(embeddings, embeddings, "cosine")[np.triu_indices(500, 1)]
    for share in (0.01, 0.1, 0.5):
        assert made.share_nearer(np.quantile(pairs, share)) == pytest.approx(share, abs=0.02)
    assert made.share_nearer(-1) == 0 and made.share_nearer(3) == 1
    assert Index.of(embeddings[:1]).share_nearer(0.5) == 0


# -- of a store


def test_a_stores_index_holds_the_embeddings_of_its_clips(store, checkpoint):
    reported = []
    made = index.build(store, checkpoint, lambda done, of: reported.append((done, of)))
    model = load(checkpoint.path)
    expected = model.embed_many(index.wave(store, row) for row in range(len(store))).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert made.h.dtype == np.float32 and np.allclose(made.h, expected, atol=1e-6)
    assert reported == [(0, 32), (32, 32)]
    assert [file.name for file in index.folder_of(store, checkpoint).iterdir()] == ["index.npy"]


def test_clips_of_a_kind_are_found_by_one_of_them(store, checkpoint):
    made, label = index.build(store, checkpoint), store.labels["label"]
    right = []
    for row in range(len(store)):
        found = made.nearest(load(checkpoint.path).embed(index.wave(store, row)), 3, without=[row])
        assert row not in found.rows
        right.append(label[found.rows] == label[row])
    assert np.mean(right) > 0.8


def test_it_is_made_once_and_again_for_another_encoder(store, checkpoint, tmp_path, monkeypatch):
    index.build(store, checkpoint)
    other = checkpoints.Checkpoint(shutil.copytree(checkpoint.path, tmp_path / "other"))
    (other.path / "config.json").write_text((other.path / "config.json").read_text() + " ")
    assert index.folder_of(store, other) != index.folder_of(store, checkpoint)

    monkeypatch.setattr(index, "_load", lambda checkpoint: pytest.fail("embedded again"))
    assert len(index.build(store, checkpoint)) == 32


def test_a_killed_build_goes_on_where_it_was(store, checkpoint, monkeypatch):
    monkeypatch.setattr(index, "CHUNK", 10)
    whole = np.array(index.build(store, checkpoint).h)
    folder = index.folder_of(store, checkpoint)
    shutil.rmtree(folder)

    def stop(done, of):
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.build(store, checkpoint, stop)
    assert len(list(folder.glob("chunk-*.npy"))) == 2
    (folder / "chunk-00001.npy").write_bytes(b"torn")
    waves = []
    hear = index.wave
    monkeypatch.setattr(index, "wave", lambda store, row: waves.append(row) or hear(store, row))
    assert np.allclose(index.build(store, checkpoint).h, whole, atol=1e-6)
    assert waves == [*range(10, 32)]


def test_a_clip_is_embedded_without_its_padding(store):
    store.lengths[3] = 101
    assert len(index.wave(store, 3)) == 100 * 256
    assert len(index.wave(store, 4)) == (store.lengths[4] - 1) * 256


def test_segments_of_a_recording_belong_together(store):
    names = [f"a/street-{i}" for i in range(3)] + ["a/street-2-0", "a/street", "b/street-0"]
    store.labels["name"] = np.array(names + [f"x{i}-0" for i in range(26)])
    assert index.same_recording(store, 1).tolist() == [0, 1, 2]
    assert index.same_recording(store, 5).tolist() == [5]
    store.info["kind"] = "dmelodies"
    assert index.same_recording(store, 1).tolist() == [1]


def test_a_store_without_sound_is_refused(store, checkpoint):
    with pytest.raises(RavelError, match="holds log-mels only"):
        index.build(replace(store, audio=None), checkpoint)


# -- by a process of its own


def test_a_process_makes_the_index(store, checkpoint):
    assert indexing.progress(store, checkpoint).state == "missing"
    indexing.start(store, checkpoint)
    indexing.start(store, checkpoint)  # one is enough
    assert indexing.progress(store, checkpoint).state == "running"
    deadline = time.monotonic() + 90
    while (progress := indexing.progress(store, checkpoint)).state == "running":
        assert time.monotonic() < deadline, progress
        time.sleep(0.05)
    assert progress == Progress("done", 1.0)
    assert len(index.read(index.folder_of(store, checkpoint))) == 32


def test_the_process_reports_clips_and_fails_on_a_broken_checkpoint(
    store, checkpoint, tmp_path, monkeypatch
):
    monkeypatch.setattr(index, "CHUNK", 20)
    broken = shutil.copytree(checkpoint.path, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no weights")
    reports = []
    with pytest.raises(RavelError, match=r"damaged model\.safetensors"):
        indexing.build([str(store.path), str(broken)], lambda *report: reports.append(report))
    assert reports == []
    arguments = [str(store.path), str(checkpoint.path)]
    indexing.build(arguments, lambda *report: reports.append(report))
    assert reports == [(0.625, "20 of 32 clips embedded"), (1, "32 of 32 clips embedded")]


def test_a_folder_that_cannot_be_written_is_named(store, checkpoint):
    (store.path / "embeddings").write_text("in the way")
    for begin in (indexing.start, index.build):
        with pytest.raises(RavelError, match=r"embeddings.* cannot be written"):
            begin(store, checkpoint)


def test_the_command_wants_two_arguments():
    with pytest.raises(RavelError, match="STORE CHECKPOINT"):
        indexing.build(["one"], print)
