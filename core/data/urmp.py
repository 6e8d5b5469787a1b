"""URMP as a corpus: four-second segments of the single parts, as the paper has them (section 4.1).

Li et al., "Creating a Multitrack Classical Music Performance Dataset", 2018. The preparation is
that of Hayes, Saitis, Fazekas, "Neural Waveshaping Synthesis", ISMIR 2021: segments that begin a
second apart, kept where CREPE is confident, at one level for each instrument, dealt 80/10/10.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from core.audio import pitch
from core.audio.clip import CLIP_SAMPLES, SAMPLE_RATE, read
from core.audio.mel import log_mel
from core.data import layouts, pool
from core.data.folder import MAX_FILE_SECONDS, fingerprint
from core.data.layouts import URMP_INSTRUMENTS
from core.data.recording import Recording
from core.data.store import Chunk, FeatureStore, StoreWriter, to_pcm
from core.errors import RavelError
from core.files import write_json

INSTRUMENTS = ("violin", "trumpet")
# The paper's is of CREPE full; tiny is less sure of the same sound, by 0.06 near this threshold.
CONFIDENCE = {"full": 0.85, "tiny": 0.79}
STEP_SECONDS = 1.0  # from one segment's beginning to the next one's
HELD_OUT = {"validation": 0.1, "test": 0.1}  # the paper leaves the test part alone
ATTEMPTS = 100  # at dealing whole pieces so that no instrument is missing

Split = Literal["segments", "pieces"]


class Segment(NamedTuple):
    """Four seconds of a part: its first sample, mean CREPE confidence and peak."""

    start: int
    confidence: float
    peak: float


class Kept(NamedTuple):
    """A segment that goes into the store. `level`: the peak of its instrument."""

    recording: Recording
    start: int
    level: float
    split: str = "train"

    @property
    def instrument(self) -> str:
        return self.recording.labels["instrument"]


def listing(folder: str | os.PathLike, instruments: Sequence[str] | None) -> list[Recording]:
    """The parts that some instruments play (None: all), by name; 'vn' and 'violin' are the same.

    `folder` is URMP's Dataset, a folder that holds it, or a piece. RavelError for any other.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RavelError(f"{folder} is not a folder: give URMP's folder Dataset.")
    found = layouts.urmp(folder)
    if not found:
        raise RavelError(
            f"{folder} is not URMP: expected folders of pieces such as 01_Jupiter_vn_vc, with a "
            "sound file for each player such as AuSep_1_vn_01_Jupiter.wav; give its folder Dataset."
        )
    there = sorted({item.labels["instrument"] for item in found})
    wanted = [URMP_INSTRUMENTS.get(name.lower(), name.lower()) for name in instruments or there]
    lacking = [name for name in wanted if name not in there]
    if lacking:
        raise RavelError(f"No part is by '{lacking[0]}' in {folder}: choose {', '.join(there)}.")
    chosen = [item for item in found if item.labels["instrument"] in wanted]
    return sorted(chosen, key=lambda item: item.name)


def build(
    folder: str | os.PathLike,
    out: str | os.PathLike,
    *,
    instruments: Sequence[str] | None = INSTRUMENTS,
    confidence: float | None = None,
    crepe: Literal["auto", "tiny", "full"] = "auto",
    step: float = STEP_SECONDS,
    split: Split = "segments",
    audio: bool = True,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> FeatureStore:
    """Builds a store of some instruments of URMP (None: all); continues a killed build.

    `crepe`: "full" as in the paper, or "tiny", thirty times as fast; "auto" is full on a GPU.
    `confidence`: what the mean over a segment has to exceed; None: CONFIDENCE, as published.
    `split`: the paper deals the segments, whose neighbours share up to three seconds, so that its
    validation clips are half known; "pieces" holds whole pieces out. Labels: name, split,
    instrument, piece, part, start (seconds), source. RavelError for what `listing` refuses,
    impossible settings, and an instrument of which nothing is kept.
    """
    device, capacity = _where(crepe)
    confidence = CONFIDENCE[capacity] if confidence is None else confidence
    if not (0 <= confidence <= 1 and 0 < step <= 60):
        raise RavelError(
            f"Confidence {confidence:g} and a step of {step:g} s are not possible: choose 0 to 1, "
            "and up to 60 seconds."
        )
    parts = listing(folder, instruments)
    settings = {
        "folder": Path(folder).resolve().name,
        "instruments": sorted({item.labels["instrument"] for item in parts}),
        "listing": fingerprint(parts),
        "confidence": confidence,
        "crepe": capacity,
        "step": step,
        "split": split,
        "audio": audio,
        "seed": seed,
    }
    writer = StoreWriter(out, kind="urmp", settings=settings, chunks=len(parts))
    plan: list[list[Kept]] = [[] for _ in parts]
    if writer.missing():
        key = f"{settings['listing']}-{capacity}-{step:g}"
        measured = pool.build(
            Measurements(writer.path / "chunks" / f"crepe-{key}", len(parts)),
            partial(measure, capacity, device, step),
            [[part] for part in parts],
            workers=workers if device == "cpu" else 1,  # one process feeds a GPU
            progress=progress,
        )
        try:
            plan = choose(parts, measured, confidence, split, seed)
        except RavelError:  # the folder may be given other settings, for which CREPE has run
            (writer.path / "store.json").unlink()
            raise
        if progress:
            print(f"{sum(map(len, plan))} of {sum(map(len, measured))} segments are kept.")
    work = partial(_features, audio)
    return pool.build(writer, work, plan, workers=workers, progress=progress)


def measure(
    capacity: pitch.Capacity, device: str, step: float, parts: Sequence[Recording]
) -> list[Segment]:
    """Every whole segment of one part. CREPE runs over the part once, its frames in batches."""
    wave = _wave(parts[0])
    starts = range(0, len(wave) - CLIP_SAMPLES + 1, round(step * SAMPLE_RATE))
    if not starts:
        return []
    found = pitch.track(wave, capacity=capacity, device=device)
    frames = np.rint(found.times * SAMPLE_RATE).astype(int)
    segments = []
    for start in starts:
        inside = (frames >= start) & (frames < start + CLIP_SAMPLES)
        peak = float(np.abs(wave[start : start + CLIP_SAMPLES]).max())
        segments.append(Segment(start, float(found.confidence[0, inside].mean()), peak))
    return segments


def choose(
    parts: Sequence[Recording],
    measured: Sequence[Sequence[Segment]],
    confidence: float,
    split: Split,
    seed: int,
) -> list[list[Kept]]:
    """The segments of each part that are kept, with their split and their instrument's level.

    A level is the highest peak among the instrument's kept segments, so that the loudest reaches 1
    and the others stay as soft beside it as they were played.
    """
    sure = [[s for s in those if s.confidence > confidence and s.peak > 0] for those in measured]
    levels: dict[str, float] = {}
    for part, those in zip(parts, sure, strict=True):
        name = part.labels["instrument"]
        levels[name] = max([levels.get(name, 0.0), *(s.peak for s in those)])
    silent = [name for name, level in levels.items() if not level]
    if silent:
        raise RavelError(
            f"CREPE is nowhere confident enough of {silent[0]}: choose a confidence below "
            f"{confidence:g}, or other instruments."
        )
    plan = [
        Kept(part, s.start, levels[part.labels["instrument"]])
        for part, those in zip(parts, sure, strict=True)
        for s in those
    ]
    dealt = _by_segments(plan, seed) if split == "segments" else _by_pieces(plan, seed)
    turn = iter(kept._replace(split=name) for kept, name in zip(plan, dealt, strict=True))
    return [[next(turn) for _ in those] for those in sure]


class Measurements:
    """The segments of each part as JSON files among a store's chunks, for `pool.build` to fill."""

    def __init__(self, path: Path, parts: int) -> None:
        self.path, self.numbers = path, range(parts)

    def _file(self, number: int) -> Path:
        return self.path / f"{number:06d}.json"

    def missing(self) -> list[int]:
        return [number for number in self.numbers if not self._file(number).exists()]

    def write(self, number: int, segments: list[Segment]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self._file(number), segments)

    def finish(self) -> list[list[Segment]]:
        files = [self._file(number) for number in self.numbers]
        return [[Segment(*values) for values in json.loads(f.read_text("utf-8"))] for f in files]


def _by_segments(plan: Sequence[Kept], seed: int) -> list[str]:
    """The paper's splits: each instrument's segments dealt at random."""
    instruments = np.array([kept.instrument for kept in plan])
    dealt = np.empty(len(plan), dtype=object)
    for name in np.unique(instruments):
        rows = np.flatnonzero(instruments == name)
        dealt[rows] = _deal(len(rows), np.random.default_rng(seed))
    return dealt.tolist()


def _by_pieces(plan: Sequence[Kept], seed: int) -> list[str]:
    """Whole pieces dealt at random, so that every instrument is in training and validation."""
    pieces = sorted({kept.recording.labels["piece"] for kept in plan})
    players = {kept.instrument for kept in plan}
    for attempt in range(ATTEMPTS):
        dealt = _deal(len(pieces), np.random.default_rng([seed, attempt]))
        split_of = dict(zip(pieces, dealt, strict=True))
        splits = [split_of[kept.recording.labels["piece"]] for kept in plan]
        present = {(kept.instrument, name) for kept, name in zip(plan, splits, strict=True)}
        if all({(who, "train"), (who, "validation")} <= present for who in players):
            return splits
    raise RavelError(
        f"{len(pieces)} pieces are too few to hold some out with every instrument in them: hold "
        "out segments instead."
    )


def _deal(count: int, rng: np.random.Generator) -> list[str]:
    """A split for each of `count` things: a tenth each to hold out, or one of at least three."""
    least = int(count >= 3)
    held = [name for name, part in HELD_OUT.items() for _ in range(max(least, round(count * part)))]
    names = held + ["train"] * (count - len(held))
    return [names[i] for i in rng.permutation(count)]


def _where(crepe: str) -> tuple[str, pitch.Capacity]:
    """The device that CREPE runs on, and its size there."""
    import torch

    if crepe not in ("auto", *CONFIDENCE):
        raise RavelError(f"There is no CREPE of capacity {crepe!r}: choose auto, tiny or full.")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if crepe == "auto":
        return device, "full" if device == "cuda" else "tiny"
    return device, "full" if crepe == "full" else "tiny"


def _wave(part: Recording) -> np.ndarray:
    whole = read(part.path, name=part.name, normalise=False, max_seconds=MAX_FILE_SECONDS)
    return whole.wave


def _features(audio: bool, kept: Sequence[Kept]) -> Chunk:
    rows, mels, waves = [], [], []
    whole = _wave(kept[0].recording) if kept else np.zeros(0)
    for segment in kept:
        wave = whole[segment.start : segment.start + CLIP_SAMPLES] / segment.level
        rows.append(_row(segment))
        mels.append(log_mel(wave).numpy())
        waves.append(to_pcm(wave))
    return Chunk(rows, mels, waves if audio else None)


def _row(segment: Kept) -> dict[str, str]:
    start = f"{segment.start / SAMPLE_RATE:g}"
    name = f"{segment.recording.path.stem}-{start}"
    labels = {**segment.recording.labels, "start": start, "source": "real"}
    return {"name": name, "split": segment.split, **labels}
