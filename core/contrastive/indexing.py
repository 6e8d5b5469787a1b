"""A store's index made by a process of its own, or ahead of time:

python -m core.contrastive.indexing STORE CHECKPOINT

What it has done so far are the files of `index.build`; a killed one goes on where it was.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from core import jobs as background
from core.checkpoints import checkpoint as checkpoints
from core.checkpoints.checkpoint import Checkpoint
from core.contrastive import index
from core.data.store import FeatureStore
from core.errors import RavelError
from core.jobs import Progress


def start(store: FeatureStore, checkpoint: Checkpoint) -> None:
    """Begin, unless a process is at it. Raises RavelError where nothing can be written."""
    step = "" if checkpoint.snapshot is None else f"@{checkpoint.snapshot}"
    arguments = [str(store.path.resolve()), f"{checkpoint.path.resolve()}{step}"]
    background.start(index.folder_of(store, checkpoint), "core.contrastive.indexing", arguments)


def progress(folder: Path, clips: int) -> Progress:
    """How far the index of so many clips is, told by its files."""
    held = background.is_running(folder)  # looked at first: it may end while we read on
    if (folder / index.FILE).exists():
        return Progress("done", 1.0)
    done = min(index.done(folder), clips)
    if held:
        says = f"{done:,} of {clips:,} clips embedded" if done else "Loading the encoder"
        return Progress("running", done / max(1, clips), says)
    said = background.last_words(folder)
    return Progress("missing") if said is None else Progress("failed", 0.0, said)


def main(arguments: list[str]) -> int:
    """Make an index, and say in one sentence why it failed."""
    if len(arguments) != 2:
        print("Give a store and a checkpoint: python -m core.contrastive.indexing STORE CHECKPOINT")
        return 2
    try:
        index.build(FeatureStore.open(arguments[0]), checkpoints.find(arguments[1]))
    except RavelError as error:
        print(error)
        return 2
    return 0


if __name__ == "__main__":
    os.nice(10)  # whoever listens to the lab comes first
    sys.exit(main(sys.argv[1:]))
