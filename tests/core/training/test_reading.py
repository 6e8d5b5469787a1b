"""Clips that stay on disk: the same runs as with clips in memory, within the memory allowed."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from core import registry
from core.data.store_files import FORMAT
from core.errors import RavelError
from core.separation import task as separation_task
from core.training import distributed, memory, reading
from core.training.config import TrainingConfig, merge
from core.training.engine import train
from core.training.run import Run
from tests.conftest import ROOT
from tests.core.training.test_any_corpus import SYSTEMS, store

MODES = {"kept": ("yes", 2), "read here": ("no", 0), "read ahead": ("no", 2)}
TRAINING = {"steps": 9, "batch_size": 4, "validate_every": 4, "checkpoint_every": 3}


def config_of(system, folder, **training):
    path = folder / "store"
    if not path.exists():
        rows = [
            {"split": "train", "instrument": "ab"[n % 2], "player": str(n // 2)} for n in range(9)
        ]
        store(path, [*rows, {"split": "validation", "instrument": "a"}])
    values = {"system": system, "data.store": str(path), "training": TRAINING | training}
    return registry.parse(merge(SYSTEMS[system], values))


def trained(config, folder, stop_at=None):
    run = Run.create(folder, config.model_dump())
    task = registry.task(config)
    if stop_at:
        task.stepped = lambda model, step: run.ask_to_stop() if step == stop_at else None
    return run, task, train(task, run, progress=False)


@pytest.mark.parametrize("system", ["dsae", "separation", "contrastive", "vocoder"])
def test_a_run_is_the_same_wherever_its_clips_are(system, tmp_path, monkeypatch):
    monkeypatch.setattr(separation_task, "HELD_OUT", 4)
    found = {}
    for name, (in_memory, readers) in MODES.items():
        config = config_of(system, tmp_path, in_memory=in_memory, readers=readers)
        run, task, _ = trained(config, tmp_path / name)
        assert task.from_disk == (in_memory == "no")
        assert ("kept on" if in_memory == "yes" else "read from disk") in task.where
        found[name] = run.load("last")[0]
    for name, value in found["kept"].items():
        assert all(torch.equal(found[mode][name], value) for mode in MODES)


def test_a_run_that_is_stopped_continues_with_the_batches_that_would_have_followed(tmp_path):
    config = config_of("dsae", tmp_path, in_memory="no", readers=2)
    whole, _, _ = trained(config, tmp_path / "whole")
    parted, _, ended = trained(config, tmp_path / "parted", stop_at=5)  # in its second epoch
    assert (ended["state"], ended["step"]) == ("stopped", 5)
    assert not parted.held  # no reader holds it
    assert train(registry.task(config), parted, progress=False)["state"] == "finished"
    for name, value in whole.load("last")[0].items():
        assert torch.equal(parted.load("last")[0][name], value)


def test_readers_draw_what_the_process_itself_would_and_hand_the_random_numbers_on():
    def make(indices):
        return reading_pair(indices + torch.rand(len(indices)), None)

    def drawn(readers):
        batches = reading.Batches(
            make, lambda step: torch.arange(step, step + 3), lambda step: 7 * step,
            torch.device("cpu"), readers=readers,
        )  # fmt: skip
        found = []
        for step in range(2, 8):
            found.append((*batches.batch(step, 8), torch.rand(2)))
        batches.close()
        return found

    for (a, _, after), (b, nothing, rest) in zip(drawn(0), drawn(3), strict=True):
        assert torch.equal(a, b) and torch.equal(after, rest) and nothing is None


def reading_pair(*values):
    return tuple(values)


def test_a_reader_that_is_ended_is_an_error_that_says_what_to_do():
    def make(indices):
        os.kill(os.getpid(), 9)

    batches = reading.Batches(
        make, lambda step: torch.arange(2), lambda step: step, torch.device("cpu"), readers=1
    )
    with pytest.raises(RavelError, match="reads clips ahead was ended"):
        batches.batch(0, 3)


def test_what_is_free_is_what_the_strictest_limit_leaves(tmp_path, monkeypatch):
    device, config = torch.device("cpu"), TrainingConfig()
    monkeypatch.setattr(memory, "_of_machine", lambda: 1_000)
    assert memory.free(device) == 1_000
    assert memory.fits(500, device, config) and not memory.fits(501, device, config)
    assert memory.fits(501, device, TrainingConfig(in_memory="yes"))
    assert not memory.fits(1, device, TrainingConfig(in_memory="no"))
    (tmp_path / "max").write_text("700\n")
    (tmp_path / "now").write_text("400\n")
    (tmp_path / "memory.stat").write_text("anon 300\ninactive_file 60\nactive_file 40\n")
    monkeypatch.setattr(memory, "GROUPS", ((str(tmp_path), "max", "now"),))
    assert memory.free(device) == 400  # caches are given up when memory is needed
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory.free(device) == 250


@pytest.mark.parametrize("clips", [2, 7, 36, 2400])
def test_several_processes_divide_the_clips_among_them(clips, monkeypatch):
    rows = np.arange(100, 100 + clips)
    assert distributed.own(rows)[1].tolist() == rows.tolist()
    found, before = [], 0
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "place", lambda rank=rank: (rank, 2))
        first, own = distributed.own(rows)
        assert first == before
        before += len(own)
        found += own.tolist()
        if clips > 32:  # each sees all of a corpus that is sorted by its labels
            assert (own < 100 + clips // 2).mean() == pytest.approx(0.5, abs=0.1)
    assert sorted(found) == rows.tolist()


ALLOWED = 1_100 * 2**20  # bytes of a process; torch and Ravel themselves take most of them
CLIPS, FRAMES = 116_000, 251  # a store of four times as many

LIMITED = """
import os, resource, sys
allowed = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
from core.cli import main
code = main(["train", "--resume", sys.argv[2]])
status = open("/proc/self/status").read()
print("PEAK", int(status.split("VmHWM:")[1].split()[0]) * 1024, flush=True)
from core.data.store import FeatureStore
try:
    FeatureStore.open(sys.argv[3]).log_mel[:].copy()
except MemoryError:
    print("REFUSED", flush=True)
os._exit(code)
"""


def sparse_store(path):
    """A store of silence that takes no room on the disk, as its files are sparse."""
    path.mkdir()
    out = np.lib.format.open_memmap(
        path / "log_mel.npy", "w+", dtype=np.float16, shape=(CLIPS, FRAMES, 80)
    )
    out.flush()
    np.save(path / "lengths.npy", np.full(CLIPS, FRAMES, np.int32))
    lines = (f"clip-{n},{'validation' if n % 500 == 0 else 'train'}\n" for n in range(CLIPS))
    (path / "clips.csv").write_text("name,split\n" + "".join(lines))
    about = {"format": FORMAT, "kind": "test", "synthesiser": "", "settings": {}, "chunks": 1}
    about |= {"clips": CLIPS, "audio": False, "finished": True}
    (path / "store.json").write_text(json.dumps(about))
    return out.nbytes


def test_a_store_of_four_times_the_allowed_memory_trains_within_it(tmp_path):
    path = tmp_path / "store"
    assert sparse_store(path) > 4 * ALLOWED
    values = {
        "system": "dsae",
        "data": {"store": str(path), "crop": 4},
        "model": {"hidden": 8},
        "objective": {"stage1_steps": 2},
        "training": {"steps": 16, "batch_size": 512, "validate_every": 10**6},
    }
    run = Run.create(tmp_path / "run", registry.parse(values).model_dump())
    command = [sys.executable, "-c", LIMITED, str(ALLOWED), str(run.path), str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "116,000 clips" in done.stdout and "are read from disk" in done.stdout
    peak = int(done.stdout.split("PEAK ")[1].split()[0])
    assert peak < ALLOWED
    assert "REFUSED" in done.stdout  # the limit is a real one: the store as a whole does not fit
