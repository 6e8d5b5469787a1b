"""Models and results, computed once for everybody who asks for them, in bounded memory.

Used by the lab and by the demo; nothing here knows a screen. Results are keyed by digests of
checkpoints and clips. They are shared, not copied: arrays are read-only, so copy one before
changing it. `mixtures` has separation and remixing, `corpora` stores and indexes.
Torch is imported when something is first computed, never at start-up.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial, wraps
from threading import Condition
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

import numpy as np
from cachetools import LRUCache, cached

from core.audio import clip as audio
from core.audio.clip import SAMPLE_RATE, VOICED, Clip
from core.checkpoints.checkpoint import Checkpoint
from core.dsae.instruments import InstrumentTable, read_instruments
from core.remix.changes import require_instruments
from core.vocoder.play import check_route, play, route_digest

if TYPE_CHECKING:
    from core.audio.pitch import Pitch
    from core.contrastive.embed import Encoder
    from core.dsae.latents import Disentangler, Latents
    from core.separation.separate import SeparationModel

P = ParamSpec("P")
R = TypeVar("R")

HEADROOM = 0.5  # gain of everything played: rebuilt sound may peak above 1, where recordings peak
PARTS = {  # of a swap: the clip that gives the melody, and the one that gives the instrument
    "swapped": ("source", "target"),
    "counterpart": ("target", "source"),
    "source_reconstruction": ("source", "source"),
    "target_reconstruction": ("target", "target"),
}


# -- caching -----------------------------------------------------------------------------------

_kept: list[Any] = []


def keep(entries: int, max_bytes: int | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator: keep the results of the last `entries` calls, and no more than `max_bytes`.

    Arguments are keyed by their `digest` or `key`, latents by v and z, all others as they are. An
    exception is not kept.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        def key(*args: P.args, **kwargs: P.kwargs) -> tuple:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return tuple(_key(value) for value in bound.args)

        @wraps(function)
        def frozen(*args: P.args, **kwargs: P.kwargs) -> R:
            return _freeze(function(*args, **kwargs))

        size = None if max_bytes is None else partial(_size, least=max_bytes // entries)
        store: LRUCache = LRUCache(max_bytes or entries, size)
        # LRUCache is not thread-safe, and visitors have threads of their own. The condition also
        # lets a second visitor who asks for the same thing wait for the first one's result, where
        # a lock alone would have both compute it; other keys are computed meanwhile.
        kept = cached(store, key, condition=Condition())(frozen)
        _kept.append(kept)
        return kept

    return decorate


def forget() -> None:
    """Empty all caches."""
    for kept in _kept:
        kept.cache_clear()


def _key(value: Any) -> Any:
    if isinstance(value, bytes):
        return hashlib.blake2b(value, digest_size=16).digest()
    if hasattr(value, "z_logvar"):  # latents
        v, z = (np.ascontiguousarray(part.numpy()) for part in (value.v, value.z))
        return v.shape, z.shape, _key(v.tobytes() + z.tobytes())
    return getattr(value, "digest", None) or getattr(value, "key", value)


def _freeze(value: Any) -> Any:
    """Make the arrays in a result read-only, so that sharing it without copies is safe."""
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            _freeze(part)
    return value


def _size(value: Any, least: int = 0) -> int:
    """Bytes of the arrays in a result; at least `least`, which bounds the number of entries."""
    if isinstance(value, np.ndarray):
        return max(least, value.nbytes)
    return max(least, sum(map(_size, value)) if isinstance(value, list | tuple) else 0)


# -- models ------------------------------------------------------------------------------------


@keep(8)
def disentangler(checkpoint: Checkpoint, device: str = "cpu") -> Disentangler:
    """A dsae checkpoint, loaded. Raises RavelError."""
    with_torch()
    from core.dsae.latents import load

    return load(checkpoint.path, device)


@keep(8)
def separator(checkpoint: Checkpoint, device: str = "cpu") -> SeparationModel:
    """A separation checkpoint or a snapshot of one, loaded. Raises RavelError."""
    with_torch()
    from core.separation.separate import load

    step = "" if checkpoint.snapshot is None else f"@{checkpoint.snapshot}"
    return load(f"{checkpoint.path}{step}", device)


@keep(2)
def encoder(checkpoint: Checkpoint, device: str = "cpu") -> Encoder:
    """A contrastive checkpoint, loaded. Raises RavelError."""
    with_torch()
    from core.contrastive.embed import load

    return load(checkpoint.path, device)


@cache
def with_torch() -> None:
    """Import torch with one thread a computation: visitors who compute side by side share the
    cores, and more threads would only spin."""
    import torch

    torch.set_num_threads(1)


# -- clips -------------------------------------------------------------------------------------


@keep(64)
def log_mel(clip: Clip) -> np.ndarray:
    """The clip's natural log-mel float32 [T, 80]. Raises RavelError if the clip is too short."""
    with_torch()
    from core.audio.mel import log_mel

    return log_mel(np.array(clip.wave)).numpy()  # a copy: torch wants writable arrays


@keep(64)
def latents(checkpoint: Checkpoint, clip: Clip) -> Latents:
    """A clip's latents. Raises RavelError."""
    return disentangler(checkpoint).encode(clip)


@keep(128)
def embedding(checkpoint: Checkpoint, clip: Clip) -> np.ndarray:
    """A clip's embedding [D]. Raises RavelError."""
    return encoder(checkpoint).embed(clip).numpy()


def wav(clip: Clip) -> bytes:
    """The clip as a WAV file, HEADROOM below its own level."""
    return audio.wav_bytes(HEADROOM * clip.wave)


@keep(256)
def pitch(wav: bytes) -> Pitch:
    """The pitch of a WAV file by CREPE tiny, a third of a second of work."""
    with_torch()
    from core.audio.pitch import track

    return track(audio.read(wav, normalise=False).wave, capacity="tiny")


def melody_kept(reference: bytes, estimate: bytes) -> float:
    """The share of the reference's pitched frames in which the estimate is within 50 cents."""
    from core.audio.pitch import raw_pitch_accuracy

    true, estimated = pitch(reference), pitch(estimate)
    frames = min(len(true.times), len(estimated.times))  # a log-mel ends with its last whole hop
    voiced = true.confidence[0, :frames] >= VOICED
    return raw_pitch_accuracy(true.f0[0, :frames], estimated.f0[0, :frames], voiced=voiced)


@keep(1)
def band_hertz() -> np.ndarray:
    """Where each mel band peaks, in Hz [80], read off the filters."""
    with_torch()
    import torch

    from core.audio.mel import N_FFT, mel_basis

    return mel_basis(torch.device("cpu")).argmax(0).numpy() * SAMPLE_RATE / N_FFT


# -- swaps -------------------------------------------------------------------------------------


class Pair(NamedTuple):
    """Two clips and the checkpoint that swaps them: all that a result depends on.

    `strength`: how far v goes from the one clip's (0) to the other's (1), or beyond. `instrument`:
    one of the checkpoint's table, whose mean v takes the place of the target's; "" for none.
    """

    checkpoint: Checkpoint
    source: Clip
    target: Clip
    strength: float = 1.0
    instrument: str = ""

    @property
    def key(self) -> tuple[str, str, str, float, str]:
        """Digests of the three, and the rest: for caches."""
        digests = self.checkpoint.digest, self.source.digest, self.target.digest
        return *digests, self.strength, self.instrument

    def latents(self, side: str) -> Latents:
        """The latents of the source or the target. Raises RavelError."""
        found = latents(self.checkpoint, getattr(self, side))
        if side == "source" or not self.instrument:
            return found
        v = instrument_table(self.checkpoint).mean(self.instrument)
        return replace(found, v=found.v.new_tensor(v))


@keep(128)
def decoded(pair: Pair, part: str) -> np.ndarray:
    """One of PARTS of a swap as the model's log-mel [T, 80]. Raises RavelError."""
    melody, instrument = (pair.latents(side) for side in PARTS[part])
    v = instrument.v if pair.strength == 1 else melody.v.lerp(instrument.v, pair.strength)
    return disentangler(pair.checkpoint).decode(v, melody.z).numpy()


def instrument_table(checkpoint: Checkpoint) -> InstrumentTable:
    """A checkpoint's instruments. Raises RavelError where it has none."""
    return require_instruments(read_instruments(checkpoint), checkpoint.name)


def sound(pair: Pair, part: str, route: str | None = None) -> bytes:
    """The log-mel that is `decoded` as a WAV file, HEADROOM below its level. Raises RavelError."""
    return _sound(pair, part, check_route(route), route_digest(route))


@keep(256)
def _sound(pair: Pair, part: str, route: str, digest: str) -> bytes:
    return audio.wav_bytes(HEADROOM * waveform(decoded(pair, part), route))


def waveform(log_mel: np.ndarray, route: str | None = None, device: str = "cpu") -> np.ndarray:
    """A log-mel [T, 80] as a wave [(T - 1) * 256] at its own level; not kept. RavelError."""
    with_torch()
    import torch

    from core.audio import long

    make = partial(play, route=route, device=device)
    return long.to_waveform(torch.tensor(log_mel), make).cpu().numpy()


# -- latents changed by hand -------------------------------------------------------------------


class Rendering(NamedTuple):
    """Latents made audible: the log-mel [T, 80], and it as a WAV file HEADROOM below its level.

    Edited latents may be louder than a file can hold: then it is `lowered` by so many dB more.
    """

    log_mel: np.ndarray
    wav: bytes
    lowered: float


def render(checkpoint: Checkpoint, made: Latents, route: str | None = None) -> Rendering:
    """Latents decoded and made audible, a tenth of a second of work. Raises RavelError."""
    return _render(checkpoint, made, check_route(route), route_digest(route))


@keep(128)
def _render(checkpoint: Checkpoint, made: Latents, route: str, digest: str) -> Rendering:
    log_mel = decode(checkpoint, made)
    wave = HEADROOM * waveform(log_mel, route)
    over = max(1.0, float(np.abs(wave).max()))
    return Rendering(log_mel, audio.wav_bytes(wave / over), 20 * math.log10(over))


def decode(checkpoint: Checkpoint, made: Latents) -> np.ndarray:
    """Latents as a log-mel [T, 80], well under a millisecond of work; not kept. RavelError."""
    return disentangler(checkpoint).decode(made.v, made.z).numpy()


@keep(64)
def sample(checkpoint: Checkpoint, seconds: float, seed: int) -> Latents:
    """A sample of v and z from the prior. Raises RavelError."""
    return disentangler(checkpoint).sample(seconds, seed)


@keep(64)
def reach(checkpoint: Checkpoint, clip: Clip) -> list[float]:
    """How far each dimension of v moves the clip's sound from -2 to +2, in dB. RavelError."""
    from core.dsae import edits

    return edits.reach(disentangler(checkpoint), latents(checkpoint, clip)).tolist()


def corpus_of(checkpoint: Checkpoint) -> str:
    """The name of the corpus that a checkpoint was trained on."""
    return str(checkpoint.config.get("data", {}).get("store", "")).rstrip("/").rsplit("/", 1)[-1]
