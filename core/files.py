"""Files that are either old or new, never half-written."""

import fcntl
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import RavelError


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a temporary neighbour of `path`, then put it in place in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_new_folder(path: str | Path) -> Path:
    """A folder that can be made. Raises RavelError if something is in it, or it has no parent."""
    folder = Path(path)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise RavelError(f"{folder} is there already: give the name of a new folder.")
    if not folder.absolute().parent.is_dir():
        raise RavelError(f"The folder {folder.parent} does not exist: make it first.")
    return folder


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, atomically."""
    text = json.dumps(value, indent=2) + "\n"
    replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays into an .npz file, atomically."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # the stub takes them for allow_pickle
    replace(path, lambda temporary: temporary.write_bytes(buffer.getvalue()))


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """One process at a time, of all that hold the file `lock`; it is made, and left there."""
    with open(lock, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_locked(path: Path) -> bool:
    """Whether a living process holds a lock (flock) on the file; a killed one loses it at once."""
    try:
        with open(path) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
