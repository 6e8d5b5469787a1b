"""What the pages ask of core, remembered between reruns and shared by all visitors.

Torch is imported in here only, when something is asked for: a page's first paint never waits for
it. Results are remembered by digests of the checkpoint and the clips, never by samples.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache, partial
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from core.audio import clip as audio
from core.audio.clip import VOICED, Clip
from core.checkpoints.checkpoint import Checkpoint
from core.errors import RavelError
from core.vocoder.play import play, route_digest
from lab.widgets import played

if TYPE_CHECKING:
    from core.audio.pitch import Pitch
    from core.dsae.latents import Disentangler, Latents

HEADROOM = 0.5  # all that is played: rebuilt sound may peak above the recordings, which peak at 1
BEGUN = "sounds_begun"  # where a visitor's session keeps what is being made
GIVERS = {  # of the melody and of the instrument, for each part that a swap can make
    "swapped": ("source", "target"),
    "counterpart": ("target", "source"),
    "source_reconstruction": ("source", "source"),
    "target_reconstruction": ("target", "target"),
}


class Pair(NamedTuple):
    """Two clips and the checkpoint that takes them apart: all that a result depends on."""

    checkpoint: Checkpoint
    source: Clip
    target: Clip

    @property
    def key(self) -> tuple[str, str, str]:
        """Digests of the three, for caches."""
        return self.checkpoint.digest, self.source.digest, self.target.digest


def model(checkpoint: Checkpoint) -> Disentangler:
    """A checkpoint's model, loaded once for all visitors. Raises RavelError."""
    return _model(checkpoint.digest, checkpoint)


def log_mel(clip: Clip) -> np.ndarray:
    """The clip's log-mel float32 [T, 80]. Raises RavelError when it is too short for one."""
    return _log_mel(clip.digest, clip)


def latents(checkpoint: Checkpoint, clip: Clip) -> Latents:
    """A clip's latents. Raises RavelError."""
    return _latents((checkpoint.digest, clip.digest), checkpoint, clip)


def made(pair: Pair, part: str) -> np.ndarray:
    """The log-mel [T, 80] that the model makes of a pair, one of GIVERS. Raises RavelError."""
    return _made((*pair.key, part), pair, part)


def sound(pair: Pair, part: str) -> bytes:
    """The log-mel that is `made` as a WAV file, HEADROOM below its own level. Raises RavelError.

    Played as was chosen on this page.
    """
    return _sound((*pair.key, part, route_digest(played.now())), pair, part, played.now())


def begin(pairs: Sequence[Pair], parts: Sequence[str]) -> None:
    """Begin to make sounds at the same time, beside the page: `sound` then waits for them.

    Not before torch is there, whose loading would hold the page up.
    """
    for task in st.session_state.get(BEGUN, ()):
        task.cancel()  # its pair was given up before its turn came
    context = get_script_run_ctx()  # of this visitor, whose page's choices count

    def make(pair: Pair, part: str) -> None:
        add_script_run_ctx(threading.current_thread(), context)
        with suppress(RavelError):  # who asks for the sound is told
            sound(pair, part)

    each = product(pairs, parts) if "torch" in sys.modules else ()
    st.session_state[BEGUN] = [_makers().submit(make, *one) for one in each]


def soon(seconds: float) -> bool:
    """Whether all that was begun is made within so many seconds; never, if nothing was."""
    begun = st.session_state.get(BEGUN, ())
    return bool(begun) and not wait(begun, seconds).not_done


@cache
def _makers() -> ThreadPoolExecutor:
    """The same two threads for all: each new one keeps memory of its own."""
    return ThreadPoolExecutor(2, "sounds")


def wav(clip: Clip) -> bytes:
    """The clip as a WAV file, HEADROOM below its own level."""
    return audio.wav_bytes(HEADROOM * clip.wave)


def pitch(wav: bytes) -> Pitch:
    """The pitch of a WAV file's sound by CREPE tiny, a third of a second of work."""
    return _pitch(wav)


def melody_kept(reference: bytes, estimate: bytes) -> float:
    """The share of the reference's pitched frames that the estimate has within 50 cents."""
    from core.audio.pitch import raw_pitch_accuracy

    truth, heard = pitch(reference), pitch(estimate)
    frames = min(len(truth.times), len(heard.times))  # a log-mel ends with its last whole hop
    voiced = truth.confidence[0, :frames] >= VOICED
    return raw_pitch_accuracy(truth.f0[0, :frames], heard.f0[0, :frames], voiced=voiced)


def corpus(checkpoint: Checkpoint) -> str:
    """The name of the corpus that a checkpoint was trained on."""
    return str(checkpoint.config.get("data", {}).get("store", "")).rstrip("/").rsplit("/", 1)[-1]


@st.cache_resource(max_entries=4, show_spinner=False)
def _model(digest: str, _checkpoint: Checkpoint) -> Disentangler:
    _torch()
    from core.dsae.latents import load

    return load(_checkpoint.path)


@st.cache_data(max_entries=64, show_spinner=False)
def _log_mel(digest: str, _clip: Clip) -> np.ndarray:
    _torch()
    from core.audio.mel import log_mel

    return log_mel(_clip.wave).numpy()


@st.cache_data(max_entries=64, show_spinner=False)
def _latents(key: tuple[str, ...], _checkpoint: Checkpoint, _clip: Clip) -> Latents:
    return model(_checkpoint).encode(_clip)


@st.cache_data(max_entries=128, show_spinner=False)
def _made(key: tuple[str, ...], _pair: Pair, _part: str) -> np.ndarray:
    melody, instrument = (latents(_pair.checkpoint, getattr(_pair, side)) for side in GIVERS[_part])
    return model(_pair.checkpoint).decode(instrument.v, melody.z).numpy()


@st.cache_data(max_entries=256, show_spinner=False)
def _sound(key: tuple[str, ...], _pair: Pair, _part: str, _way: str) -> bytes:
    log_mel = made(_pair, _part)
    _torch()
    from core.audio import long

    wave = long.to_waveform(log_mel, partial(play, route=_way))
    return audio.wav_bytes(HEADROOM * wave.numpy())


@st.cache_data(max_entries=256, show_spinner=False)
def _pitch(wav: bytes) -> Pitch:
    _torch()
    from core.audio.pitch import track

    return track(audio.read(wav, normalise=False).wave, capacity="tiny")


def _torch() -> None:
    """One thread a visitor: more only spin, and cost everybody else."""
    import torch

    torch.set_num_threads(1)
