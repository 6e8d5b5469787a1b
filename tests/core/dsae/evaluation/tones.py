"""Synthetic instruments, which differ in how fast their harmonics fall, that play given notes."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.audio.clip import SAMPLE_RATE, write_wav

FALL = {"flute": 2.5, "oboe": 0.3, "violin": 2.5, "trumpet": 0.3}  # power of 1 / harmonic


def tone(instrument: str, midi: float, seconds: float) -> np.ndarray:
    """A note with a short attack and release."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    hertz = 440 * 2 ** ((midi - 69) / 12)
    harmonics = range(1, int(7000 / hertz) + 1)
    wave = sum(k ** -FALL[instrument] * np.sin(2 * np.pi * k * hertz * time + k) for k in harmonics)
    ramp = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    return 0.3 * wave * ramp / np.abs(wave).max()


def melody(instrument: str, notes: Sequence[float], seconds: float = 4.0) -> np.ndarray:
    """Notes of equal length, one after the other."""
    return np.concatenate([tone(instrument, note, seconds / len(notes)) for note in notes])


def folder(path: Path, rows: Sequence[tuple[str, Sequence[float], dict[str, str]]]) -> Path:
    """An audio folder of melodies: instrument, notes, and further columns of each."""
    path.mkdir(parents=True)
    columns = dict.fromkeys(["file", "instrument", *(key for *_, more in rows for key in more)])
    with (path / "metadata.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(columns))
        table.writeheader()
        for number, (instrument, notes, more) in enumerate(rows):
            name = f"{instrument}-{number}.wav"
            rng = np.random.default_rng(number)
            wave = melody(instrument, notes)
            write_wav(path / name, wave + rng.normal(0, 1e-4, len(wave)))
            table.writerow({"file": name, "instrument": instrument, **more})
    return path


def truth(notes: Sequence[float], seconds: float = 4.0) -> str:
    """The pitch of a melody, a MIDI number every 10 ms from 23 ms on."""
    times = 0.023 + np.arange(round(seconds * 100)) / 100
    which = (times / seconds * len(notes)).astype(int).clip(0, len(notes) - 1)
    return "\n".join(f"{notes[i]:.3f}" for i in which)
