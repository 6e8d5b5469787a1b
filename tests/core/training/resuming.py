"""One config trained twice: in one go, and with a stop in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from core import registry
from core.training.config import RunConfig
from core.training.engine import train
from core.training.run import Run


def whole_and_parted(
    config: RunConfig, folder: Path, batches: int, make: Callable[..., Any] = registry.task
) -> tuple[Run, Run]:
    """A run without a stop, and one that is stopped at the batch after so many, and resumed.

    `make` gives a task for the config.
    """
    whole = Run.create(folder / "whole", config.model_dump())
    train(make(config), whole, progress=False)
    parted = Run.create(folder / "parted", config.model_dump())
    task = make(config)
    remaining = iter(range(batches))

    def stopping(indices, draw=task.batch):
        if next(remaining, None) is None:
            parted.ask_to_stop()
        return draw(indices)

    task.batch = stopping
    assert train(task, parted, progress=False)["state"] == "stopped"
    assert parted.load("last")[2]["step"] == batches + 1
    assert train(make(config), parted, progress=False)["state"] == "finished"
    return whole, parted
