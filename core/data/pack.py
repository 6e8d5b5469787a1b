"""A corpus packed for shipping: its sound as one Opus file, and a table of its clips.

A pack is some twenty times smaller than the feature store that is unpacked of it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from core.audio.clip import SAMPLE_RATE, Clip, from_array
from core.data.recording import read_table
from core.errors import RavelError
from core.files import replace

if TYPE_CHECKING:
    from core.data.store import FeatureStore

SOUND, TABLE = "sounds.opus", "clips.csv"
SAMPLES = "samples"  # the column of the table that says how long a clip is
KIND = "pack"  # of the stores that are unpacked
COMPRESSION = 0.94  # libsndfile's: about 20 kbit/s, which moves the audible log-mel by 0.8 dB
LEVEL = 0.9  # a codec may overshoot
CHUNK = 64


def pack(clips: Sequence[Clip], out: str | os.PathLike) -> None:
    """Write clips, each at peak 1, with their labels into the folder `out`; one is `split`."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys(label for clip in clips for label in clip.labels)
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, ["name", *names, SAMPLES], restval="", lineterminator="\n")
    table.writeheader()
    for clip in clips:
        table.writerow({"name": clip.name, **clip.labels, SAMPLES: len(clip.wave)})
    whole = LEVEL * np.concatenate([clip.wave for clip in clips])

    def write(temporary: Path) -> None:
        with soundfile.SoundFile(
            temporary, "w", SAMPLE_RATE, 1, "OPUS", format="OGG", compression_level=COMPRESSION
        ) as file:
            for start in range(0, len(whole), SAMPLE_RATE):
                file.write(whole[start : start + SAMPLE_RATE])

    replace(out / SOUND, write)
    replace(out / TABLE, lambda temporary: temporary.write_text(text.getvalue(), encoding="utf-8"))


def unpack(folder: str | os.PathLike, out: str | os.PathLike) -> FeatureStore:
    """The pack in `folder` as a feature store with its audio, built if it is not there yet.

    RavelError for a damaged pack.
    """
    from core.audio.mel import log_mel  # these import torch, and a page asks for the digest
    from core.data.store import Chunk, StoreWriter, to_pcm

    rows = read_table(Path(folder) / TABLE, ["name", "split", SAMPLES])
    chunks = [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]
    writer = StoreWriter(out, kind=KIND, settings={"pack": digest(folder)}, chunks=len(chunks))
    if not writer.finished:
        clips = list(_clips(Path(folder), rows))
        for number, some in enumerate(chunks):
            made = clips[number * CHUNK : number * CHUNK + len(some)]
            labels = [{k: v for k, v in row.items() if k != SAMPLES} for row in some]
            mels = [log_mel(clip.wave).numpy() for clip in made]
            writer.write(number, Chunk(labels, mels, [to_pcm(clip.wave) for clip in made]))
    return writer.finish()


def digest(folder: str | os.PathLike) -> str:
    """A hash of a pack's files. RavelError where one is missing."""
    try:
        files = [(Path(folder) / name).read_bytes() for name in (SOUND, TABLE)]
    except OSError as error:
        raise RavelError(f"{folder} is no packed corpus: {SOUND} or {TABLE} is missing.") from error
    return hashlib.sha256(b"".join(files)).hexdigest()[:16]


def _clips(folder: Path, rows: Sequence[dict[str, str]]) -> Iterator[Clip]:
    try:
        whole, _ = soundfile.read(folder / SOUND, dtype="float32")
        ends = np.cumsum([int(row[SAMPLES]) for row in rows])
    except (OSError, RuntimeError, ValueError) as error:
        raise RavelError(f"{folder} is damaged ({error}): restore its files.") from error
    if ends[-1] != len(whole):
        raise RavelError(f"{folder} is damaged: its table and its sound differ in length.")
    for row, part in zip(rows, np.split(whole, ends[:-1]), strict=True):
        yield from_array(part, SAMPLE_RATE, name=row["name"])
