"""What the demo's models compute from sounds. Torch is imported when it is first needed.

The models are loaded once for all visitors, by core.service. Its caches of results are not used:
they would keep a visitor's sounds in memory, and the page promises that those are deleted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core import service
from core.audio.clip import CLIP_SECONDS, SAMPLE_RATE, Clip, from_array, read, wav_bytes
from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT, Checkpoint, list_checkpoints
from core.dsae.instruments import read_instruments
from core.errors import RavelError
from core.vocoder.play import check_route, default_route, play
from lab.demo.style import spectrogram_png, thumbnail_png

try:
    from spaces import GPU as gpu  # on a ZeroGPU Space: a call gets a GPU for so many seconds
except ImportError:

    def gpu(duration: int) -> Callable[[Callable], Callable]:
        """Elsewhere the function stays as it is."""
        return lambda function: function


DEVICE = "cuda" if os.environ.get("SPACES_ZERO_GPU") else "cpu"
SECONDS = {
    "swap": CLIP_SECONDS,
    "separate": 30.0,
    "similar": 30.0,
    "remix": 30.0,
}  # of a recording, at most
HEADROOM = 0.5  # gain of all players: generated sound may peak above the recordings
TICKS_HZ = (500, 1000, 2000, 4000)
SWAP_MODEL, COLLAPSED_MODEL = DEFAULT_CHECKPOINT, "dsae-dmelodies"
SEPARATOR, DUETS, ENCODER = "separator-scenes", "separator-duets", "scenes-encoder"
INPUTS, SWAPPED = ("source", "target"), ("swapped", "counterpart")
RECONSTRUCTED = ("source_reconstruction", "target_reconstruction")
LOADERS: dict[str, Callable[[Checkpoint, str], Any]] = {
    "dsae": service.disentangler,
    "separation": service.separator,
    "contrastive": service.encoder,
}


class Rendering(NamedTuple):
    """A sound [S] at its own level, and its spectrogram as a PNG."""

    wave: np.ndarray
    picture: bytes

    @property
    def seconds(self) -> float:
        return len(self.wave) / SAMPLE_RATE

    def wav(self, gain: float = HEADROOM) -> bytes:
        """The sound times `gain` as a WAV file."""
        return wav_bytes(gain * self.wave)


def names(system: str) -> list[str]:
    """The checkpoints that a visitor may choose: those that ship."""
    return [found.name for found in list_checkpoints(system)]


def shipped(system: str, name: str) -> Checkpoint:
    """One of them. Raises RavelError for any other name, and so for paths and Hub ids."""
    found = {checkpoint.name: checkpoint for checkpoint in list_checkpoints(system)}
    if name not in found:
        raise RavelError(f"There is no such model: choose {' or '.join(found) or 'none yet'}.")
    return found[name]


def read_input(path: Path | None, title: str, start: float, task: str) -> Clip:
    """The part of a file that a task uses, from `start` in seconds. Raises RavelError.

    Only that part is decoded, whatever length the file claims to have.
    """
    if path is None:
        raise RavelError(f"{title} is missing: choose an example, upload a file or record one.")
    # A mixture keeps its level: its channels are to add up to it.
    normalise = task not in ("separate", "remix")
    return read(path, start=start, duration=SECONDS[task], name=title, normalise=normalise)


def swap(
    name: str, source: Clip, target: Clip, route: str | None = None, strength: float = 1.0
) -> dict[str, Rendering]:
    """INPUTS, SWAPPED and RECONSTRUCTED by name, made audible by a route. Raises RavelError.

    `strength`: how far v goes from the one clip's (0) to the other's (1), or beyond.
    """
    route = check_route(route)
    made = _swap(shipped("dsae", name).name, source.wave, target.wave, route, strength)
    loudest = max(float(made[part][1].max()) for part in INPUTS)
    return {
        part: Rendering(wave, spectrogram_png(mel, loudest)) for part, (wave, mel) in made.items()
    }


@gpu(duration=10)
def _swap(
    name: str, source: np.ndarray, target: np.ndarray, route: str, strength: float = 1.0
) -> dict[str, Any]:
    """Wave and log-mel of each of INPUTS, SWAPPED and RECONSTRUCTED."""
    model = load("dsae", name)
    from core.dsae.latents import swap_clips

    made = swap_clips(model, Clip(source), Clip(target))
    waves = {"source": source, "target": target}
    mels = {part: getattr(made, part).numpy() for part in (*INPUTS, *SWAPPED, *RECONSTRUCTED)}
    if strength != 1:
        a, b = model.encode(Clip(source)), model.encode(Clip(target))
        mels["swapped"] = model.decode(a.v.lerp(b.v, strength), a.z).numpy()
        mels["counterpart"] = model.decode(b.v.lerp(a.v, strength), b.z).numpy()
    for part in (*SWAPPED, *RECONSTRUCTED):
        waves[part] = service.waveform(mels[part], route, DEVICE)
    return {part: (waves[part], mel) for part, mel in mels.items()}


def separate(name: str, mixture: Clip) -> list[Rendering]:
    """A mixture and its channels, at true level: they add up to it. Raises RavelError."""
    waves = [mixture.wave, *_separate(shipped("separation", name).name, mixture.wave)]
    mels = [log_mel(wave) for wave in waves]
    loudest = float(mels[0].max())
    return [
        Rendering(wave, spectrogram_png(mel, loudest))
        for wave, mel in zip(waves, mels, strict=True)
    ]


@gpu(duration=10)
def _separate(name: str, mixture: np.ndarray) -> np.ndarray:
    return load("separation", name).separate(mixture).numpy()


class Remixed(NamedTuple):
    """A mixture's channels as separated, and the remix."""

    channels: list[Rendering]
    remix: Rendering


def instruments(name: str = SWAP_MODEL) -> list[str]:
    """The instruments of a model's table; none where it does not ship or has no table."""
    if name not in names("dsae"):
        return []
    table = read_instruments(shipped("dsae", name))
    return list(table.names) if table else []


def remix(mixture: Clip, players: dict[int, str]) -> Remixed:
    """A duet separated, and mixed again with other players for some channels, by channel number
    from 1. Raises RavelError."""
    channels, wave = _remix(mixture.wave, players)
    mels = [log_mel(one) for one in (*channels, wave)]
    loudest = float(log_mel(mixture.wave).max())
    *made, remixed = (
        Rendering(one, spectrogram_png(mel, loudest))
        for one, mel in zip((*channels, wave), mels, strict=True)
    )
    return Remixed(made, remixed)


@gpu(duration=15)
def _remix(mixture: np.ndarray, players: dict[int, str]) -> tuple[list[np.ndarray], np.ndarray]:
    separator, model = load("separation", DUETS), load("dsae", SWAP_MODEL)
    from core.remix.changes import Change
    from core.remix.remix import remix

    def to_waveform(mel: Any) -> Any:
        return play(mel, device=DEVICE)

    changes = {number: Change(instrument=name) for number, name in players.items()}
    made = remix(Clip(mixture), separator, model, changes, to_waveform=to_waveform)
    channels = [stem.channel.cpu().numpy() for stem in made.stems]
    return channels, made.wave.cpu().numpy()


def embed(name: str, sound: np.ndarray) -> np.ndarray:
    """The embedding [D] of a sound [S], whatever its level. Raises RavelError."""
    wave = from_array(sound, SAMPLE_RATE, name="The sound").wave
    return _embed(shipped("contrastive", name).name, wave)


@gpu(duration=10)
def _embed(name: str, wave: np.ndarray) -> np.ndarray:
    return load("contrastive", name).embed(wave).numpy()


def render(wave: np.ndarray) -> Rendering:
    """A sound [S] and its spectrogram, whose loudest point is 0 dB."""
    mel = log_mel(wave)
    return Rendering(wave, spectrogram_png(mel, float(mel.max())))


def thumbnail(wave: np.ndarray) -> bytes:
    """The small spectrogram of a sound [S], a PNG."""
    return thumbnail_png(log_mel(wave))


def log_mel(wave: np.ndarray) -> np.ndarray:
    """The natural log-mel [T, 80] of a sound [S]."""
    from core.audio.mel import log_mel

    return log_mel(wave).numpy()


@cache
def ticks() -> list[tuple[str, float]]:
    """Labels of frequencies and their heights in a spectrogram, 0 to 1."""
    bands = service.band_hertz()
    heights = np.interp(TICKS_HZ, bands, (np.arange(len(bands)) + 0.5) / len(bands))
    labels = [f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz" for hz in TICKS_HZ]
    return list(zip(labels, heights.round(4).tolist(), strict=True))


def load(system: str, name: str) -> Any:
    """A model in evaluation mode, loaded once for all visitors. Raises RavelError."""
    return LOADERS[system](shipped(system, name), DEVICE)


def warm_up() -> None:
    """Load the models that visitors need first, and run them once."""
    tone = np.sin(np.arange(SAMPLE_RATE) / 20).astype(np.float32)
    for system, name, run in (
        ("dsae", SWAP_MODEL, lambda: _swap(SWAP_MODEL, tone, tone, default_route())),
        ("separation", SEPARATOR, lambda: _separate(SEPARATOR, tone)),
        ("contrastive", ENCODER, lambda: _embed(ENCODER, tone)),
    ):
        if name not in names(system):
            continue
        if DEVICE == "cuda":  # a ZeroGPU Space lends its GPU to visitors' calls only
            load(system, name)
        else:
            run()
