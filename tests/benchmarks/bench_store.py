"""A store of two million clips, simulated: how fast it opens, gives batches and resumes.

    python -m tests.benchmarks store

Its files are sparse: 80 GB of silence that take no room on the disk, so that this measures what
Ravel does and not how fast a disk is. Seconds and peak resident memory of one process.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CLIPS, SHARDS, FRAMES = 2_000_000, 64, 251
BATCH, STEPS = 128, 100
ALLOWED = 2 * 2**30  # bytes, of the issue that asked for it


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ravel-store-") as folder:
        home = Path(folder)
        parts = [shard(home, number) for number in range(1, SHARDS + 1)]
        print(f"{CLIPS:,} clips in {SHARDS} shards; seconds, and peak memory in MB so far")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        for what in ("merge", "use"):
            command = [sys.executable, "-m", "tests.benchmarks.bench_store", what, folder]
            subprocess.run([*command, *map(str, parts)], env=environment, check=True)


def shard(home: Path, number: int) -> Path:
    """One shard as `--shard` would have built it, of silence."""
    path, count = home / f"shard-{number}", CLIPS // SHARDS
    path.mkdir()
    shape = (count, FRAMES, 80)
    np.lib.format.open_memmap(path / "log_mel.npy", "w+", np.float16, shape).flush()
    np.save(path / "lengths.npy", np.full(count, FRAMES, np.int32))
    first, kinds = (number - 1) * count, ("Violin", "Trumpet", "Oboe")
    with open(path / "clips.csv", "w") as table:
        table.write("name,split,instrument\n")
        for n in range(first, first + count):
            split = "validation" if n % 1000 == 0 else "train"
            table.write(f"recording-{n:07d}-0,{split},{kinds[n % 3]}\n")
    about = {"format": 1, "kind": "folder", "synthesiser": "", "settings": {}, "chunks": SHARDS}
    about |= {"shard": [number, SHARDS], "clips": count, "audio": False, "finished": True}
    (path / "store.json").write_text(json.dumps(about))
    return path


def merging(home: Path, parts: list[str]) -> None:
    from core.data.merge import merge

    with measured("merge the shards"):
        merge(parts, home / "store")


def using(home: Path) -> None:
    import torch

    from core import registry
    from core.data.store import FeatureStore
    from core.training.engine import train
    from core.training.order import Order
    from core.training.reading import Batches
    from core.training.run import Run

    with measured("(imports)"):
        pass
    with measured("open"):
        store = FeatureStore.open(home / "store")
    with measured("its splits"):
        store.training_rows()
    values = {
        "system": "dsae",
        "data": {"store": str(store.path), "crop": 16},
        "model": {"hidden": 8},
        "training": {"batch_size": BATCH, "steps": 10**8, "validate_every": 10**8},
    }
    config = registry.parse(values)
    task = registry.task(config)
    with measured("load, as a run does"):
        examples = task.load(torch.device("cpu"))
    assert task.from_disk
    order = Order(examples, BATCH, seed=0)
    with measured("an epoch's order"):
        order.batch(0)
    host = torch.device("cpu")
    for readers in (0, 2):
        batches = Batches(task.batch, lambda s: order.share(s, 0), int, host, readers=readers)
        batches.batch(0, STEPS)
        with measured(f"a batch of {BATCH}, {readers} readers", STEPS - 1):
            for step in range(1, STEPS):
                batches.batch(step, STEPS)
        batches.close()
    run = Run.create(home / "run", config.model_dump())
    for what in ("begin a run: to its step 10", "resume it: to its step 20"):
        task = registry.task(config)
        stop = 10 if what.startswith("begin") else 20
        task.stepped = lambda model, step, stop=stop: run.ask_to_stop() if step == stop else None
        with measured(what):
            train(task, run, progress=False)
    peak = peak_memory()
    verdict = "within" if peak <= ALLOWED else "BEYOND"
    print(f"peak memory {peak / 2**20:,.0f} MB: {verdict} the {ALLOWED / 2**20:,.0f} MB allowed")


class measured:
    """Prints the seconds that a block takes, for each of `times`, and the peak memory after it."""

    def __init__(self, what: str, times: int = 1) -> None:
        self.what, self.times = what, times

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        seconds = (time.perf_counter() - self.start) / self.times
        print(f"{self.what:32} {seconds:9.4f} s {peak_memory() / 2**20:7,.0f} MB", flush=True)


def peak_memory() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["merge"]:
        merging(Path(sys.argv[2]), sys.argv[3:])
    elif sys.argv[1:2] == ["use"]:
        using(Path(sys.argv[2]))
    else:
        main()
