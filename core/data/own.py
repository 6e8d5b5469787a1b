"""A corpus of one's own recordings: found, labelled, split by label, and cut into clips.

`survey` lists recordings with the labels they seem to have; `build` makes a store of a list that
somebody has looked through.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from core.audio.clip import CLIP_SECONDS
from core.data.recording import Recording, is_audio
from core.errors import RavelError

if TYPE_CHECKING:
    from core.data.store import Chunk, FeatureStore

LABEL = "label"
RECORDING = "recording"  # the label that says which file a clip was cut from
MAX_FILES = 20_000
MAX_HOURS = 4  # of one recording
MAX_UNZIPPED = 4 * 2**30  # bytes
TABLE = "metadata.csv"
COPY = 2**20
FILES_PER_CHUNK = 4


@dataclass(frozen=True)
class Surveyed:
    """A recording that was found, its length in `seconds`, and what is wrong with it, or ""."""

    recording: Recording
    seconds: float = 0.0
    problem: str = ""


def survey(folder: str | os.PathLike) -> list[Surveyed]:
    """The recordings of a folder with their labels, by name; files that cannot be read say why.

    Labels come from metadata.csv, a published layout or sub-folders, as in `core.data.folder`,
    else from the files' names where they seem to hold some. RavelError for a folder without sound.
    """
    from core.data.folder import listing  # not at the top: it imports torch, and pages import this

    found = listing(folder)
    if len(found) > MAX_FILES:
        raise RavelError(
            f"{folder} holds {len(found):,} recordings: give at most {MAX_FILES:,} at a time, or "
            "use `python -m core data folder`."
        )
    if not any(item.labels for item in found):
        labels = labels_of_names([item.name for item in found])
        found = [replace(i, labels={LABEL: labels[i.name]}) for i in found] if labels else found
    return [_surveyed(recording) for recording in found]


def _surveyed(recording: Recording) -> Surveyed:
    try:
        seconds = float(soundfile.info(recording.path).duration)
    except (OSError, RuntimeError, TypeError):
        return Surveyed(recording, 0.0, "not a sound file that can be read")
    if seconds > 3600 * MAX_HOURS:
        return Surveyed(recording, seconds, f"longer than {MAX_HOURS} hours")
    return Surveyed(recording, seconds, "" if seconds else "empty")


def labels_of_names(names: Sequence[str]) -> dict[str, str]:
    """Labels read off file names such as `violin-3.wav`, by name; {} where they hold none.

    A label is what stands before the number at the end of a name. There must be fewer labels than
    files, and a number after most of them.
    """
    stems = {name: PurePosixPath(name).stem for name in names}
    matched = {name: re.fullmatch(r"(.*?)[\s_.-]*\d+", stem) for name, stem in stems.items()}
    labels = {
        name: (found[1] if found else stems[name]).strip(" _.-").lower()
        for name, found in matched.items()
    }
    numbered = sum(found is not None for found in matched.values())
    different = len(set(labels.values()))
    usable = all(re.search(r"[^\W\d_]", label) for label in labels.values())
    return labels if usable and 1 < different < len(names) and 2 * numbered > len(names) else {}


def unzip(file: str | os.PathLike, out: str | os.PathLike) -> None:
    """The recordings of a zip file and their metadata.csv, into the folder `out`.

    All else in it is passed over. RavelError for a damaged or encrypted file, and for one that
    would take more than 4 GB.
    """
    out, taken = Path(out), 0
    try:
        with zipfile.ZipFile(file) as archive:
            members = [one for one in archive.infolist() if _is_wanted(one)]
            if len(members) > MAX_FILES:
                raise RavelError(f"The zip file holds {len(members):,} files: {MAX_FILES:,} fit.")
            for member in members:
                place = out.joinpath(*_parts(member.filename))
                place.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, place.open("wb") as target:
                    while block := source.read(COPY):  # what a header says of the size may be false
                        taken += len(block)
                        if taken > MAX_UNZIPPED:
                            raise RavelError("The zip file holds more than 4 GB: split it.")
                        target.write(block)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise RavelError(f"The zip file cannot be read ({error}): pack it again.") from None


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(member.filename)
    link = stat.S_ISLNK(member.external_attr >> 16)
    hidden = any(part.startswith((".", "__MACOSX")) for part in _parts(member.filename))
    wanted = is_audio(Path(name.name)) or name.name == TABLE
    return wanted and not (member.is_dir() or link or hidden)


def _parts(name: str) -> list[str]:
    """A path's parts, none of which leads out of the folder."""
    parts = name.replace("\\", "/").split("/")
    return [re.sub(r"[\x00-\x1f:]", "_", part) for part in parts if part not in ("", ".", "..")]


def build(
    recordings: Sequence[Recording],
    out: str | os.PathLike,
    *,
    factor: str = LABEL,
    seconds: float = CLIP_SECONDS,
    validation: float = 0.1,
    seed: int = 0,
    workers: int | None = None,
    progress: bool | Callable[[int, int], Any] = True,
) -> FeatureStore:
    """Builds a feature store of recordings, cut into clips of `seconds`; continues a killed build.

    A part `validation` is held out, so that every label of `factor` that can be in both parts is:
    whole files of a label that has several, otherwise the end of its only file. Every clip has the
    label `recording`. RavelError for recordings that cannot be read.
    """
    from core.data import pool
    from core.data.folder import MAX_SEGMENT_SECONDS, MIN_SEGMENT_SECONDS, fingerprint
    from core.data.store import StoreWriter

    if not recordings:
        raise RavelError("There are no recordings to build a corpus of: add some.")
    if not MIN_SEGMENT_SECONDS <= seconds <= MAX_SEGMENT_SECONDS:
        raise RavelError(
            f"Clips of {seconds:g} s are not possible: choose {MIN_SEGMENT_SECONDS:g} to "
            f"{MAX_SEGMENT_SECONDS:g} seconds."
        )
    jobs = with_splits(recordings, factor, validation, seed)
    settings = {"files": len(jobs), "listing": fingerprint(jobs), "seconds": seconds}
    chunks = pool.chunked(jobs, FILES_PER_CHUNK)
    writer = StoreWriter(out, kind="folder", settings=settings, chunks=len(chunks))
    work = partial(_features, seconds, validation)
    return pool.build(writer, work, chunks, workers=workers, progress=progress)


def with_splits(
    recordings: Sequence[Recording], factor: str, validation: float, seed: int
) -> list[Recording]:
    """The recordings with their split among their labels: train, validation, or BOTH for one that
    is split in time. A column `split` that all of them have is kept."""
    if all(item.labels.get("split") for item in recordings):
        return list(recordings)
    by_label = defaultdict(list)
    for item in recordings:
        by_label[item.labels.get(factor, "")].append(item.name)
    rng, chosen = np.random.default_rng(seed), {}
    for _, names in sorted(by_label.items()):
        count = min(max(1, round(len(names) * validation)), len(names) - 1)
        held_out = set(rng.permutation(sorted(names))[:count].tolist())
        for name in names:
            split = "validation" if name in held_out else "train"
            chosen[name] = BOTH if len(names) == 1 else split
    return [replace(item, labels=item.labels | {"split": chosen[item.name]}) for item in recordings]


BOTH = "both"  # of a recording whose end is held out


def _features(seconds: float, validation: float, jobs: Sequence[Recording]) -> Chunk:
    from core.audio.mel import log_mel
    from core.data.folder import segments
    from core.data.store import Chunk, to_pcm

    rows, mels, waves = [], [], []
    for job in jobs:
        clips = list(segments(job, seconds))
        last = len(clips) - max(1, round(validation * len(clips))) if len(clips) > 1 else 1
        for number, clip in enumerate(clips):
            split = job.labels["split"]
            if split == BOTH:
                split = "validation" if number >= last else "train"
            labels = {**clip.labels, RECORDING: str(PurePosixPath(job.name).with_suffix(""))}
            rows.append({"name": clip.name, **labels, "split": split})
            mels.append(log_mel(clip.wave).numpy())
            waves.append(to_pcm(clip.wave))
    return Chunk(rows, mels, waves)


def common_label(recordings: Iterable[Recording]) -> str:
    """The label column that most recordings have, of several that with the fewest labels."""
    counts, values = Counter[str](), defaultdict(set)
    for item in recordings:
        for name, value in item.labels.items():
            if value and name != "split":
                counts[name] += 1
                values[name].add(value)
    several = [name for name in counts if len(values[name]) > 1]
    return min(several, key=lambda name: (-counts[name], len(values[name])), default=LABEL)
