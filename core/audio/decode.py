"""Sound files and bytes as one mono wave at 16 kHz, in bounded memory whatever a header claims."""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr

from core.errors import RavelError

SAMPLE_RATE = 16_000
MIN_SECONDS = 0.2
MAX_CHANNELS = 64
MIN_RATE, MAX_RATE = 1_000, 1_000_000
SILENCE = 1e-6  # a peak of -120 dB below full scale
BLOCK_SAMPLES = 1 << 18  # over all channels: 1 MB of float32 at a time
STREAMED = 0x7FFF_0000  # sizes from here on are what programs write that do not know the size yet
UNKNOWN = 1 << 62  # what libsndfile makes of a FLAC stream without a length
TOLERATED_LOSS = 0.02  # MP3 headers only estimate their length

NAMELESS = "the clip"
Source = str | os.PathLike | bytes | BinaryIO


def decode(
    source: Source, name: str, start: float, duration: float | None, max_seconds: float
) -> np.ndarray:
    """The wave float32 [S] of `duration` seconds of a source from `start` on, at its level."""
    try:
        with _open(source, name) as file:
            first, count = _selection(file, name, start, duration, max_seconds)
            return resampled(_mono_blocks(file, name, first, count), file.samplerate)
    except (soundfile.SoundFileError, OSError, RuntimeError) as error:
        raise RavelError(f"{name} is damaged and cannot be decoded: save it again.") from error


def title_of(source: Source) -> str:
    """What to call a source in a message: its file name, or NAMELESS."""
    path = source if isinstance(source, (str, os.PathLike)) else getattr(source, "name", None)
    return Path(path).name or str(path) if isinstance(path, (str, os.PathLike)) else NAMELESS


def _open(source: Source, name: str) -> soundfile.SoundFile:
    """An open sound file whose header promises something that can be read."""
    if isinstance(source, (str, os.PathLike)):
        # Uploads have a name of their own: the error names that, not the temporary path.
        path = Path(source)
        source = _existing_file(path, str(path) if name == title_of(path) else name)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        source = io.BytesIO(source)
    if not isinstance(source, Path) and not source.seek(0, os.SEEK_END):
        raise RavelError(f"{name} is empty (0 bytes): choose a file that holds sound.")
    if not isinstance(source, Path):
        source.seek(0)
    try:
        file = soundfile.SoundFile(source if isinstance(source, Path) else _Seekable(source))
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise RavelError(
            f"{name} is not a sound file that can be read: use WAV, FLAC, Ogg, MP3 or AIFF."
        ) from error
    check_format(name, file.channels, file.samplerate)
    _check_whole(file, name)
    return file


class _Seekable:
    """A binary file, in which a damaged header may point to before its beginning."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As a file does, and to the beginning where there is no such place."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, OverflowError, ValueError):  # libsndfile calls this: nothing may be raised
            return self._file.seek(0)


def _existing_file(path: Path, name: str) -> Path:
    try:
        if path.is_dir():
            raise RavelError(f"{name} is a folder: give the path of one sound file in it.")
        if not path.exists():
            raise RavelError(f"{name} does not exist: check the path.")
        if not path.is_file():
            raise RavelError(f"{name} is not a regular file: give the path of a sound file.")
        if not path.stat().st_size:
            raise RavelError(f"{name} is empty (0 bytes): choose a file that holds sound.")
        with path.open("rb"):
            return path
    except RavelError:
        raise
    except (OSError, ValueError) as error:  # ValueError: not a valid name for a file
        said = getattr(error, "strerror", None) or "not a valid name for a file"
        raise RavelError(f"{name} cannot be opened ({said}).") from error


def check_format(name: str, channels: int, sample_rate: float) -> None:
    if not 1 <= channels <= MAX_CHANNELS:
        raise RavelError(
            f"{name} has {channels} channels: expected 1 to {MAX_CHANNELS}, as [samples, channels]."
        )
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise RavelError(
            f"{name} has a sample rate of {sample_rate:g} Hz: expected {MIN_RATE} to {MAX_RATE}."
        )


def _check_whole(file: soundfile.SoundFile, name: str) -> None:
    # libsndfile reads what is left of a truncated WAV or AIFF and only notes it in its log.
    for promised, found in re.findall(r": (\d+) \(should be (\d+)\)", file.extra_info):
        if int(promised) < STREAMED and int(found) < (1 - TOLERATED_LOSS) * int(promised):
            raise RavelError(_truncated(name, int(found) / int(promised)))


def _truncated(name: str, share: float) -> str:
    return f"{name} is damaged: it holds {share:.0%} of what its header says; save it again."


def _selection(
    file: soundfile.SoundFile, name: str, start: float, duration: float | None, max_seconds: float
) -> tuple[int, int]:
    """First frame and number of frames to read, by the header alone."""
    if not (math.isfinite(start) and start >= 0) or (duration is not None and not duration > 0):
        raise RavelError(f"{name}: the start must be 0 s or later and the duration above 0 s.")
    rate = file.samplerate
    if not file.frames:
        raise RavelError(f"{name} holds no samples: choose a file that holds sound.")
    if start >= file.frames / rate:
        raise RavelError(
            f"{name} has no sound at {start:g} s: it lasts {file.frames / rate:.2f} s, so choose "
            "an earlier start."
        )
    first = min(round(start * rate), file.frames - 1)
    count = file.frames - first
    if duration is None and file.frames > UNKNOWN:
        raise RavelError(f"{name} does not say how long it is: save it again as WAV or FLAC.")
    if duration is not None and duration < count / rate:
        count = round(duration * rate)
    check_length(name, count / rate, max_seconds)
    return first, count


def check_length(name: str, seconds: float, max_seconds: float) -> None:
    if seconds > max_seconds:
        raise RavelError(
            f"{name} is too long ({_duration(seconds)}; at most {_duration(max_seconds)}): cut it, "
            "or select a part by its start and duration."
        )
    if seconds < MIN_SECONDS:
        raise RavelError(
            f"{name} is too short ({seconds:.4g} s): at least {MIN_SECONDS:g} s are needed."
        )


def _duration(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 60 else f"{seconds / 60:,.1f} min"


def _mono_blocks(
    file: soundfile.SoundFile, name: str, first: int, count: int
) -> Iterator[np.ndarray]:
    """`count` frames from `first` on, as float32 [n] blocks of bounded size, whatever they hold."""
    if first:
        file.seek(first)
    size, left = BLOCK_SAMPLES // file.channels, count
    while left:
        block = file.read(min(size, left), dtype="float32", always_2d=True)
        if not len(block):
            break
        left -= len(block)
        yield mean_of(block, name)
    if left > TOLERATED_LOSS * count:
        raise RavelError(_truncated(name, 1 - left / count))


def mean_of(block: np.ndarray, name: str) -> np.ndarray:
    """Samples [n, channels] as their float32 mean [n]."""
    with np.errstate(invalid="ignore"):  # infinities of both signs: refused below
        mono = block.mean(axis=1, dtype=np.float64)
    if not (np.abs(mono) <= np.finfo(np.float32).max).all():  # false for NaN too
        raise RavelError(f"{name} holds samples that are not finite numbers (NaN or infinite).")
    return mono.astype(np.float32)


def resampled(blocks: Iterable[np.ndarray], sample_rate: float) -> np.ndarray:
    """Blocks of mono samples as one wave [S] at 16 kHz."""
    if sample_rate == SAMPLE_RATE:
        return np.concatenate(list(blocks))
    stream = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32", quality="VHQ")
    parts = [stream.resample_chunk(block) for block in blocks]
    return np.concatenate([*parts, stream.resample_chunk(np.zeros(0, np.float32), last=True)])


def checked(wave: np.ndarray, name: str, normalise: bool) -> np.ndarray:
    peak = float(np.abs(wave).max(initial=0))
    if not peak >= SILENCE:
        raise RavelError(f"{name} is silent: choose a recording that can be heard.")
    if not math.isfinite(peak):
        raise RavelError(f"{name} holds samples too large to be sound: save it again.")
    return wave / np.float32(peak) if normalise else wave
