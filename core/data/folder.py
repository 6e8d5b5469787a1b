"""An audio folder as a corpus: its files, with the labels of a metadata.csv beside them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from core.audio.clip import CLIP_SECONDS, SAMPLE_RATE, Clip, from_array, read
from core.audio.decode import SILENCE
from core.audio.mel import log_mel
from core.data import pool
from core.data.layouts import recognise
from core.data.recording import Recording, is_audio, is_there, read_table
from core.data.shard import WHOLE, Shard
from core.data.store import Chunk, FeatureStore, StoreWriter, to_pcm
from core.errors import RavelError

MAX_FILE_SECONDS = 4 * 3600.0
MIN_SEGMENT_SECONDS = 0.5  # a shorter remainder of a file is left out
MAX_SEGMENT_SECONDS = 60.0
QUIET = 1e-3  # a segment whose peak is 60 dB below its file's is silent
SPLITS = {"training": "train", "valid": "validation", "val": "validation", "dev": "validation"}
FILES_PER_CHUNK = 8

Folder = str | os.PathLike


def listing(folder: str | os.PathLike) -> list[Recording]:
    """The folder's recordings by name: the rows of metadata.csv, or all audio files found.

    metadata.csv has a column `file` (paths inside the folder); every other column is a label.
    Without one, a public corpus has the labels it is published with (`core.data.layouts`), and
    files in sub-folders get their folder's name as `label`. RavelError when there is no audio, no
    such column, or a file is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RavelError(f"{folder} is not a folder: give a folder with audio files.")
    table = folder / "metadata.csv"
    found = _from_table(folder, table) if table.is_file() else recognise(folder)
    if found is None:
        found = _from_files(folder)
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
    try:
        whole = read(
            recording.path, name=recording.name, normalise=False, max_seconds=MAX_FILE_SECONDS
        ).wave
    except RavelError:
        if recording.may_be_silent and _is_silent(recording.path):
            return
        raise
    size, least = round(seconds * SAMPLE_RATE), round(MIN_SEGMENT_SECONDS * SAMPLE_RATE)
    quiet, stem = QUIET * np.abs(whole).max(), str(Path(recording.name).with_suffix(""))
    for number, start in enumerate(range(0, len(whole), size)):
        part = whole[start : start + size]
        if np.abs(part).max() > quiet and (len(part) >= min(least, size) or not start):
            yield from_array(part, SAMPLE_RATE, name=f"{stem}-{number}", labels=recording.labels)


def build(
    folder: Folder | Sequence[Folder],
    out: str | os.PathLike,
    *,
    labels: Sequence[str] | None = None,
    seconds: float = CLIP_SECONDS,
    validation: float = 0.1,
    validation_fold: str | None = None,
    audio: bool = True,
    seed: int = 0,
    shard: Shard = WHOLE,
    workers: int | None = None,
    progress: pool.Progress = True,
) -> FeatureStore:
    """Builds a store of audio folders, in segments of `seconds`; continues a killed build.

    `labels` chooses among the recordings' labels (default: all). The splits come from `fold` with
    `validation_fold`, else the label `split`, else a seeded part `validation` of the files; each
    folder by itself. With several folders, names begin with their folder's, and a label that only
    some of them have is empty for the others. RavelError for what `listing` and `read` refuse,
    unknown labels and folds, and segments not of 0.5 to 60 s.
    `shard`: only this part of it, for `core.data.merge`.
    """
    if not MIN_SEGMENT_SECONDS <= seconds <= MAX_SEGMENT_SECONDS:
        raise RavelError(
            f"Segments of {seconds:g} s are not possible: choose {MIN_SEGMENT_SECONDS:g} to "
            f"{MAX_SEGMENT_SECONDS:g} seconds."
        )
    folders = [Path(folder)] if isinstance(folder, str | os.PathLike) else [*map(Path, folder)]
    prefixes = _prefixes(folders)
    listings = _with_splits([*map(listing, folders)], validation, validation_fold, seed)
    jobs = _chosen(_joined(listings, prefixes), labels)
    settings = {
        **({"folder": prefixes[0]} if len(folders) == 1 else {"folders": prefixes}),
        "files": len(jobs),
        "listing": fingerprint(jobs),
        "seconds": seconds,
        "audio": audio,
    }
    chunks = pool.chunked(jobs, FILES_PER_CHUNK)
    writer = StoreWriter(out, kind="folder", settings=settings, chunks=len(chunks), shard=shard)
    return pool.build(
        writer, partial(_features, seconds, audio), chunks, workers=workers, progress=progress
    )


def splits(
    files: Sequence[Recording], validation: float, validation_fold: str | None, seed: int
) -> list[str]:
    """Each recording's split, by its column `split`, its `fold`, or at random by its origin."""
    columns = set.intersection(*(set(item.labels) for item in files))
    if validation_fold is not None:
        folds = [item.labels.get("fold", "") for item in files]
        if str(validation_fold) not in folds:
            raise RavelError(
                f"No recording is in fold '{validation_fold}': there are "
                f"{', '.join(sorted(set(folds) - {''})) or 'no folds'}."
            )
        return ["validation" if fold == str(validation_fold) else "train" for fold in folds]
    if "split" in columns:
        named = [item.labels["split"].strip().lower() for item in files]
        return [SPLITS.get(name, name) for name in named]
    return _random_splits([item.origin or item.name for item in files], validation, seed)


def _random_splits(names: Sequence[str], validation: float, seed: int) -> list[str]:
    if not 0 <= validation < 1:
        raise RavelError(f"The validation part is {validation:g}: expected 0 or more and below 1.")
    files = sorted(set(names))
    count = round(len(files) * validation)
    if validation and len(files) > 1:
        count = max(count, 1)
    held_out = set(np.random.default_rng(seed).permutation(files)[:count].tolist())
    return ["validation" if name in held_out else "train" for name in names]


def _with_splits(
    listings: Sequence[list[Recording]], validation: float, validation_fold: str | None, seed: int
) -> list[list[Recording]]:
    """Each folder's recordings with their split among their labels."""
    fold = None if validation_fold is None else str(validation_fold)
    having = [any(item.labels.get("fold") == fold for item in files) for files in listings]
    if fold is not None and not any(having):
        splits([item for files in listings for item in files], validation, fold, seed)  # raises
    return [
        [
            replace(item, labels=item.labels | {"split": split})
            for item, split in zip(
                files, splits(files, validation, fold if held else None, seed), strict=True
            )
        ]
        for files, held in zip(listings, having, strict=True)
    ]


def _joined(listings: Sequence[list[Recording]], prefixes: Sequence[str]) -> list[Recording]:
    if len(listings) == 1:
        return listings[0]
    return [
        replace(item, name=f"{prefix}/{item.name}")
        for prefix, files in zip(prefixes, listings, strict=True)
        for item in files
    ]


def _prefixes(folders: Sequence[Path]) -> list[str]:
    """A name for each folder, numbered where two are called the same."""
    paths = [folder.resolve() for folder in folders]
    for i, path in enumerate(paths):
        for other in paths[i + 1 :]:
            if path.is_relative_to(other) or other.is_relative_to(path):
                raise RavelError(f"{path} and {other} share files: give each folder only once.")
    names = [path.name for path in paths]
    numbers = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return [name if n == 1 else f"{name}-{n}" for name, n in zip(names, numbers, strict=True)]


def _from_table(folder: Path, table: Path) -> list[Recording]:
    rows = read_table(table)
    if rows and "file" not in rows[0]:
        raise RavelError(
            f"{table} has no column 'file': expected one with each recording's path in the folder."
        )
    items = [_from_row(folder, row) for row in rows]
    missing = [item.name for item in items if not is_there(item.path)]
    if missing:
        raise RavelError(
            f"{table} names {len(missing)} of {len(items)} files that are not there, such as "
            f"'{missing[0]}': correct the column 'file'."
        )
    return items


def _from_row(folder: Path, row: dict[str, str]) -> Recording:
    labels = {key: value for key, value in row.items() if key not in ("file", "name")}
    return Recording(folder / row["file"], row["file"], labels)


def _from_files(folder: Path) -> list[Recording]:
    names = [
        path.relative_to(folder) for path in folder.rglob("*") if is_audio(path) and path.is_file()
    ]
    nested = any(len(name.parts) > 1 for name in names)
    return [
        Recording(folder / name, name.as_posix(), {"label": name.parent.name} if nested else {})
        for name in names
    ]


def _is_silent(path: Path) -> bool:
    try:
        blocks = soundfile.blocks(path, 1 << 16, dtype="float32")
        return all(np.abs(block).max(initial=0) < SILENCE for block in blocks)
    except (soundfile.SoundFileError, RuntimeError):
        return False


def _chosen(items: list[Recording], labels: Sequence[str] | None) -> list[Recording]:
    """The recordings with these labels alone, and their split."""
    if labels is None:
        return items
    known = dict.fromkeys(name for item in items for name in item.labels)
    for name in labels:
        if name not in known:
            raise RavelError(
                f"There is no label column '{name}': the recordings have "
                f"{', '.join(known) or 'none'}."
            )
    kept = [*labels, "split"]
    return [
        replace(item, labels={name: item.labels.get(name, "") for name in kept}) for item in items
    ]


def fingerprint(jobs: Sequence[Recording]) -> str:
    """A hash of the names, sizes and labels, by which a changed folder is noticed."""
    facts = [(job.name, job.path.stat().st_size, sorted(job.labels.items())) for job in jobs]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _features(seconds: float, audio: bool, jobs: Sequence[Recording]) -> Chunk:
    clips = [clip for job in jobs for clip in segments(job, seconds)]
    rows = [{"name": clip.name, "split": clip.labels["split"], **clip.labels} for clip in clips]
    waves = [to_pcm(clip.wave) for clip in clips] if audio else None
    return Chunk(rows, [log_mel(clip.wave).numpy() for clip in clips], waves)
