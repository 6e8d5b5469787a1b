"""Many clips encoded beside the page: a real process on real files."""

import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from core import checkpoints
from core.data.store import FeatureStore
from core.dsae import encoding, maps


def wait(folder, clips, seconds=90):
    deadline = time.monotonic() + seconds
    while (found := encoding.progress(folder, clips)).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.fixture
def parts(melodies, untrained, tmp_path):
    """A store, a checkpoint of one's own, a cache, and where in it the latents go."""
    store = FeatureStore.open(melodies)
    checkpoint = checkpoints.find(shutil.copytree(untrained, tmp_path / "checkpoint"))
    cache = tmp_path / "maps"
    return store, checkpoint, cache, maps.folder_of(store, checkpoint, cache, "train")


def test_a_store_is_encoded_beside_the_caller(parts, tmp_path):
    store, checkpoint, cache, folder = parts
    assert encoding.progress(folder, 24).state == "missing"
    encoding.start(store, checkpoint, cache, "train")
    encoding.start(store, checkpoint, cache, "train")  # one is enough
    assert encoding.progress(folder, 24).state == "running"
    assert wait(folder, 24).state == "done"
    found = maps.read(folder)
    here = maps.encode_store(store, checkpoint, tmp_path / "here", "train")
    assert np.allclose(found.v, here.v, atol=1e-6) and (found.rows == here.rows).all()


def test_why_it_failed_is_said_and_a_killed_one_is_told(parts):
    store, checkpoint, cache, folder = parts
    (checkpoint.path / "model.safetensors").unlink()
    folder = maps.folder_of(store, checkpoints.find(checkpoint.path), cache, "train")
    encoding.start(store, checkpoints.find(checkpoint.path), cache, "train")
    failed = wait(folder, 24)
    assert failed.state == "failed" and "model.safetensors" in failed.says

    encoding.start(store, checkpoints.find(checkpoint.path), cache, "train")
    command = ["pgrep", "-f", f"core.dsae.encoding {store.path.resolve()} {checkpoint.path}"]
    number = int(subprocess.run(command, capture_output=True, text=True).stdout.split()[0])
    os.kill(number, signal.SIGKILL)
    assert wait(folder, 24, seconds=5) == encoding.Progress("failed", 0.0, "its process was ended")
