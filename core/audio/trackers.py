"""Pitch trackers by name, with one answer: a pitch for every frame of a log-mel."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch

from core.audio import pitch
from core.audio.clip import HOP, HOP_SECONDS, SAMPLE_RATE, VOICED
from core.audio.mel import frames_of
from core.errors import RavelError


class Track(NamedTuple):
    """`f0` [N, T] in Hz in every frame, also where nothing has a pitch; `voiced` bool [N, T]."""

    f0: np.ndarray
    voiced: np.ndarray


Tracker = Callable[[np.ndarray], Track]  # waves float [N, S] at 16 kHz


def find(name: str) -> Tracker:
    """The tracker of that name.

    `crepe` (tiny) is the one that published figures use; `crepe-full` costs thirty times as much.
    `swift` is SwiftF0 (MIT, lars76/swift-f0), a tenth of CREPE tiny's cost: for development.
    `pyin` is librosa's, without a network. Raises RavelError for any other name.
    """
    if name not in TRACKERS:
        raise RavelError(f"There is no pitch tracker {name!r}: choose {', '.join(TRACKERS)}.")
    return TRACKERS[name]


def _crepe(capacity: pitch.Capacity, waves: np.ndarray) -> Track:
    found = pitch.track(waves, capacity=capacity, hop_seconds=HOP_SECONDS)
    return Track(found.f0, found.confidence >= VOICED)


def _swift(waves: np.ndarray) -> Track:
    detector, frames = _detector(), frames_of(waves.shape[-1])
    found = [detector.detect(wave, SAMPLE_RATE) for wave in np.asarray(waves, np.float32)]
    f0 = np.stack([_fitted(each.pitch_hz, frames) for each in found])
    return Track(f0, np.stack([_fitted(each.confidence, frames) >= 0.5 for each in found]))


def _pyin(waves: np.ndarray) -> Track:
    import librosa

    answers = [
        librosa.pyin(
            wave, fmin=50.0, fmax=2000.0, sr=SAMPLE_RATE, hop_length=HOP, frame_length=2048,
            fill_na=None,
        )
        for wave in np.asarray(waves, np.float32)
    ]  # fmt: skip
    return Track(np.stack([a[0] for a in answers]), np.stack([a[1] for a in answers]))


def _fitted(values: np.ndarray, frames: int) -> np.ndarray:
    return np.pad(values, (0, max(0, frames - len(values))), mode="edge")[:frames]


@cache
def _detector() -> Any:
    from swift_f0 import SwiftF0

    return SwiftF0(threads=torch.get_num_threads())


TRACKERS: dict[str, Tracker] = {
    "crepe": partial(_crepe, "tiny"),
    "crepe-full": partial(_crepe, "full"),
    "swift": _swift,
    "pyin": _pyin,
}
