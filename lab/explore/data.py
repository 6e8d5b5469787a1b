"""What the Explore page asks of core, remembered between reruns and shared by all visitors.

Torch is imported when something is asked for, not before. Results are remembered by digests of the
checkpoint and of the clip or the latents, never by samples.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from core.audio import clip as audio
from core.audio.clip import Clip, read
from core.checkpoints.checkpoint import Checkpoint
from core.vocoder.play import play, route_digest
from lab.swap.data import HEADROOM, latents, model
from lab.widgets import played, slot

if TYPE_CHECKING:
    from core.dsae.latents import Latents


class Sound(NamedTuple):
    """Latents made audible: the decoded log-mel [T, 80], and it as a WAV file, HEADROOM lower.

    Latents set by hand may become louder than a file can hold: then it is `lowered` further, by
    so many dB.
    """

    log_mel: np.ndarray
    wav: bytes
    lowered: float


class Bank(NamedTuple):
    """What is known of each dimension of a checkpoint's v, all lists of V numbers."""

    kl: list[float]  # nats, averaged over the bundled recordings
    order: list[int]  # the dimension with the largest KL first
    collapsed: list[bool]
    presets: dict[str, list[float]]  # the mean v of the bundled recordings, by instrument


def bank(checkpoint: Checkpoint) -> Bank:
    """What is known of the dimensions of v. Raises RavelError."""
    return _bank(checkpoint.digest, checkpoint)


def reach(checkpoint: Checkpoint, clip: Clip) -> list[float]:
    """How far each dimension of v moves the clip's sound from -2 to +2, in dB. RavelError."""
    return _reach((checkpoint.digest, clip.digest), checkpoint, clip)


def log_mel(checkpoint: Checkpoint, made: Latents) -> np.ndarray:
    """Latents decoded, [T, 80], well under a millisecond of work. Raises RavelError."""
    return model(checkpoint).decode(made.v, made.z).numpy()


def render(checkpoint: Checkpoint, made: Latents) -> Sound:
    """Latents decoded and made audible, a tenth of a second of work. Raises RavelError.

    Played as was chosen on this page.
    """
    way = played.now()
    return _render((checkpoint.digest, _digest(made), route_digest(way)), checkpoint, made, way)


def sample(checkpoint: Checkpoint, seconds: float, seed: int) -> Latents:
    """A draw from the prior, of v and of z. Raises RavelError."""
    return _sample((checkpoint.digest, seconds, seed), checkpoint)


def _digest(made: Latents) -> str:
    arrays = [np.ascontiguousarray(made.v.numpy()), np.ascontiguousarray(made.z.numpy())]
    facts = repr([array.shape for array in arrays]).encode()
    return hashlib.sha256(facts + b"".join(array.tobytes() for array in arrays)).hexdigest()


@st.cache_data(max_entries=8, show_spinner=False)
def _bank(digest: str, _checkpoint: Checkpoint) -> Bank:
    from core.dsae import edits

    families: dict[str, list[Latents]] = {}
    for row in slot.examples().values():
        found = model(_checkpoint).encode(read(slot.EXAMPLES / row["file"]))
        families.setdefault(row["instrument"], []).append(found)
    kl = edits.global_kl([one for family in families.values() for one in family])
    return Bank(
        kl.tolist(),
        kl.argsort(descending=True).tolist(),
        (kl <= edits.COLLAPSED).tolist(),
        {name: edits.mean_v(family).tolist() for name, family in families.items()},
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _reach(key: tuple[str, ...], _checkpoint: Checkpoint, _clip: Clip) -> list[float]:
    from core.dsae import edits

    return edits.reach(model(_checkpoint), latents(_checkpoint, _clip)).tolist()


@st.cache_data(max_entries=128, show_spinner=False)
def _render(key: tuple[str, ...], _checkpoint: Checkpoint, _made: Latents, _way: str) -> Sound:
    decoded = log_mel(_checkpoint, _made)
    wave = HEADROOM * play(decoded, _way).numpy()
    over = max(1.0, float(np.abs(wave).max()))
    return Sound(decoded, audio.wav_bytes(wave / over), 20 * math.log10(over))


@st.cache_data(max_entries=64, show_spinner=False)
def _sample(key: tuple, _checkpoint: Checkpoint) -> Latents:
    _, seconds, seed = key
    return model(_checkpoint).sample(seconds, seed)
