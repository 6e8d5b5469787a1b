"""Embeddings of a store for a map: those of its index, clip by clip."""

import numpy as np
import pytest

from core import registry
from core.contrastive import index, maps
from core.data.store import FeatureStore
from core.errors import RavelError
from core.maps import projection


def test_a_split_s_points_are_the_index_s_own(store, checkpoint, tmp_path, monkeypatch):
    assert not maps.is_there(store, checkpoint, tmp_path)
    found = maps.encode_store(store, checkpoint, tmp_path, "validation")
    made = index.read(index.folder_of(store, checkpoint))
    assert np.array_equal(found.rows, store.indices("validation"))
    assert np.array_equal(found.points("h"), made.h[found.rows])
    assert np.allclose(np.linalg.norm(found.h, axis=1), 1, atol=1e-6)
    assert maps.is_there(store, checkpoint, tmp_path)

    monkeypatch.setattr(index, "_load", lambda *_: pytest.fail("embedded again"))
    whole = maps.encode_store(store, checkpoint, tmp_path)
    assert len(whole.h) == len(store) and whole.clips().tolist() == list(range(len(store)))


def test_they_are_projected_where_no_other_clips_or_model_are(store, checkpoint, tmp_path):
    folders = {maps.folder_of(store, checkpoint, tmp_path, split) for split in (None, "train")}
    assert len(folders) == 2
    found = maps.encode_store(store, checkpoint, tmp_path)
    folder = maps.folder_of(store, checkpoint, tmp_path)
    made = projection.project(folder, "h", found.points(), projection.Settings("PCA"))
    assert made.points.shape == (len(store), 2) and len(list(folder.iterdir())) == 1


def test_points_can_be_coloured_by_dimension_and_taken_away(store, checkpoint, tmp_path):
    found = maps.encode_store(store, checkpoint, tmp_path)
    names = maps.figures(checkpoint.config, store.labels, "h")
    assert len(names) == found.h.shape[1]
    assert np.array_equal(found.values(names[-1], "h", store.labels), found.h[:, -1])
    for name in ("v 1", "h 999", "label"):
        assert found.values(name, "h", store.labels) is None
    taken = found.arrays(np.array([2, 0]))
    assert taken["rows"].tolist() == [2, 0] and np.array_equal(taken["h"], found.h[[2, 0]])


def test_an_empty_split_and_a_store_without_its_sound_are_refused(store, checkpoint, tmp_path):
    with pytest.raises(RavelError, match="no clips in its split 'test'"):
        maps.encode_store(store, checkpoint, tmp_path, "test")
    silent = FeatureStore(store.path, store.info, store.log_mel, store.lengths, store.labels)
    with pytest.raises(RavelError, match="an encoder needs sound"):
        maps.encode_store(silent, checkpoint, tmp_path)


def test_both_systems_maps_have_the_same_interface():
    ours, theirs = (registry.get(name).maps for name in ("contrastive", "dsae"))
    for name in (
        "SPACES",
        "SOON",
        "figures",
        "folder_of",
        "is_there",
        "start",
        "progress",
    ):
        assert hasattr(ours, name) and hasattr(theirs, name)
    assert not set(ours.SPACES.values()) & set(theirs.SPACES.values())
