"""Phrases played with the recorded notes of one real musician, as a sampler plays them.

Letters: S samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.ndimage import map_coordinates

from core.audio.clip import SAMPLE_RATE, read
from core.data import augment
from core.data.recording import Recording
from core.data.synth import Bend, Note
from core.errors import RavelError

ONSET_DB = -40.0  # a recorded note begins where it first comes this near to its peak
LEAD_SAMPLES = SAMPLE_RATE // 200  # kept before that: the attack of a bow or a breath
RELEASE_SECONDS = 0.08
STRETCH = 7.0  # semitones from the nearest recorded note that a sampler may bridge
CLOSE = 1.5  # notes about as near as the nearest: one of them is drawn, so that repeats differ
DISAGREE = 0.6  # semitones between the named and the estimated pitch of a note that is left out


class RecordedNote(NamedTuple):
    """A note: MIDI `pitch` (fractional where it was estimated) and its wave [S], peak 1."""

    pitch: float
    wave: np.ndarray


class Sampler:
    """The notes of one musician. Raises RavelError where there is none."""

    def __init__(self, notes: Sequence[RecordedNote]) -> None:
        if not notes:
            raise RavelError("A sampler needs one recorded note at least, with its pitch.")
        self.notes = list(notes)
        self.pitches = np.array([note.pitch for note in notes])

    @property
    def low(self) -> int:
        """The lowest MIDI note that it can play."""
        return int(np.ceil(self.pitches.min() - STRETCH))

    @property
    def high(self) -> int:
        """The highest MIDI note that it can play."""
        return int(np.floor(self.pitches.max() + STRETCH))

    def play(
        self,
        notes: Sequence[Note],
        seconds: float,
        rng: np.random.Generator,
        bends: Sequence[Bend] = (),
    ) -> np.ndarray:
        """Notes as a wave float64 [S]. A note outside `low` to `high` is moved by octaves into it.

        Formants are kept where a recorded note is transposed by more than a semitone. `bends` are
        the pitch's course, each until the next.
        """
        if bends:
            warp = Warp(bends, seconds)
            timed = [
                note._replace(start=warp.of(note.start), end=warp.of(note.end)) for note in notes
            ]
            return warp.bent(self.play(timed, warp.of(seconds), rng))
        out = np.zeros(round(seconds * SAMPLE_RATE))
        for note in notes:
            wave = self._sound(note, rng)
            start = round(note.start * SAMPLE_RATE)
            end = min(start + len(wave), len(out))
            out[start:end] += wave[: end - start]
        return out

    def _sound(self, note: Note, rng: np.random.Generator) -> np.ndarray:
        pitch = self.playable(note.pitch)
        distance = np.abs(self.pitches - pitch)
        near = np.flatnonzero(distance <= distance.min() + CLOSE)
        chosen = self.notes[int(rng.choice(near))]
        shift = pitch - chosen.pitch
        wave = augment.transposed(chosen.wave, shift, keep_formants=abs(shift) > 1)
        samples = round((note.end - note.start + RELEASE_SECONDS) * SAMPLE_RATE)
        wave = wave[:samples] * (note.velocity / 127) ** 1.5
        release = min(len(wave), round(RELEASE_SECONDS * SAMPLE_RATE))
        wave[len(wave) - release :] *= np.cos(np.linspace(0, np.pi / 2, release)) ** 2
        return wave

    def playable(self, pitch: int) -> int:
        """A MIDI note, moved by octaves into the range where it is outside."""
        while pitch < self.low:
            pitch += 12
        while pitch > self.high:
            pitch -= 12
        return pitch


class Warp:
    """The time at which a tape must run for the pitch to follow some bends.

    What is recorded at the time `of(t)` is played at t, at the speed of the bend there.
    """

    def __init__(self, bends: Sequence[Bend], seconds: float) -> None:
        steps = np.array([0.0, *(bend.time for bend in bends if 0 < bend.time < seconds), seconds])
        first = [bend.semitones for bend in bends if bend.time <= 0][-1:] or [0.0]
        later = [bend.semitones for bend in bends if 0 < bend.time < seconds]
        speeds = 2 ** (np.array([*first, *later]) / 12)
        self.times = steps
        self.tape = np.concatenate([[0.0], np.cumsum(speeds * np.diff(steps))])

    def of(self, time: float) -> float:
        """The tape's time in seconds at `time`; after the last bend's end at normal speed."""
        beyond = max(0.0, time - self.times[-1])
        return float(np.interp(time, self.times, self.tape)) + beyond

    def bent(self, wave: np.ndarray) -> np.ndarray:
        """A wave [S'] of the tape as it is played [S], by cubic interpolation."""
        played = np.arange(round(self.times[-1] * SAMPLE_RATE)) / SAMPLE_RATE
        positions = np.interp(played, self.times, self.tape) * SAMPLE_RATE
        return map_coordinates(wave, positions[None], order=3, mode="constant")


def pitch_of(recording: Recording) -> float | None:
    """The MIDI pitch that a recording's labels give, or None.

    `midi_pitch` is what its name says, `f0_midi_est` an estimate of the sound: the estimate counts
    where both are there, and nothing where they disagree.
    """
    named, estimated = (_number(recording.labels.get(key)) for key in ("midi_pitch", "f0_midi_est"))
    if named is None:
        return estimated
    if estimated is None:
        return named
    return estimated if abs(named - estimated) <= DISAGREE else None


def recorded_note(path: Path, name: str, pitch: float) -> RecordedNote:
    """A note read from its file, from its onset on. Raises RavelError naming a bad file."""
    wave = read(path, name=name, max_seconds=60.0).wave
    loud = np.flatnonzero(np.abs(wave) >= np.abs(wave).max() * 10 ** (ONSET_DB / 20))
    return RecordedNote(pitch, wave[max(0, loud[0] - LEAD_SAMPLES) :])


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
