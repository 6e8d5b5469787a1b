"""Recordings of several instruments as clips with their pitch: what swaps of players start from.

Letters: N clips, S samples, T frames of a log-mel, M bands.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.audio.clip import CLIP_SAMPLES, HOP_SECONDS, SAMPLE_RATE, read
from core.audio.mel import frames_of, log_mel
from core.audio.trackers import Track, Tracker
from core.data import folder as folders
from core.data.recording import Recording
from core.errors import RavelError
from core.statistics import spread_evenly

MOST_SECONDS = 600.0
LEAST_VOICED = 0.25  # share of a clip's frames that must have a pitch
# Pitch truth is a MIDI number every 10 ms, 0 in silence; the first is of the first 46 ms.
TRUTH_HOP, TRUTH_START = 0.01, 0.023


@dataclass(frozen=True, eq=False)
class PlayerClips:
    """Clips of 4 s of a folder: `waves` [N, S], `log_mel` [N, T, M], `midi` [N, T], NaN where the
    source has no pitch; `instrument` and `recording`, the file that a clip is of, [N]; `first`
    [N], whether that is in the first half of its instrument's files."""

    name: str
    waves: np.ndarray
    log_mel: np.ndarray
    midi: np.ndarray
    instrument: np.ndarray
    recording: np.ndarray
    first: np.ndarray

    def __len__(self) -> int:
        return len(self.waves)

    @property
    def instruments(self) -> list[str]:
        """The instruments, by name."""
        return sorted(set(self.instrument.tolist()))

    @property
    def register(self) -> np.ndarray:
        """The median pitch of each clip [N], a MIDI number."""
        return np.nanmedian(self.midi, axis=1)

    def of(self, instrument: str) -> np.ndarray:
        """The indices of an instrument's clips."""
        return np.flatnonzero(self.instrument == instrument)

    def take(self, rows: np.ndarray) -> PlayerClips:
        """Some of the clips, by index."""
        arrays = {
            name: getattr(self, name)[rows]
            for name in ("waves", "log_mel", "midi", "instrument", "recording", "first")
        }
        return PlayerClips(self.name, **arrays)

    def fewer(self, count: int) -> np.ndarray:
        """The indices of at most `count` clips of each instrument, spread over its recordings."""
        chosen = [self.of(name) for name in self.instruments]
        return np.concatenate([of[spread_evenly(len(of), count)] for of in chosen])


def read_clips(
    path: str | os.PathLike,
    tracker: Tracker,
    instruments: Sequence[str] = (),
    most: int | None = None,
) -> PlayerClips:
    """All whole clips of a folder whose frames have a pitch in at least a quarter of them.

    `instruments`: only these (default: all); `most`: at most so many recordings of each. A column
    `f0_file` names the file with a recording's true pitch; without it the tracker says it. Raises
    RavelError for a folder without the column `instrument`, with fewer than two instruments, or
    with a bad truth.
    """
    path = Path(path)
    files = by_instrument(path, instruments, most)
    waves, truths, names, origins, first = [], [], [], [], []
    for name, recordings in files.items():
        for number, recording in enumerate(recordings):
            wave = read(recording.path, name=recording.name, max_seconds=MOST_SECONDS).wave
            truth = _truth(path, recording)
            for start in range(0, max(len(wave) - CLIP_SAMPLES, 0) + 1, CLIP_SAMPLES):
                part = wave[start : start + CLIP_SAMPLES]
                waves.append(np.pad(part, (0, CLIP_SAMPLES - len(part))))
                truths.append(None if truth is None else _at(truth, start / SAMPLE_RATE))
                names.append(name)
                origins.append(recording.name)
                first.append(number < len(recordings) // 2)
    sound = np.stack(waves).astype(np.float32)
    midi = _pitches(sound, truths, tracker)
    columns = (np.array(column) for column in (names, origins, first))
    found = PlayerClips(path.resolve().name, sound, log_mel(sound).numpy(), midi, *columns)
    found = found.take(np.flatnonzero(np.isfinite(midi).mean(1) >= LEAST_VOICED))
    lacking = [name for name in files if not len(found.of(name))]
    if lacking:
        raise RavelError(
            f"No clip of '{lacking[0]}' in {path} has a pitch in a quarter of its frames: give "
            "recordings of melodies."
        )
    return found


def midi_of(track: Track) -> np.ndarray:
    """MIDI numbers [N, T] of a track, NaN where it is not voiced."""
    return np.where(track.voiced, 69 + 12 * np.log2(track.f0.clip(1) / 440), np.nan)


def by_instrument(
    path: Path, instruments: Sequence[str] = (), most: int | None = None
) -> dict[str, list[Recording]]:
    """A folder's recordings by instrument, by name. Raises RavelError as `read_clips` does."""
    files = folders.listing(path)
    found: dict[str, list[Recording]] = {}
    for file in files:
        name = file.labels.get("instrument", "").strip().lower()
        if name and (not instruments or name in instruments):
            found.setdefault(name, []).append(file)
    if not any("instrument" in file.labels for file in files):
        raise RavelError(
            f"{path} does not say who plays: give its metadata.csv a column 'instrument'."
        )
    missing = [name for name in instruments if name not in found]
    if missing or len(found) < 2:
        raise RavelError(
            f"{path} has {'no ' + missing[0] if missing else 'fewer than two instruments'}: swaps "
            f"need recordings of two or more. There are {', '.join(sorted(found)) or 'none'}."
        )
    return {
        name: [found[name][i] for i in spread_evenly(len(found[name]), most or len(found[name]))]
        for name in sorted(found)
    }


def _truth(path: Path, recording: Recording) -> np.ndarray | None:
    """A recording's true pitch [P], or None where no file is named."""
    name = recording.labels.get("f0_file")
    if not name:
        return None
    try:
        values = np.loadtxt(path / name, dtype=np.float64, ndmin=1)
    except (OSError, ValueError) as error:
        raise RavelError(
            f"The pitch of {recording.name} cannot be read from {path / name} ({error}): expected "
            "a MIDI number a line, every 10 ms, 0 in silence."
        ) from error
    if values.ndim != 1 or not np.isfinite(values).all() or values.max(initial=0) > 127:
        raise RavelError(
            f"{path / name} does not hold a pitch: expected a MIDI number a line, 0 in silence, "
            f"and found numbers up to {np.nanmax(values):g}."
        )
    return values


def _at(truth: np.ndarray, start: float) -> np.ndarray:
    """The truth at the frames of a clip that begins at `start` seconds, NaN in silence [T]."""
    times = start + np.arange(frames_of(CLIP_SAMPLES)) * HOP_SECONDS
    at = np.round((times - TRUTH_START) / TRUTH_HOP).astype(int)
    inside = (at >= 0) & (at < len(truth))
    values = np.where(inside, truth[at.clip(0, len(truth) - 1)], 0.0)
    return np.where(values > 0, values, np.nan)


def _pitches(
    waves: np.ndarray, truths: Sequence[np.ndarray | None], tracker: Tracker
) -> np.ndarray:
    unknown = [i for i, truth in enumerate(truths) if truth is None]
    midi = np.full((len(waves), frames_of(CLIP_SAMPLES)), np.nan)
    for i, truth in enumerate(truths):
        if truth is not None:
            midi[i] = truth
    if unknown:
        midi[unknown] = midi_of(tracker(waves[unknown]))
    return midi
