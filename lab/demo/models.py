"""What the demo asks of core: models loaded once for all visitors, and what they make.

Nothing here keeps anything of a visitor. Torch is imported when it is first needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core import registry
from core.audio.clip import CLIP_SECONDS, SAMPLE_RATE, Clip, from_array, read, wav_bytes
from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT, Checkpoint, list_checkpoints
from core.errors import RavelError
from core.vocoder.play import check_route, default_route, play
from lab.demo.style import picture, thumbnail

try:
    from spaces import GPU as gpu  # lends a GPU to a call, on a ZeroGPU Space
except ImportError:

    def gpu(duration: int) -> Callable[[Callable], Callable]:
        """Elsewhere a call runs as it is."""
        return lambda function: function


if TYPE_CHECKING:
    pass

DEVICE = "cuda" if os.environ.get("SPACES_ZERO_GPU") else "cpu"
SECONDS = {"swap": CLIP_SECONDS, "separate": 30.0, "similar": 30.0}  # taken of a recording
HEADROOM = 0.5  # of all that is played: rebuilt sound may peak above the recordings
TICKS_HZ = (500, 1000, 2000, 4000)
SWAP, COLLAPSED = DEFAULT_CHECKPOINT, "dsae-dmelodies"
SEPARATOR, ENCODER = "separator-scenes", "scenes-encoder"
PARTS = ("source", "target", "swapped", "counterpart")
REBUILT = ("source_reconstruction", "target_reconstruction")

_loading = Lock()


class Heard(NamedTuple):
    """A sound [S] as it is shown and played, at its own level; `picture` is a PNG."""

    wave: np.ndarray
    picture: bytes

    @property
    def seconds(self) -> float:
        return len(self.wave) / SAMPLE_RATE

    def wav(self, gain: float = HEADROOM) -> bytes:
        """As a WAV file, `gain` times as loud."""
        return wav_bytes(gain * self.wave)


def names(system: str) -> list[str]:
    """The checkpoints that a visitor may choose from: those that ship."""
    return [found.name for found in list_checkpoints(system)]


def chosen(system: str, name: str) -> Checkpoint:
    """One of them. Raises RavelError for anything else, be it a path or a Hub id."""
    known = {found.name: found for found in list_checkpoints(system)}
    if name not in known:
        raise RavelError(f"There is no such model: choose {' or '.join(known) or 'none yet'}.")
    return known[name]


def take(path: Path | None, title: str, start: float, task: str) -> Clip:
    """What a task takes of a visitor's file, from `start` seconds on. Raises RavelError.

    Only that part is decoded, whatever the file claims to hold.
    """
    if path is None:
        raise RavelError(f"{title} is missing: choose an example, upload a file or record one.")
    swap_or_find = task != "separate"
    return read(path, start=start, duration=SECONDS[task], name=title, normalise=swap_or_find)


def swap(name: str, source: Clip, target: Clip, way: str | None = None) -> dict[str, Heard]:
    """Two clips, and their swaps both ways, by PARTS, played in a way. Raises RavelError."""
    way = check_route(way)
    made = _swap(chosen("dsae", name).name, source.wave, target.wave, way)
    loudest = max(float(made[part][1].max()) for part in ("source", "target"))
    return {part: Heard(wave, picture(mel, loudest)) for part, (wave, mel) in made.items()}


@gpu(duration=10)
def _swap(name: str, source: np.ndarray, target: np.ndarray, way: str) -> dict[str, Any]:
    """Wave and log-mel of each of PARTS and REBUILT."""
    model = load("dsae", name)
    from core.dsae.latents import swap_clips

    made = swap_clips(model, Clip(source), Clip(target))
    rebuilt = {
        part: (play(getattr(made, part), way, DEVICE).numpy(), getattr(made, part).numpy())
        for part in (*PARTS[2:], *REBUILT)
    }
    given = {"source": (source, made.source.numpy()), "target": (target, made.target.numpy())}
    return given | rebuilt


def separate(name: str, mixture: Clip) -> list[Heard]:
    """A mixture and then its channels, at true level: they add up to it. Raises RavelError."""
    waves = [mixture.wave, *_separate(chosen("separation", name).name, mixture.wave)]
    mels = [log_mel(wave) for wave in waves]
    loudest = float(mels[0].max())
    return [Heard(wave, picture(mel, loudest)) for wave, mel in zip(waves, mels, strict=True)]


@gpu(duration=10)
def _separate(name: str, mixture: np.ndarray) -> np.ndarray:
    return load("separation", name).separate(mixture).numpy()


def embed(name: str, sound: np.ndarray) -> np.ndarray:
    """The embedding [D] of a sound [S], heard at full level. Raises RavelError."""
    wave = from_array(sound, SAMPLE_RATE, name="The sound").wave
    return _embed(chosen("contrastive", name).name, wave)


@gpu(duration=10)
def _embed(name: str, wave: np.ndarray) -> np.ndarray:
    return load("contrastive", name).embed(wave).numpy()


def heard(wave: np.ndarray) -> Heard:
    """A sound by itself, its loudest point at 0 dB."""
    mel = log_mel(wave)
    return Heard(wave, picture(mel, float(mel.max())))


def small(wave: np.ndarray) -> bytes:
    """A sound's picture at the size of a list, a PNG."""
    return thumbnail(log_mel(wave))


def log_mel(wave: np.ndarray) -> np.ndarray:
    """The natural log-mel [T, 80] of a sound [S]."""
    from core.audio.mel import log_mel

    return log_mel(wave).numpy()


@cache
def ticks() -> list[tuple[str, float]]:
    """Frequencies to label, and how high they stand in a picture, read off the mel filters."""
    import torch

    from core.audio.mel import N_FFT, mel_basis

    peaks = mel_basis(torch.device("cpu")).argmax(0).numpy() * SAMPLE_RATE / N_FFT
    at = np.interp(TICKS_HZ, peaks, (np.arange(len(peaks)) + 0.5) / len(peaks))
    said = [f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz" for hz in TICKS_HZ]
    return list(zip(said, at.round(4).tolist(), strict=True))


def load(system: str, name: str) -> Any:
    """A model at rest, loaded once for all visitors."""
    with _loading:
        return _load(system, name)


def warm() -> None:
    """Load what visitors ask for first, so that the first of them does not wait for it."""
    silence = np.sin(np.arange(SAMPLE_RATE) / 20).astype(np.float32)
    for system, name, work in (
        ("dsae", SWAP, lambda: _swap(SWAP, silence, silence, default_route())),
        ("separation", SEPARATOR, lambda: _separate(SEPARATOR, silence)),
        ("contrastive", ENCODER, lambda: _embed(ENCODER, silence)),
    ):
        if name in names(system):
            load(system, name) if DEVICE == "cuda" else work()


@cache
def _load(system: str, name: str) -> Any:
    import torch

    torch.set_num_threads(1)  # visitors side by side share the cores; more threads only spin
    return registry.get(system).load(chosen(system, name).path, DEVICE)
