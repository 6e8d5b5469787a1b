"""One run at a time on a device: the others wait, in the order they came.

Each device has a lock file beside the runs. A worker that waits holds its own run's lock and says
`queued`; the device's lock falls free with the process that holds it, however that one ends. A run
on several GPUs waits for all of them.
"""

import fcntl
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import RavelError
from core.training.devices import occupied
from core.training.run import Run, this_process

LOOK_SECONDS = 0.5
LOCKS = ".devices"


@contextmanager
def turn(run: Run) -> Iterator[bool]:
    """Hold the run, wait for its device, and yield True; False if asked to stop while waiting.

    Raises RavelError when another process holds the run; an error inside becomes the run's state.
    """
    inherited = run.is_mine or run.inherit()
    run.hold()
    if not inherited:
        run.forget_stop()
    locks: list[Any] = []
    try:
        training = run.config.get("training", {})
        wanted = occupied(str(training.get("device", "auto")), int(training.get("processes", 1)))
        locks += [_lock_of(run.path.parent, device) for device in wanted]
        granted = _wait(run, wanted, locks)
        if not granted:
            run.write_state(state="stopped", reason="stopped while queued", message="")
        yield granted
    except BaseException as error:
        if run.is_mine:  # it failed before the engine, which records errors itself
            run.fail(_reason(error))
        raise
    finally:
        run.release()
        for lock in locks:
            lock.close()


def waiting(folder: Path, device: str) -> list[Run]:
    """The runs in `folder` whose workers wait for a device, first come first."""
    found = []
    for config in folder.glob("*/config.json"):
        run = Run(config.parent)
        state = run.state()
        wanted = state.get("devices") or [state.get("device")]
        if state.get("state") == "queued" and device in wanted and run.held:
            found.append((float(state.get("since", 0)), run.path.name, run))
    return [run for *_, run in sorted(found, key=lambda item: item[:2])]


def _wait(run: Run, wanted: list[str], locks: list[Any]) -> bool:
    queued = {"state": "queued", "message": "", "reason": "", "since": time.time()}
    where = {"device": ", ".join(wanted), "devices": wanted, "job": None}
    run.write_state(**queued, **where, **this_process())
    while not run.asked_to_stop:
        # First in all its queues: a run on one GPU waits behind an earlier run on all of them.
        lines = [waiting(run.path.parent, device)[:1] for device in wanted]
        first = all(line and line[0].path.name == run.path.name for line in lines)
        if first and _taken(locks):
            return True
        run.beat()
        time.sleep(LOOK_SECONDS)
    return False


def _lock_of(folder: Path, device: str) -> Any:
    """The device's lock file; a device is this machine's, also where the folder is shared."""
    name = f"{socket.gethostname()}-{device.replace(':', '')}.lock"
    try:
        (folder / LOCKS).mkdir(exist_ok=True)
        return open(folder / LOCKS / name, "a")
    except OSError as error:
        raise RavelError(f"{folder / LOCKS / name} cannot be written: {error.strerror}.") from None


def _taken(locks: list[Any]) -> bool:
    """Take all locks, or none."""
    for number, lock in enumerate(locks):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            for taken in locks[:number]:
                fcntl.flock(taken, fcntl.LOCK_UN)
            return False
    return True


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
