"""Many clips encoded beside the page: a real process on real files."""

import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from core.checkpoints import checkpoint as checkpoints
from core.data.store import FeatureStore
from core.dsae import maps
from core.jobs import Progress


def wait(*asked, seconds=90):
    deadline = time.monotonic() + seconds
    while (found := maps.progress(*asked)).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


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
    assert wait(*parts).state == "done"
    found = maps.read(maps.folder_of(*parts))
    here = maps.encode_store(store, checkpoint, tmp_path / "here", "train")
    assert np.allclose(found.v, here.v, atol=1e-6) and (found.rows == here.rows).all()


def test_why_it_failed_is_said_and_a_killed_one_is_told(parts):
    store, checkpoint, *where = parts
    (checkpoint.path / "model.safetensors").unlink()
    asked = store, checkpoints.find(checkpoint.path), *where
    maps.start(*asked)
    failed = wait(*asked)
    assert failed.state == "failed" and "model.safetensors" in failed.says

    maps.start(*asked)
    command = ["pgrep", "-f", f"core.dsae.encoding {store.path.resolve()} {checkpoint.path}"]
    number = int(subprocess.run(command, capture_output=True, text=True).stdout.split()[0])
    os.kill(number, signal.SIGKILL)
    assert wait(*asked, seconds=5) == Progress("failed", 0.0, "its process was ended")
