"""What the pages ask of core, remembered between reruns and shared by all visitors.

Torch is imported in here only, when something is asked for: a page's first paint never waits for
it. Results are remembered by digests of the checkpoint and the clips, never by samples.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from core import playing
from core.audio import clip as audio
from core.audio.clip import Clip
from core.checkpoints import Checkpoint
from lab.widgets import played

if TYPE_CHECKING:
    from core.audio.pitch import Pitch
    from core.dsae.latents import Disentangler

HEADROOM = 0.5  # all that is played: rebuilt sound may peak above the recordings, which peak at 1
VOICED = 0.5  # CREPE's confidence from which a frame counts as pitched
PARTS = ("source_reconstruction", "target_reconstruction", "swapped", "counterpart")


class Pair(NamedTuple):
    """Two clips and the checkpoint that takes them apart: all that a result depends on."""

    checkpoint: Checkpoint
    source: Clip
    target: Clip

    @property
    def key(self) -> tuple[str, str, str]:
        """Digests of the three, for caches."""
        return self.checkpoint.digest, self.source.digest, self.target.digest


def is_warm() -> bool:
    """Whether torch, which takes seconds, is loaded: what is asked for then comes at once."""
    return "torch" in sys.modules


def model(checkpoint: Checkpoint) -> Disentangler:
    """A checkpoint's model, loaded once for all visitors. Raises RavelError."""
    return _model(checkpoint.digest, checkpoint)


def log_mel(clip: Clip) -> np.ndarray:
    """The clip's log-mel float32 [T, 80]. Raises RavelError when it is too short for one."""
    return _log_mel(clip.digest, clip)


def swap(pair: Pair) -> dict[str, np.ndarray]:
    """The log-mels [T, 80] that the model makes of a pair, by name (PARTS). Raises RavelError."""
    return _swap(pair.key, pair)


def sound(pair: Pair, part: str) -> bytes:
    """One of `swap`'s log-mels as a WAV file, HEADROOM below its own level. Raises RavelError.

    Played as was chosen on this page.
    """
    return _sound((*pair.key, part, playing.digest(played.now())), pair, part, played.now())


def wav(clip: Clip) -> bytes:
    """The clip as a WAV file, HEADROOM below its own level."""
    return audio.wav_bytes(HEADROOM * clip.wave)


def latents(checkpoint: Checkpoint, clip: Clip) -> bytes:
    """The clip's latents as an .npz file. Raises RavelError."""
    return _model(checkpoint.digest, checkpoint).encode(clip).to_npz()


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
def _swap(key: tuple[str, ...], _pair: Pair) -> dict[str, np.ndarray]:
    model = _model(_pair.checkpoint.digest, _pair.checkpoint)
    from core.dsae.latents import swap_clips

    made = swap_clips(model, _pair.source, _pair.target)
    return {part: getattr(made, part).numpy() for part in PARTS}


@st.cache_data(max_entries=256, show_spinner=False)
def _sound(key: tuple[str, ...], _pair: Pair, _part: str, _way: str) -> bytes:
    made = _swap(_pair.key, _pair)[_part]
    _torch()
    from core.audio import long

    wave = long.to_waveform(made, partial(playing.play, way=_way))
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
