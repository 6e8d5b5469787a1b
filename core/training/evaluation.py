"""A checkpoint scored by a process of its own, `python -m core evaluate`, which outlives the lab.

All that passes between the two is a folder: job.json says what is scored, log.txt what the process
printed, and the lock is held by it for as long as it lives.
"""

import fcntl
import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core.checkpoints.checkpoint import Checkpoint
from core.errors import RavelError
from core.files import is_locked, write_json
from core.jobs import spawn

TAIL = 2000  # characters of the log


class Evaluation(NamedTuple):
    """How it stands: 'running', 'done' or 'failed', with why; what is scored, on what, since when;
    the end of what the process printed; and, when it is done, the scores by name."""

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
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RavelError(
                "It is being scored already: wait until that is done, or stop it."
            ) from None
        arguments = ["evaluate", str(checkpoint.resolve()), "--data", store, *options]
        with open(folder / "log.txt", "wb") as log:
            process = spawn("core", arguments, log, lock)
        job = {"checkpoint": str(checkpoint.resolve()), "store": store, "pid": process.pid}
        write_json(folder / "job.json", job | {"started": time.time()})


def stop(folder: Path) -> None:
    """End it, if it goes on."""
    job = _job(folder)
    if job and is_locked(folder / "lock"):
        try:
            os.killpg(int(job["pid"]), signal.SIGTERM)
        except (ProcessLookupError, PermissionError):  # it ended meanwhile, or is somebody else's
            return


def look(folder: Path) -> Evaluation | None:
    """How the last evaluation in a folder stands, or None when there was none."""
    locked = is_locked(folder / "lock")  # looked at first: it may end while we read on
    job = _job(folder)
    if job is None:
        return None
    log = _log(folder / "log.txt")
    found = Evaluation("running", Path(job["checkpoint"]), job["store"], job["started"], log)
    if locked:
        return found
    scores = _scores(found)
    if scores:
        return found._replace(state="done", scores=scores)
    last = log.strip().rsplit("\n", 1)[-1].removeprefix("python -m core: ")
    return found._replace(state="failed", message=last or "its process was ended")


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


def _job(folder: Path) -> dict[str, Any] | None:
    try:
        job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        return {"checkpoint": job["checkpoint"], "store": job["store"]} | {
            "started": float(job["started"]),
            "pid": int(job["pid"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _log(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = [line.rsplit("\r", 1)[-1] for line in text[-TAIL:].split("\n")]
    return "\n".join(lines).strip("\n")
