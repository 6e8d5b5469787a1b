"""A checkpoint scored by a process of its own, `python -m core evaluate`, which outlives the lab.

Beside the files of every job, the folder holds a job.json, which names what is scored.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core.checkpoints.checkpoint import Checkpoint
from core.errors import RavelError
from core.files import write_json
from core.jobs import Files, Job

TAIL = 2000  # characters of the log
FILES = Files("lock", "log.txt", report=None)


class Evaluation(NamedTuple):
    """`state`: 'running', 'done' or 'failed', which `message` explains; the checkpoint, its store
    and start time; the end of the process's output; and, when it is done, the scores by name."""

    state: str
    checkpoint: Path
    store: str
    started: float
    log: str
    message: str = ""
    scores: dict[str, Any] | None = None


def start(folder: Path, checkpoint: Path, store: str, options: Sequence[str] = ()) -> None:
    """Score a checkpoint's folder on a feature store, with options of the command's.

    Raises RavelError while `folder` is used.
    """
    path = str(checkpoint.resolve())
    job = Job(folder, "core", ["evaluate", path, "--data", store, *options], FILES)
    about = {"checkpoint": path, "store": store, "started": time.time()}
    if job.start(prepare=lambda: write_json(folder / "job.json", about)) is None:
        raise RavelError("It is being scored already: wait until that is done, or stop it.")


def stop(folder: Path) -> None:
    """Stop the evaluation, if it is still running."""
    Job(folder, "core", files=FILES).stop()


def look(folder: Path) -> Evaluation | None:
    """The last evaluation in a folder, or None when there was none."""
    job = Job(folder, "core", files=FILES)
    running = job.is_running  # looked at first: it may end while the files are read
    found = _read(folder, job.log)
    if found is None or running:
        return found
    scores = _scores(found)
    if scores:
        return found._replace(state="done", scores=scores)
    return found._replace(state="failed", message=job.last_line or "its process was ended")


def carry_over(scored: Path, made: Checkpoint) -> bool:
    """Give a checkpoint the scores of one with the same weights; whether there were any."""
    before = Checkpoint(scored)
    if not (scored / "metrics.json").exists() or before.digest != made.digest:
        return False
    made.write_metrics(before.metrics)
    return True


def _scores(job: Evaluation) -> dict[str, Any] | None:
    """What was written since it began."""
    try:
        changed = (job.checkpoint / "metrics.json").stat().st_mtime
        scores = Checkpoint(job.checkpoint).metrics.get(Path(job.store).name)
    except (OSError, RavelError):
        return None
    return scores if changed >= job.started - 1 and isinstance(scores, dict) else None


def _read(folder: Path, log: str) -> Evaluation | None:
    """An evaluation that is running, by its job.json."""
    try:
        about = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        of = Path(about["checkpoint"]), str(about["store"]), float(about["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Evaluation("running", *of, _tail(log))


def _tail(log: str) -> str:
    """The end of a log; of a progress bar, which redraws its line, the last state only."""
    lines = [line.rsplit("\r", 1)[-1] for line in log[-TAIL:].split("\n")]
    return "\n".join(lines).strip("\n")
