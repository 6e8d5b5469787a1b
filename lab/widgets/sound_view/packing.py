"""Log-mels as small files for a browser: a byte a cell."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np

from core.service import keep

STEP = 0.4  # dB of a quantisation step: 255 of them reach 102 dB below the maximum
FRAMES = 4096  # more are averaged: no screen shows them, but every browser would fetch them
DECIBELS = 10 * np.log10(np.e)  # of a natural log-mel's unit


class Scale(NamedTuple):
    """The axes shared by pictures side by side: the log-mel value at 0 dB, and the time span."""

    loudest: float
    seconds: float


class Packed(NamedTuple):
    """A deflated picture: `frames` rows of `bands` bytes, 255 at `top` dB, STEP dB each.

    Each of its frames stands for `every` frames of the log-mel.
    """

    data: bytes
    frames: int
    bands: int
    top: float
    every: int

    @property
    def about(self) -> dict[str, Any]:
        """What a browser needs to read it."""
        return {"frames": self.frames, "bands": self.bands, "top": self.top, "step": STEP}


def packed(log_mel: np.ndarray) -> Packed:
    """A natural log-mel float32 [T, bands] as a picture, made once for each log-mel."""
    return _packed(log_mel.tobytes(), log_mel.shape[1])


@keep(256, max_bytes=32 << 20)
def _packed(data: bytes, bands: int) -> Packed:
    log_mel = np.frombuffer(data, np.float32).reshape(-1, bands)
    every = -(-len(log_mel) // FRAMES)
    if every > 1:
        whole = len(log_mel) // every * every
        log_mel = log_mel[:whole].reshape(-1, every, bands).mean(1)
    decibels = DECIBELS * log_mel
    top = float(decibels.max())
    cells = np.clip(np.rint(255 + (decibels - top) / STEP), 0, 255).astype(np.uint8)
    return Packed(zlib.compress(cells.tobytes(), 6), len(cells), bands, top, every)
