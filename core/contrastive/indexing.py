"""A store's index made by a process of its own, or ahead of time:

python -m core.contrastive.indexing STORE CHECKPOINT

Its work so far is in the files of `index.build`, so a killed one continues where it was.
"""

from __future__ import annotations

import sys

from core import jobs
from core.checkpoints.checkpoint import Checkpoint, find
from core.contrastive import index
from core.data.store import FeatureStore
from core.errors import RavelError
from core.jobs import Job, Progress


def start(store: FeatureStore, checkpoint: Checkpoint) -> None:
    """Start the process, unless one is at work. Raises RavelError where nothing can be written."""
    _job(store, checkpoint).start("Loading the encoder")


def progress(store: FeatureStore, checkpoint: Checkpoint) -> Progress:
    """How far the index is."""
    job = _job(store, checkpoint)
    return job.progress((job.folder / index.FILE).exists)


def _job(store: FeatureStore, checkpoint: Checkpoint) -> Job:
    step = "" if checkpoint.snapshot is None else f"@{checkpoint.snapshot}"
    arguments = [str(store.path.resolve()), f"{checkpoint.path.resolve()}{step}"]
    return Job(index.folder_of(store, checkpoint), "core.contrastive.indexing", arguments)


def build(arguments: list[str], report: jobs.Report) -> None:
    """Make an index. Raises RavelError as `index.build` does."""
    if len(arguments) != 2:
        raise RavelError(
            "Give a store and a checkpoint: python -m core.contrastive.indexing STORE CHECKPOINT"
        )
    store, checkpoint = FeatureStore.open(arguments[0]), find(arguments[1])
    index.build(store, checkpoint, jobs.counting(report, "embedded"))


if __name__ == "__main__":
    sys.exit(jobs.main(build))
