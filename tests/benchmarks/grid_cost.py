"""What a grid costs on one CPU thread, without its corpus: CPU-seconds of each kind of step.

    python -m tests.benchmarks.grid_cost checkpoints/results/paper-waspaa.toml --batch 16

On clips of noise, so that no corpus is needed; an encoder's views are two patches of the mixture,
as its separators' channels are computed once, ahead of training. With `--batch` a step of fewer
clips is measured and scaled to the run's. `python -m core grid --dry-run` gives hours by the clock
of the machine that is to do it.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core import registry
from core.data.store import Chunk, StoreWriter
from core.experiments import grid as grids
from core.training.config import merge
from core.training.engine import Step
from core.training.estimate import kind_of

SECONDS = {"dsae": 4, "contrastive": 10}
MEASURED = 2  # steps of each stage, after one that is not counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grid")
    parser.add_argument("--batch", type=int)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = grids.read(arguments.grid)
    runs, speeds, total = found.runs(), {}, 0.0
    with tempfile.TemporaryDirectory(prefix="ravel-cost-") as folder:
        for planned in runs:
            config = planned.config
            size = arguments.batch or config.training.batch_size
            kind = kind_of(config.model_dump() | {"views": None})
            if kind not in speeds:
                store = noise(Path(folder) / "store", SECONDS[found.system], size)
                speeds[kind] = measured(config, store, size)
                spelt = ", ".join(f"{stage} {s:.3f}" for stage, s in speeds[kind].items())
                print(f"{planned.name}: CPU-seconds a step: {spelt}", flush=True)
            stages = [config.stage(i) for i in range(config.training.steps)]
            total += sum(speeds[kind][stage] * stages.count(stage) for stage in speeds[kind])
    print(f"{len(runs)} runs: {total / 3600:,.0f} CPU-hours, validation and scoring not counted")


def noise(path: Path, seconds: int, clips: int) -> Path:
    """A store of so many clips to train on and two to validate on, once."""
    writer = StoreWriter(path, kind="noise", settings={}, chunks=1)
    if not writer.finished:
        rng, frames = np.random.default_rng(0), 1 + seconds * 16_000 // 256
        about = {"instrument": "a", "labels": "a"}
        rows = [{"name": f"{n}", "split": "train", **about} for n in range(clips)]
        rows += [{"name": f"held-out-{n}", "split": "validation", **about} for n in range(2)]
        mels = [rng.normal(-6, 2, (frames, 80)) for _ in rows]
        waves = [rng.integers(-9_999, 9_999, seconds * 16_000).astype(np.int16) for _ in rows]
        writer.write(0, Chunk(rows, mels, waves))
        writer.finish()
    return path


def measured(config: Any, store: Path, size: int) -> dict[str, float]:
    """CPU-seconds of a step by stage, scaled from `size` clips to the run's batch."""
    changes = {"data.store": str(store), "training.device": "cpu", "training.batch_size": size}
    changes |= {"views.pair": "mixture-mixture"} if config.system == "contrastive" else {}
    changed = registry.parse(merge(config.model_dump(), changes))
    task = registry.task(changed)
    task.load(torch.device("cpu"))
    model = task.build()
    adam = torch.optim.Adam(model.parameters(), amsgrad=changed.training.amsgrad)
    found = {}
    for stage in dict.fromkeys(config.stage(i) for i in range(config.training.steps)):
        task.enter(model, stage, True)
        step = Step(task, model, stage)

        def once(step: Callable[[Any], Any] = step) -> None:
            loss = step(task.batch(torch.arange(size)))["loss"]
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()

        once()
        begun = time.process_time()
        for _ in range(MEASURED):
            once()
        spent = (time.process_time() - begun) / MEASURED
        found[stage] = spent * config.training.batch_size / size
    return found


if __name__ == "__main__":
    main()
