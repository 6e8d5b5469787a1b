"""Work for a process of its own, which outlives the page that asked for it."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.errors import RavelError
from core.files import is_locked

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Progress:
    """How far it is: 'missing', 'running', 'failed' or 'done'; `part` from 0 to 1."""

    state: str
    part: float = 0.0
    says: str = ""


def start(folder: Path, module: str, arguments: Sequence[str]) -> None:
    """Run `python -m module arguments`, unless a process is at work in `folder`.

    What it prints is kept in process.log. Raises RavelError where nothing can be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "process.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with open(folder / "process.log", "w") as log:
                spawn(module, arguments, log, lock)
    except BlockingIOError:
        return
    except OSError as error:
        raise RavelError(f"{folder} cannot be written ({error.strerror}).") from None


def spawn(module: str, arguments: Sequence[str], log: IO, lock: IO) -> subprocess.Popen:
    """Run `python -m module arguments`, which prints into the open file `log`.

    It inherits the open file `lock`: what is locked by it is held as long as the process lives.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=(lock.fileno(),),
    )
    threading.Thread(target=process.wait, daemon=True).start()  # so that it leaves no zombie
    return process


def is_running(folder: Path) -> bool:
    """Whether the process that was started for `folder` lives."""
    return is_locked(folder / "process.lock")


def last_words(folder: Path) -> str | None:
    """The last line that the process printed; None when there was no process."""
    try:
        said = (folder / "process.log").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
    return said.rsplit("\n", 1)[-1] or "its process was ended"
