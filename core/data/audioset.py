"""AudioSet as it is published: tables of segments, and the sound files that exist for them."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from core.data.recording import Recording, is_audio, read_table
from core.errors import RavelError

TABLES = {"balanced_train": "train", "unbalanced_train": "train", "eval": "eval"}
CLASSES = "class_labels_indices.csv"
CLASS_COLUMNS = ("index", "mid", "display_name")
PLACES = ("", "metadata", "csv")  # of the tables, below the folder
HELD_OUT = 10  # of so many training videos one is for validation, as AudioSet has no such part
# YTID.wav, YTID_30.000_40.000.wav, in milliseconds too; some downloaders put a Y before the YTID
FILE = re.compile(r"Y?([\w-]{11})(?:_(\d+(?:\.\d+)?)_(\d+(?:\.\d+)?))?")


class Segment(NamedTuple):
    """A row of a table: ten seconds of a video, and the names of its classes."""

    ytid: str
    start: float
    names: tuple[str, ...]
    split: str


class Listing(NamedTuple):
    """The recordings of the segments that have a file, and the YTIDs of the others."""

    recordings: list[Recording]
    missing: list[str]


def layout(folder: Path) -> list[Recording] | None:
    """AudioSet's segments: *_segments.csv, class_labels_indices.csv, files named by their YTIDs.

    `labels` is a list joined by commas, in FSD50K's spelling. Segments without a file are left out:
    videos disappear, so every copy is incomplete. None for another folder; RavelError for a damaged
    table and where no segment has a file.
    """
    found = listing(folder)
    return None if found is None else found.recordings


def summary(folder: Path) -> str | None:
    """How many of AudioSet's segments a folder has, in a sentence; None for another folder, and one
    with a metadata.csv of its own, which takes precedence."""
    found = None if (folder / "metadata.csv").is_file() else listing(folder)
    if found is None:
        return None
    present, missing = len(found.recordings), found.missing
    text = f"AudioSet: {present:,} of {present + len(missing):,} segments are in {folder}"
    if not missing:
        return f"{text}."
    lost = "1 has no file" if len(missing) == 1 else f"{len(missing):,} have no file"
    return f"{text}; {lost} and are left out, such as {missing[0]}."


def listing(folder: Path) -> Listing | None:
    """The segments in a folder, or None for another folder. Raises RavelError as `layout` does."""
    tables = {path: split for path, split in _tables(folder).items() if path.is_file()}
    if not tables:
        return None
    names = _classes(folder)
    files = _files(folder)
    found: list[Recording] = []
    missing: list[str] = []
    for table, split in tables.items():
        for segment in _segments(table, split, names):
            path = _file(segment, files)
            if path is None:
                missing.append(segment.ytid)
            else:
                found.append(_recording(folder, path, segment))
    if not found:
        raise RavelError(
            f"{next(iter(tables))} is there, but the sound of none of its {len(missing):,} "
            "segments: put files called YTID.wav or YTID_START_END.wav into the folder or below."
        )
    return Listing(found, missing)


def _tables(folder: Path) -> dict[Path, str]:
    return {
        folder / place / f"{name}_segments.csv": split
        for place in PLACES
        for name, split in TABLES.items()
    }


def _classes(folder: Path) -> dict[str, str]:
    """The classes' names by their machine ids, without the commas that join them in a list."""
    tables = [folder / place / CLASSES for place in PLACES]
    table = next((path for path in tables if path.is_file()), None)
    if table is None:
        raise RavelError(f"{folder} has AudioSet's segments, but no {CLASSES}: put it beside them.")
    rows = read_table(table, CLASS_COLUMNS)
    return {row["mid"]: _plain(row["display_name"]) for row in rows}


def _plain(name: str) -> str:
    """'Dishes, pots, and pans' as FSD50K spells it: 'Dishes_and_pots_and_pans'."""
    return re.sub(r",( and)? ", " and ", name).replace(",", "").replace(" ", "_")


def _segments(table: Path, split: str, names: dict[str, str]) -> Iterator[Segment]:
    """The rows: YTID, start, end, "mid,mid"; a space follows each comma between them."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader((line for line in file if line[:1] != "#"), skipinitialspace=True)
            for row in filter(None, rows):
                ytid, start, _, mids = row
                own = tuple(names[mid.strip()] for mid in mids.split(","))
                yield Segment(ytid, float(start), own, split)
    except KeyError as error:
        raise RavelError(f"{table} has a class {error} that {CLASSES} does not name.") from error
    except (OSError, ValueError, csv.Error) as error:
        raise RavelError(
            f"{table} cannot be read ({error}): expected YTID, start_seconds, end_seconds, "
            "positive_labels, as published."
        ) from error


def _files(folder: Path) -> dict[str, list[tuple[float | None, Path]]]:
    """The files by YTID, each with the start that its name says, if any."""
    found: dict[str, list[tuple[float | None, Path]]] = {}
    for path in sorted(folder.rglob("*")):
        match = FILE.fullmatch(path.stem)
        if match and is_audio(path) and path.is_file():
            start = None if match[2] is None else float(match[2])
            found.setdefault(match[1], []).append((start, path))
    return found


def _file(segment: Segment, files: dict[str, list[tuple[float | None, Path]]]) -> Path | None:
    starts = (None, segment.start, 1000 * segment.start)
    return next((path for start, path in files.get(segment.ytid, []) if start in starts), None)


def _recording(folder: Path, path: Path, segment: Segment) -> Recording:
    held_out = segment.split == "train" and zlib.crc32(segment.ytid.encode()) % HELD_OUT == 0
    split = "validation" if held_out else segment.split
    labels = {"labels": ",".join(segment.names), "split": split}
    name = path.relative_to(folder).as_posix()
    return Recording(path, name, labels, segment.ytid, may_be_silent=True)
