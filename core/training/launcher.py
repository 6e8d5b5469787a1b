"""Runs as processes of their own: they outlive the page, the tab and the lab that started them.

The worker is the command line's, `python -m core train --resume RUN --queue`, and the two share
nothing but the run's directory, so each can resume the other's runs.
"""

import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import cluster, jobs
from core.cluster import Command, Place
from core.errors import RavelError
from core.training.devices import gpus
from core.training.run import Run

GRACE_SECONDS = 4.0  # between asking a process to end and ending it


def start(folder: str | Path, config: Mapping[str, Any]) -> Run:
    """A new run at `folder`, its worker started. Raises RavelError where one stands already."""
    check_name(Path(folder).name)
    run = Run.create(folder, config)
    _spawn(run)
    return run


def start_numbered(folder: str | Path, config: Mapping[str, Any]) -> Run:
    """As `start`, at the first of folder, folder-2, folder-3, ... that is free."""
    folder, number = Path(folder), 1
    while True:
        path = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        if not path.exists():
            try:
                return start(path, config)
            except RavelError:
                if not path.exists():
                    raise  # else another process took the name just now
        number += 1


def resume(run: Run, place: tuple[str, int] | None = None) -> None:
    """Start a worker that goes on from the last saved state. Raises RavelError when it is held.

    `place`, a device and a number of processes, is where it goes on, if not where it was.
    """
    run.hold()
    try:
        if place:
            run.move(*place)
    except (OSError, RavelError):
        run.release()
        raise
    _spawn(run)


def submit(run: Run, place: Place, graphics: int | None = None) -> list[str]:
    """Train a run as a job of a cluster, and return the job's id. Raises RavelError when it is held
    or the cluster does not take it.

    `training.processes` are trained with on each of the place's nodes; each gets a GPU unless
    `graphics` says how many a node is to have, or the run is to be trained on the CPU.
    """
    training = run.config.get("training", {})
    tasks, device = int(training.get("processes", 1)), str(training.get("device", "auto"))
    if graphics is None:
        on_gpus = device != "cpu" and (place.launcher == "slurm" or device != "auto" or gpus())
        graphics = tasks if on_gpus else 0
    run.hold()
    try:
        run.forget_stop()
        queued = {"state": "queued", "message": "", "reason": "", "since": time.time()}
        run.write_state(**queued, device=device, pid=None, host=None, job=place.launcher)
    finally:
        run.release()
    path = run.path.resolve()
    command = Command([["train", "--resume", str(path)]], log=str(path / "log.txt"))
    try:
        place = place._replace(tasks=tasks, gpus=graphics)
        return cluster.submit([command], place, run.path / "job", run.path.name)
    except RavelError as error:
        run.write_state(state="failed", message=str(error), job=None)
        raise


def stop(run: Run) -> None:
    """Ask the worker to save and leave, also while it is queued."""
    run.ask_to_stop()


def kill(run: Run) -> None:
    """End the worker: politely, then by force. Its progress since the last saved state is lost.

    Raises RavelError when it is another machine's, or cannot be ended.
    """
    state = run.state()
    if not run.held:
        return
    if not state.get("pid"):
        raise RavelError(f"{run.path.name} has only just been started: try again in a moment.")
    if state.get("host") != socket.gethostname():
        raise RavelError(f"{run.path.name} is trained on {state['host']}: stop it there.")
    for how in (signal.SIGTERM, signal.SIGKILL):
        _signal(int(state["pid"]), how)
        if _freed(run):
            return
    raise RavelError(f"The process of {run.path.name} (number {state['pid']}) does not end.")


def delete(run: Run) -> None:
    """Remove a run and all it saved. Raises RavelError while a process trains it."""
    run.hold()
    try:
        hidden = run.path.with_name(f".{run.path.name}.{os.getpid()}.deleted")
        os.replace(run.path, hidden)  # it disappears at once, however long deletion takes
        shutil.rmtree(hidden)
    except OSError as error:
        raise RavelError(f"{run.path} cannot be deleted: {error.strerror}.") from None
    finally:
        run.release()


def check_name(name: str) -> None:
    """Raises RavelError unless `name` can be a run's folder."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.+-]{0,99}", name):
        raise RavelError(
            f"A run cannot be called {name!r}: use up to 100 letters, digits, dots, dashes and "
            "underscores, and begin with a letter or a digit."
        )


def _spawn(run: Run) -> None:
    """Start the worker. The run's lock is handed over, so that it is held from the first instant
    to the worker's last, and two who start the same run at once do not both succeed."""
    run.hold()
    try:
        run.forget_stop()
        run.write_state(state="queued", message="", reason="", pid=None, host=None, job=None)
        lent = run.lend()
        lent["env"].setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as devices.py numbers GPUs
        with open(run.path / "log.txt", "ab") as log:
            arguments = ["train", "--resume", str(run.path.resolve()), "--queue"]
            jobs.spawn("core", arguments, log=log, **lent)
    except OSError as error:
        run.write_state(state="failed", message=f"it could not be started: {error.strerror}")
        raise RavelError(f"{run.path.name} could not be started: {error.strerror}.") from None
    finally:
        run.release()


def _signal(pid: int, how: int) -> None:
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, how)
        else:  # started in a shell, whose other jobs must not be signalled
            os.kill(pid, how)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise RavelError(f"Process {pid} is another user's: ask them to stop it.") from None


def _freed(run: Run) -> bool:
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline:
        if not run.held:
            return True
        time.sleep(0.05)
    return False
