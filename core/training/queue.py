"""One run at a time on a device: the others wait, in the order they came.

Each device has a lock file beside the runs. A worker that waits holds its own run's lock and says
`queued`; the device's lock falls free with the process that holds it, however that one ends.
"""

import fcntl
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import RavelError
from core.training.devices import resolve
from core.training.run import Run, this_process

LOOK_SECONDS = 0.5
LOCKS = ".devices"


@contextmanager
def turn(run: Run) -> Iterator[bool]:
    """Hold the run, wait for its device, and yield True; False if told to stop while waiting.

    Raises RavelError when another process holds the run; what fails inside is the run's state.
    """
    inherited = run.is_mine or run.inherit()
    run.hold()
    if not inherited:
        run.forget_stop()
    lock = None
    try:
        device = resolve(str(run.config.get("training", {}).get("device", "auto")))
        lock = _lock_of(run.path.parent, device)
        granted = _wait(run, device, lock)
        if not granted:
            run.write_state(state="stopped", reason="stopped while queued", message="")
        yield granted
    except BaseException as error:
        if run.is_mine:  # the engine, had it begun, would have said so and let go
            run.fail(_reason(error))
        raise
    finally:
        run.release()
        if lock:
            lock.close()


def waiting(folder: Path, device: str) -> list[Run]:
    """The runs in `folder` whose workers wait for a device, first come first."""
    found = []
    for config in folder.glob("*/config.json"):
        run = Run(config.parent)
        state = run.state()
        if state.get("state") == "queued" and state.get("device") == device and run.held:
            found.append((float(state.get("since", 0)), run.path.name, run))
    return [run for *_, run in sorted(found, key=lambda item: item[:2])]


def _wait(run: Run, device: str, lock: Any) -> bool:
    run.write_state(
        state="queued", message="", reason="", device=device, since=time.time(), **this_process()
    )
    while not run.asked_to_stop:
        first = waiting(run.path.parent, device)[:1]
        if first and first[0].path.name == run.path.name and _taken(lock):
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


def _taken(lock: Any) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
