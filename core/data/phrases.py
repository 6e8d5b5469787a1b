"""Phrases as people play them: dMelodies keys, chords and rhythms, freely timed and articulated."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.data.dmelodies import CHORDS, RHYTHMS, SCALES
from core.data.synth import Bend, Note

SPAN = 14  # semitones from the lowest to the highest degree
BEND_STEP = 0.01  # seconds between pitch bends


class Phrase(NamedTuple):
    notes: list[Note]
    bends: list[Bend]


def draw(rng: np.random.Generator, low: int, high: int, seconds: float) -> Phrase:
    """A phrase of `seconds` within MIDI notes low to high, which are at least 14 apart.

    Drawn: key, melody (the chords' arpeggios, or a walk on the scale), tempo 60 to 180, rests and
    long notes, articulation, velocities, timing, tuning, vibrato.
    """
    slot = 30 / np.exp(rng.uniform(np.log(60), np.log(180)))  # seconds of an eighth note
    held = rng.random() < 0.8  # notes that last until the next
    onsets = _onsets(rng, int(np.ceil(seconds / slot)) + 1, (0, 0.2, 0.4, 0.7) if held else (0,))
    base = int(rng.integers(low, high - SPAN + 1))
    pitches = base + _degrees(rng, len(onsets))
    ends = [*onsets[1:], onsets[-1] + 4]
    gate, loud = rng.uniform(0.45, 1.02), rng.uniform(45, 118)
    notes = []
    for pitch, onset, end in zip(pitches, onsets, ends, strict=True):
        length = (end - onset if held else min(end - onset, 1)) * slot
        start = max(0.0, onset * slot + rng.normal(0, 0.008))
        stop = min(start + max(0.06, length * gate * rng.uniform(0.9, 1.05)), seconds)
        velocity = int(np.clip(rng.normal(loud, 9), 20, 127))
        if stop - start > 0.03:
            notes.append(Note(int(pitch), start, stop, velocity))
    return Phrase(_apart(notes), _bends(rng, notes, seconds))


def _onsets(rng: np.random.Generator, slots: int, tied: tuple[float, ...]) -> np.ndarray:
    """Slots in which a note begins; one of the shares `tied` of the notes is left out."""
    bars = [RHYTHMS[rng.integers(len(RHYTHMS))] for _ in range(slots // 8 + 2)]
    onsets = np.array([8 * bar + slot for bar, rhythm in enumerate(bars) for slot in rhythm])
    kept = onsets[rng.random(len(onsets)) > rng.choice(tied)]
    kept = kept - rng.integers(0, 8)
    kept = kept[(kept >= 0) & (kept < slots)]
    return kept if len(kept) and kept[0] < 4 else np.concatenate([[0], kept])


def _degrees(rng: np.random.Generator, count: int) -> np.ndarray:
    """Semitones above the lowest degree, int [count]."""
    steps = np.array(SCALES[list(SCALES)[rng.integers(len(SCALES))]])
    if rng.random() < 0.5:
        chords = [CHORDS[i % 4][:: rng.choice([1, -1])] for i in range(count // 3 + 2)]
        return steps[np.concatenate(chords)[rng.integers(0, 3) :][:count]]
    walk = rng.integers(0, 9) + np.cumsum(rng.choice([-3, -2, -1, -1, 0, 1, 1, 2, 3], count))
    return steps[8 - np.abs(walk % 16 - 8)]  # reflected at both ends


def _apart(notes: list[Note]) -> list[Note]:
    """No note still sounds when its own pitch is played again."""
    following: dict[int, float] = {}  # when each pitch is played next
    out = []
    for note in reversed(notes):
        end = min(note.end, following.get(note.pitch, np.inf) - 0.01)
        following[note.pitch] = note.start
        out.append(note._replace(end=max(end, note.start + 0.02)))
    return out[::-1]


def _bends(rng: np.random.Generator, notes: list[Note], seconds: float) -> list[Bend]:
    """The pitch's course: tuning, vibrato that sets in after the attack, drift."""
    time = np.arange(0, seconds, BEND_STEP)
    tuning = np.clip(rng.normal(0, 0.12), -0.5, 0.5)
    course = np.full(len(time), tuning)
    vibrato, rate = rng.random() < 0.6, rng.uniform(4.5, 7)
    depth, delay = rng.uniform(0.04, 0.45), rng.uniform(0, 0.35)
    for note in notes:
        since = time - note.start
        on = (since >= 0) & (time < note.end + 0.1)
        course[on] += rng.normal(0, 0.04)
        course[on] -= rng.uniform(0, 0.3) * (rng.random() < 0.3) * np.exp(-since[on] / 0.04)
        if vibrato:
            grown = ((since[on] - delay) / 0.2).clip(0, 1) * depth * rng.uniform(0.6, 1.2)
            phase = 2 * np.pi * (rate * rng.uniform(0.95, 1.05) * since[on] + rng.random())
            course[on] += grown * np.sin(phase)
    return [Bend(float(t), float(c)) for t, c in zip(time, course, strict=True)]
