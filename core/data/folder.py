"""An audio folder as a corpus: its files, with the labels of a metadata.csv beside them."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from core.audio.clip import CLIP_SECONDS, SAMPLE_RATE, Clip, from_array, read
from core.audio.mel import log_mel
from core.data import pool
from core.data.store import Chunk, FeatureStore, StoreWriter, to_pcm
from core.errors import RavelError

MAX_FILE_SECONDS = 4 * 3600.0
MIN_SEGMENT_SECONDS = 0.5  # a shorter remainder of a file is left out
QUIET = 1e-3  # a segment whose peak is 60 dB below its file's is silent
SPLITS = {"training": "train", "valid": "validation", "val": "validation", "dev": "validation"}
FILES_PER_CHUNK = 8


@dataclass(frozen=True)
class Recording:
    """A file of the folder. `name`: its path inside the folder."""

    path: Path
    name: str
    labels: dict[str, str]


def listing(folder: str | os.PathLike) -> list[Recording]:
    """The folder's recordings by name: the rows of metadata.csv, or all audio files found.

    metadata.csv has a column `file` (paths inside the folder); every other column is a label.
    Without one, files in sub-folders get their folder's name as `label`. RavelError when there is
    no audio, no such column, or a file is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RavelError(f"{folder} is not a folder: give a folder with audio files.")
    table = folder / "metadata.csv"
    found = _from_table(folder, table) if table.is_file() else _from_files(folder)
    if not found:
        raise RavelError(f"{folder} holds no audio: put WAV, FLAC, Ogg, MP3 or AIFF files into it.")
    return sorted(found, key=lambda recording: recording.name)


def recordings(folder: str | os.PathLike, *, seconds: float = CLIP_SECONDS) -> Iterator[Clip]:
    """Segments of up to `seconds` of every recording with its labels, each at peak 1.

    Silent segments and remainders under half a second are left out. RavelError names a bad file.
    """
    for recording in listing(folder):
        yield from segments(recording, seconds)


def segments(recording: Recording, seconds: float = CLIP_SECONDS) -> Iterator[Clip]:
    """One recording's segments, named by the file and their number."""
    whole = read(
        recording.path, name=recording.name, normalise=False, max_seconds=MAX_FILE_SECONDS
    ).wave
    size, least = round(seconds * SAMPLE_RATE), round(MIN_SEGMENT_SECONDS * SAMPLE_RATE)
    quiet, stem = QUIET * np.abs(whole).max(), str(Path(recording.name).with_suffix(""))
    for number, start in enumerate(range(0, len(whole), size)):
        part = whole[start : start + size]
        if np.abs(part).max() > quiet and (len(part) >= min(least, size) or not start):
            yield from_array(part, SAMPLE_RATE, name=f"{stem}-{number}", labels=recording.labels)


def build(
    folder: str | os.PathLike,
    out: str | os.PathLike,
    *,
    labels: Sequence[str] | None = None,
    seconds: float = CLIP_SECONDS,
    validation: float = 0.1,
    validation_fold: str | None = None,
    audio: bool = True,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> FeatureStore:
    """Builds a store of an audio folder, in segments of `seconds`; continues a killed build.

    `labels` chooses columns of metadata.csv (default: all). The splits come from its column
    `split`, else from `fold` with `validation_fold`, else a seeded part `validation` of the files.
    RavelError for what `listing` and `read` refuse, unknown columns and folds.
    """
    files = listing(folder)
    jobs = [
        Recording(item.path, item.name, _chosen(item, labels) | {"split": split})
        for item, split in zip(files, splits(files, validation, validation_fold, seed), strict=True)
    ]
    settings = {
        "folder": Path(folder).resolve().name,
        "files": len(jobs),
        "listing": fingerprint(jobs),
        "seconds": seconds,
        "audio": audio,
    }
    chunks = [jobs[i : i + FILES_PER_CHUNK] for i in range(0, len(jobs), FILES_PER_CHUNK)]
    writer = StoreWriter(out, kind="folder", settings=settings, chunks=len(chunks))
    return pool.build(
        writer, partial(_features, seconds, audio), chunks, workers=workers, progress=progress
    )


def splits(
    files: Sequence[Recording], validation: float, validation_fold: str | None, seed: int
) -> list[str]:
    """Each recording's split, by its column `split`, its `fold`, or at random by file."""
    columns = set.intersection(*(set(item.labels) for item in files))
    if validation_fold is not None:
        folds = [item.labels.get("fold", "") for item in files]
        if str(validation_fold) not in folds:
            raise RavelError(
                f"No recording is in fold '{validation_fold}': metadata.csv has "
                f"{', '.join(sorted(set(folds) - {''})) or 'no folds'}."
            )
        return ["validation" if fold == str(validation_fold) else "train" for fold in folds]
    if "split" in columns:
        named = [item.labels["split"].strip().lower() for item in files]
        return [SPLITS.get(name, name) for name in named]
    return _random_splits([item.name for item in files], validation, seed)


def _random_splits(names: Sequence[str], validation: float, seed: int) -> list[str]:
    if not 0 <= validation < 1:
        raise RavelError(f"The validation part is {validation:g}: expected 0 or more and below 1.")
    files = sorted(set(names))
    count = round(len(files) * validation)
    if validation and len(files) > 1:
        count = max(count, 1)
    held_out = set(np.random.default_rng(seed).permutation(files)[:count].tolist())
    return ["validation" if name in held_out else "train" for name in names]


def _from_table(folder: Path, table: Path) -> list[Recording]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RavelError(f"{table} cannot be read ({error}): save it as CSV in UTF-8.") from error
    if rows and "file" not in rows[0]:
        raise RavelError(
            f"{table} has no column 'file': expected one with each recording's path in the folder."
        )
    items = [_from_row(folder, row) for row in rows]
    missing = [item.name for item in items if not item.path.is_file()]
    if missing:
        raise RavelError(
            f"{table} names {len(missing)} of {len(items)} files that are not there, such as "
            f"'{missing[0]}': correct the column 'file'."
        )
    return items


def _from_row(folder: Path, row: dict[str, str]) -> Recording:
    name = (row["file"] or "").strip()
    labels = {key: (value or "").strip() for key, value in row.items() if key and key != "file"}
    return Recording(folder / name, name, {key: v for key, v in labels.items() if key != "name"})


def _from_files(folder: Path) -> list[Recording]:
    endings = {f".{name.lower()}" for name in (*soundfile.available_formats(), "aif", "oga")}
    endings -= {".raw"}
    paths = [path for path in folder.rglob("*") if path.suffix.lower() in endings]
    names = [path.relative_to(folder) for path in paths if path.is_file()]
    nested = any(len(name.parts) > 1 for name in names)
    return [
        Recording(folder / name, name.as_posix(), {"label": name.parent.name} if nested else {})
        for name in names
    ]


def _chosen(item: Recording, labels: Sequence[str] | None) -> dict[str, str]:
    if labels is None:
        return item.labels
    for name in labels:
        if name not in item.labels:
            known = ", ".join(item.labels) or "none"
            raise RavelError(f"There is no label column '{name}': the recordings have {known}.")
    return {name: item.labels[name] for name in labels}


def fingerprint(jobs: Sequence[Recording]) -> str:
    """A hash of the names, sizes and labels, by which a changed folder is noticed."""
    facts = [(job.name, job.path.stat().st_size, sorted(job.labels.items())) for job in jobs]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _features(seconds: float, audio: bool, jobs: Sequence[Recording]) -> Chunk:
    clips = [clip for job in jobs for clip in segments(job, seconds)]
    rows = [{"name": clip.name, "split": clip.labels["split"], **clip.labels} for clip in clips]
    waves = [to_pcm(clip.wave) for clip in clips] if audio else None
    return Chunk(rows, [log_mel(clip.wave).numpy() for clip in clips], waves)
