"""Many clips encoded beside the page: a real process on real files."""

import shutil
import time

import numpy as np
import pytest

from core.checkpoints import checkpoint as checkpoints
from core.data.store import FeatureStore
from core.dsae import encoding, maps
from core.errors import RavelError
from core.jobs import Progress


@pytest.fixture
def parts(melodies, untrained, tmp_path):
    """What is encoded: a store, by a checkpoint of one's own, into a cache, of a split."""
    store = FeatureStore.open(melodies)
    checkpoint = checkpoints.find(shutil.copytree(untrained, tmp_path / "checkpoint"))
    return store, checkpoint, tmp_path / "maps", "train"


def test_a_store_is_encoded_beside_the_caller(parts, tmp_path):
    store, checkpoint, *_ = parts
    assert maps.progress(*parts).state == "missing"
    maps.start(*parts)
    maps.start(*parts)  # one is enough
    assert maps.progress(*parts).state == "running"
    deadline = time.monotonic() + 300
    while (progress := maps.progress(*parts)).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert progress == Progress("done", 1.0)
    found = maps.read(maps.folder_of(*parts))
    here = maps.encode_store(store, checkpoint, tmp_path / "here", "train")
    assert np.allclose(found.v, here.v, atol=1e-6) and (found.rows == here.rows).all()


def test_the_process_reports_clips_and_fails_on_a_broken_checkpoint(parts, monkeypatch):
    store, checkpoint, cache, split = parts
    monkeypatch.setattr(maps, "CHUNK", 16)
    arguments, reports = [str(store.path), str(checkpoint.path), str(cache), split], []
    encoding.encode(arguments, lambda *report: reports.append(report))
    assert reports == [(16 / 24, "16 of 24 clips encoded"), (1, "24 of 24 clips encoded")]
    assert maps.is_there(*parts)

    (checkpoint.path / "model.safetensors").unlink()
    with pytest.raises(RavelError, match=r"model\.safetensors"):
        encoding.encode(arguments, print)
