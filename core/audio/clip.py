"""A clip: mono sound at 16 kHz with its labels, read from files, bytes or arrays, within limits."""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile

from core.audio.decode import (
    NAMELESS,
    SAMPLE_RATE,
    Source,
    check_format,
    check_length,
    checked,
    decode,
    mean_of,
    resampled,
    title_of,
)
from core.errors import RavelError
from core.files import replace as replace_file

CLIP_SECONDS = 4.0
CLIP_SAMPLES = 64_000
MAX_SECONDS = 600.0
# Frames of log-mels and of pitch. They stand here because this module needs no torch.
HOP = 256  # samples between two frames of a log-mel
HOP_SECONDS = HOP / SAMPLE_RATE  # 16 ms
VOICED = 0.5  # CREPE's confidence from which a frame counts as pitched


@dataclass(frozen=True, eq=False)
class Clip:
    """`wave`: float32 [S] at 16 kHz; `labels`: its annotations, such as the instrument."""

    wave: np.ndarray
    name: str = "clip"
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return len(self.wave) / SAMPLE_RATE

    @cached_property
    def digest(self) -> str:
        """A hash of the samples, the same in every process: a key for caches."""
        return hashlib.blake2b(np.ascontiguousarray(self.wave).data, digest_size=16).hexdigest()

    def segment(self, start_s: float = 0.0, seconds: float = CLIP_SECONDS) -> Clip:
        """`seconds` of the clip from `start_s` on, at its level; zeros follow where it ends."""
        if not 0 <= start_s < self.seconds:
            raise RavelError(
                f"{self.name} has no sound at {start_s:g} s: it lasts {self.seconds:.2f} s, so "
                "choose an earlier start."
            )
        first, size = round(start_s * SAMPLE_RATE), _samples(seconds)
        piece = self.wave[first : first + size]
        return replace(self, wave=np.pad(piece, (0, size - len(piece))))

    def segments(self, seconds: float = CLIP_SECONDS) -> list[Clip]:
        """The clip cut end to end; a last piece less than half full is left out, unless alone."""
        size = _samples(seconds)
        count = max(1, math.floor(len(self.wave) / size + 0.5))
        return [self.segment(i * size / SAMPLE_RATE, seconds) for i in range(count)]


def read(
    source: Source,
    *,
    start: float = 0.0,
    duration: float | None = None,
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    normalise: bool = True,
    max_seconds: float = MAX_SECONDS,
) -> Clip:
    """Anything soundfile reads as a clip: mean of the channels, soxr VHQ, peak 1 if `normalise`.

    `start` and `duration` (seconds) select a part, and only that part is decoded. RavelError for
    files that are missing, empty, damaged, silent, not finite, too short or over `max_seconds`.
    """
    title = name or title_of(source)
    wave = decode(source, title, start, duration, max_seconds)
    name = name or ("clip" if title == NAMELESS else Path(title).stem)
    return Clip(checked(wave, title, normalise), name, dict(labels or {}))


def from_array(
    wave: np.ndarray,
    sample_rate: int,
    *,
    name: str = "clip",
    labels: Mapping[str, str] | None = None,
    normalise: bool = True,
) -> Clip:
    """Samples [S] or [S, channels], float or integer PCM, as a clip, with the checks of `read`."""
    wave = np.asarray(wave)
    if wave.ndim not in (1, 2) or wave.dtype.kind not in "iuf":
        raise RavelError(
            f"{name} is not sound: expected numbers of shape [samples] or [samples, channels], "
            f"got {wave.dtype} of shape {list(wave.shape)}."
        )
    mono = wave[:, None] if wave.ndim == 1 else wave
    check_format(name, mono.shape[1], sample_rate)
    check_length(name, len(mono) / sample_rate, MAX_SECONDS)
    if wave.dtype.kind in "iu":
        limits = np.iinfo(wave.dtype)
        half = (int(limits.max) - int(limits.min) + 1) / 2
        mono = (mono.astype(np.float64) - (half if limits.min == 0 else 0)) / half
    return Clip(
        checked(resampled([mean_of(mono, name)], sample_rate), name, normalise),
        name,
        dict(labels or {}),
    )


def wav_bytes(wave: np.ndarray, sample_rate: int = SAMPLE_RATE) -> bytes:
    """Samples [S] as a 16-bit PCM WAV at their own level, clipped to [-1, 1]."""
    wave = np.asarray(wave, dtype=np.float32)
    if wave.ndim != 1 or not np.isfinite(wave).all():
        raise RavelError("Only finite samples of shape [samples] can be written as a WAV file.")
    file = io.BytesIO()
    soundfile.write(file, np.clip(wave, -1, 1), sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def write_wav(path: str | os.PathLike, wave: np.ndarray, sample_rate: int = SAMPLE_RATE) -> None:
    """`wav_bytes` to a file that appears whole or not at all."""
    path, data = Path(path), wav_bytes(wave, sample_rate)
    try:
        replace_file(path, lambda temporary: temporary.write_bytes(data))
    except OSError as error:
        raise RavelError(f"{path} cannot be written ({error.strerror}).") from error


def _samples(seconds: float) -> int:
    size = round(seconds * SAMPLE_RATE) if math.isfinite(seconds) else 0
    if size < 1:
        raise RavelError(f"A segment of {seconds:g} s is not possible: give a positive length.")
    return size
