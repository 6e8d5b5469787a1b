"""Visitors' own files, kept on the server for a while under random ids.

An id of 128 random bits is all that gives access to a file: it stands in the address of a page, so
that the file is still there after a reload, on other pages and in other tabs. Files are bounded in
size, number of bytes in all, and age; what is used again starts anew.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from core.errors import RavelError
from core.service import corpora

MAX_BYTES = 64 * 2**20  # of one file
MAX_TOTAL = 2 * 2**30  # of all
MAX_AGE = 7 * 24 * 3600.0  # seconds since a file was last used
PRUNE_EVERY = 60.0  # seconds
ID = re.compile(r"[A-Za-z0-9_-]{22}")
ABOUT, FILE, FOLDER = "about.json", "file", "files"

_pruned = -PRUNE_EVERY


class Upload(NamedTuple):
    """A file that is kept: its id, where it is, and the name that the visitor's file had."""

    id: str
    path: Path
    name: str


def put(data: bytes, name: str) -> Upload:
    """Keep a file; returns it under a new id. Raises RavelError for one that is too large."""
    if len(data) > MAX_BYTES:
        raise RavelError(
            f"{name} has {len(data) / 1e6:.0f} MB: give a file of up to {MAX_BYTES / 1e6:.0f} MB."
        )
    prune(len(data))
    place = _new()
    with _writing(place):
        (place / FILE).write_bytes(data)
        (place / ABOUT).write_text(json.dumps({"name": name}), encoding="utf-8")
    return Upload(place.name, place / FILE, name)


def get(id: str) -> Upload:
    """The file of an id. Raises RavelError where there is none, or no longer."""
    place = _place(id)
    try:
        name = str(json.loads((place / ABOUT).read_text(encoding="utf-8"))["name"])
        os.utime(place)
        (place / FILE).stat()
    except (OSError, ValueError, KeyError, TypeError):
        raise RavelError(
            f"This recording is no longer kept: files are deleted {MAX_AGE / 86400:g} days after "
            "they were last used. Upload it again."
        ) from None
    return Upload(id, place / FILE, name)


def new_folder(expected: int = 0) -> tuple[str, Path]:
    """A folder of its own for several files of `expected` bytes: its id and where it is."""
    prune(expected)
    place = _new()
    with _writing(place):
        (place / FOLDER).mkdir()
    return place.name, place / FOLDER


def remove(id: str) -> None:
    """Delete what is kept under an id."""
    shutil.rmtree(_place(id), ignore_errors=True)


def prune(coming: int = 0) -> None:
    """Delete what is too old, and the oldest while all of it and what is `coming` are too large."""
    global _pruned
    if time.monotonic() - _pruned < PRUNE_EVERY and not coming:
        return
    _pruned = time.monotonic()
    now, every = time.time(), sorted(_kept(), key=lambda one: one[1])
    total = coming + sum(size for _, _, size in every)
    for place, used, size in every:
        if now - used > MAX_AGE or total > MAX_TOTAL:
            shutil.rmtree(place, ignore_errors=True)
            total -= size


def _kept() -> Iterator[tuple[Path, float, int]]:
    """Each place, when it was last used, and its size in bytes."""
    for place in root().glob("*"):
        try:
            size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
            yield place, place.stat().st_mtime, size
        except OSError:  # deleted meanwhile
            continue


def root() -> Path:
    """Where files are kept: RAVEL_UPLOADS, else a hidden folder beside the corpora."""
    return Path(os.environ.get("RAVEL_UPLOADS") or corpora.DATA / ".uploads")


def _place(id: str) -> Path:
    if not ID.fullmatch(id):  # it comes from an address
        raise RavelError("The address names no recording: upload it again.")
    return root() / id


def _new() -> Path:
    return root() / secrets.token_urlsafe(16)


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    """Make a folder that only this user may read; RavelError where it cannot be written."""
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.mkdir(mode=0o700)
        yield
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise RavelError(f"The file cannot be kept ({error.strerror}).") from error
