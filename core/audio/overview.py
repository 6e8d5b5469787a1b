"""A recording at a glance: the extent of its waveform in a few hundred steps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

WHOLE = 600.0  # s: of a longer recording only a moment of each step is read
MOMENT = 0.05  # s


def overview(file: str | Path | BinaryIO, steps: int = 600) -> np.ndarray:
    """The lowest and the highest sample of each step, float32 [steps, 2], peak 1.

    Channels are mixed. All zeros where the file cannot be read, or is silent.
    """
    found = np.zeros((steps, 2), np.float32)
    try:
        with soundfile.SoundFile(file) as sound:
            for step, samples in enumerate(_parts(sound, steps)):
                if len(samples):
                    found[step] = samples.min(), samples.max()
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        return np.zeros((steps, 2), np.float32)
    return _at_full_level(np.nan_to_num(found, nan=0, posinf=0, neginf=0))


def of_wave(wave: np.ndarray, steps: int = 600) -> np.ndarray:
    """The same of samples [S]."""
    parts = [part if len(part) else np.zeros(1) for part in np.array_split(wave, steps)]
    return _at_full_level(np.array([(part.min(), part.max()) for part in parts], np.float32))


def _at_full_level(found: np.ndarray) -> np.ndarray:
    peak = np.abs(found).max()
    return found / peak if peak > 0 else found


def _parts(sound: soundfile.SoundFile, steps: int) -> Iterator[np.ndarray]:
    """The samples of each step, or of its beginning where the recording is long."""
    edges = np.linspace(0, sound.frames, steps + 1).astype(int)
    sparse = sound.frames > WHOLE * sound.samplerate
    for first, last in pairwise(edges):
        if sparse:
            sound.seek(int(first))
            last = min(last, first + int(MOMENT * sound.samplerate))
        yield sound.read(int(last - first), dtype="float32", always_2d=True).mean(1)
