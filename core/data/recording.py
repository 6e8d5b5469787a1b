"""A file of a corpus, and the tables that tell of such files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from core.errors import RavelError

ENDINGS = {f".{name.lower()}" for name in (*soundfile.available_formats(), "aif", "oga")} - {".raw"}


@dataclass(frozen=True)
class Recording:
    """A file of a folder. `name`: its path inside the folder. `origin`: what it was cut from; one
    origin is never in two splits drawn at random. `may_be_silent`: a published corpus may hold
    silent files, which are left out; in a folder of one's own they are a mistake."""

    path: Path
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    origin: str = ""
    may_be_silent: bool = False


def read_table(table: Path, columns: Sequence[str] = ()) -> list[dict[str, str]]:
    """A CSV's rows. RavelError when it cannot be read, or lacks one of the columns."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RavelError(f"{table} cannot be read ({error}): save it as CSV in UTF-8.") from error
    lacking = [name for name in columns if rows and name not in rows[0]]
    if lacking:
        raise RavelError(
            f"{table} has no column '{lacking[0]}': expected {', '.join(columns)}, as published."
        )
    return [{key: (value or "").strip() for key, value in row.items() if key} for row in rows]


def is_there(path: Path) -> bool:
    """Whether there is such a file; none where no file could be called so."""
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def is_audio(path: Path) -> bool:
    """Whether the name ends as that of a sound file does."""
    return path.suffix.lower() in ENDINGS
