"""What a register-balanced judge learns from: every instrument in every register, by real sound.

An instrument has registers of its own, so a classifier of recordings as they are learns those as
much as the timbre. Here each recording is transposed, formants kept, to registers drawn evenly
from all that are asked about, and heard through drawn rooms and microphones.

Letters: N excerpts, T frames, M bands.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

import numpy as np

from core.audio.clip import SAMPLE_RATE, read
from core.audio.mel import frames_of, log_mel
from core.audio.trackers import Tracker
from core.data import augment, voices
from core.data.recording import Recording
from core.dsae.evaluation.player_clips import midi_of
from core.errors import RavelError
from core.statistics import spread_evenly

FRAMES = 64  # of an excerpt, 1 s
MOST_SHIFT = 14.0  # semitones that a recording may be transposed
LEAST_SECONDS, MOST_SECONDS = 1.1, 24.0  # of a recording; of a longer one the beginning
ENOUGH = 450.0  # seconds of copies of a label and collection
MOST_COPIES = 12  # of a recording, in as many registers
MOST_FILES = 90  # of a label and collection
SIZES = ("soprano", "alto", "tenor", "baritone")  # of saxophones
STEP = 2000  # samples: waves of whole steps have lengths whose Fourier transform is fast
PLAIN = 0.15  # share of the copies that are left in the room where they were recorded


class Excerpts(NamedTuple):
    """`log_mel` [N, T, M] of a second each, float16; `label`, `register` (median MIDI) and
    `collection`, where it is from, [N]."""

    log_mel: np.ndarray
    label: np.ndarray
    register: np.ndarray
    collection: np.ndarray


def labelled(
    paths: Sequence[str | os.PathLike],
    labels: Sequence[str],
    collections: Sequence[str] = (),
    leave_out: Sequence[str] = (),
) -> dict[str, list[Recording]]:
    """Recordings of audio folders by label.

    `collections`: only those with one of these in the column `set` (default: all); `leave_out`:
    none with one of those. An alto saxophone counts as a saxophone. Raises RavelError for a
    collection that is not there, and where a label has no recording.
    """
    files = voices.files_of(paths, leave_out)
    voices.check_collections(files, collections)
    found: dict[str, list[Recording]] = {label: [] for label in labels}
    by_collection: dict[tuple[str, str], list[Recording]] = {}
    for file in files:
        label = label_of(file.labels.get("instrument", ""), labels)
        if label and (not collections or file.labels.get("set") in collections):
            by_collection.setdefault((label, collection_of(file)), []).append(file)
    for (label, _), of in by_collection.items():
        found[label] += [of[i] for i in spread_evenly(len(of), MOST_FILES)]
    lacking = [label for label in labels if not found[label]]
    if lacking:
        raise RavelError(
            f"The judge has no recording of '{lacking[0]}' to learn from: give folders whose "
            "metadata.csv has it in the column 'instrument'."
        )
    return found


def label_of(instrument: str, labels: Sequence[str]) -> str | None:
    """The label of an instrument, whatever its size; None if it is none of the labels."""
    words = [word for word in instrument.lower().split() if word not in SIZES]
    name = " ".join(words)
    return name if name in labels else None


def collection_of(recording: Recording) -> str:
    """Where a recording is from: its column `set`, or the folder that it was read from."""
    folder = recording.path.parents[len(PurePath(recording.name).parts) - 1]
    return recording.labels.get("set") or folder.name


def excerpts(
    recordings: dict[str, list[Recording]],
    low: float,
    high: float,
    tracker: Tracker,
    seed: int = 0,
    enough: float = ENOUGH,
) -> Excerpts:
    """Excerpts of recordings by label, transposed to registers evenly from `low` to `high` (MIDI).

    Every label has about `enough` seconds of each collection, in as many copies of its recordings
    as that takes. Excerpts without a pitch in half of their frames are left out.
    """
    rng = np.random.default_rng(seed)
    parts: list[tuple[np.ndarray, str, float, str]] = []
    for label, files in recordings.items():
        waves = [_beginning(file) for file in files]
        seconds: dict[str, float] = {}
        for file, wave in zip(files, waves, strict=True):
            name = collection_of(file)
            seconds[name] = seconds.get(name, 0.0) + len(wave) / SAMPLE_RATE
        for file, wave in zip(files, waves, strict=True):
            if len(wave) < LEAST_SECONDS * SAMPLE_RATE:
                continue
            midi = midi_of(tracker(wave[None]))[0]
            if np.isfinite(midi).mean() < 0.25:
                continue
            name = collection_of(file)
            copies = float(np.clip(enough / seconds[name], 1, MOST_COPIES))
            for _ in range(int(copies + rng.random())):
                parts += [
                    (mel, label, register, name)
                    for mel, register in _copy(wave, midi, rng.uniform(low, high), rng)
                ]
    if not parts:
        raise RavelError(
            "None of the judge's recordings has a second with a pitch: give recordings of melodies."
        )
    mels, *columns = zip(*parts, strict=True)
    return Excerpts(np.stack(mels), *map(np.array, columns))


def _copy(
    wave: np.ndarray, midi: np.ndarray, register: float, rng: np.random.Generator
) -> list[tuple[np.ndarray, float]]:
    """Excerpts of a wave transposed to a register, and the median pitch of each."""
    shift = round(float(np.clip(register - np.nanmedian(midi), -MOST_SHIFT, MOST_SHIFT)))
    moved = augment.transposed(wave.astype(np.float64), shift, keep_formants=True)
    full = len(moved)
    moved = _whole_steps(moved)
    if rng.random() >= PLAIN:
        moved = augment.recorded(moved, rng)
    if len(moved) < FRAMES * 256:
        return []
    mel = log_mel(moved).numpy()
    midi = midi[: 1 + round((len(midi) - 1) * len(moved) / full)]
    at = np.linspace(0, len(midi) - 1, frames_of(len(moved))).round().astype(int)
    pitch = midi[at] + shift
    found = []
    for start in range(0, len(mel) - FRAMES + 1, FRAMES):
        some = pitch[start : start + FRAMES]
        if np.isfinite(some).mean() >= 0.5:
            found.append(
                (mel[start : start + FRAMES].astype(np.float16), float(np.nanmedian(some)))
            )
    return found


def _beginning(file: Recording) -> np.ndarray:
    wave = read(file.path, name=file.name, max_seconds=600.0).wave
    return _whole_steps(wave[: round(MOST_SECONDS * SAMPLE_RATE)])


def _whole_steps(wave: np.ndarray) -> np.ndarray:
    return wave[: len(wave) // STEP * STEP]
