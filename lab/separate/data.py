"""What the Separate page asks of core, remembered between reruns and shared by all visitors.

Torch is imported in here when something is asked for. Results are remembered by digests of the
checkpoint and of what was mixed, never by samples.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile
import streamlit as st

from core.audio import clip as audio
from core.audio.clip import SAMPLE_RATE, Clip
from core.checkpoints.checkpoint import Checkpoint
from lab.swap.data import HEADROOM
from lab.widgets.mixture_slot import Taken

if TYPE_CHECKING:
    from core.separation.separate import Match, SeparationModel

CUT_OFF = 0.002  # share of samples near the peak; of speech and music it is a tenth of that
LAST = "last"  # of the snapshots: the final weights


class Mixture(NamedTuple):
    """A mixture at its own level, and if it was mixed here what is in it, [N, S], which sums."""

    clip: Clip
    references: np.ndarray | None

    @property
    def gain(self) -> float:
        """What all that is played is multiplied by, so that the mixture peaks at HEADROOM."""
        return HEADROOM / float(np.abs(self.clip.wave).max())


class Channels(NamedTuple):
    """What a separator made: `waves` [M, S] at their true levels, which sum to the mixture.

    `matches` say what each holds, where that is known; the order is then that of the clips, else
    that of the last training step.
    """

    waves: np.ndarray
    matches: list[Match] | None

    @property
    def improvement(self) -> float | None:
        """The mean SI-SNR improvement in dB of the channels that hold a clip; None if unknown."""
        known = [match.improvement for match in self.matches or [] if match.references]
        return sum(known) / len(known) if known else None


def mixture(taken: Taken) -> Mixture:
    """What a slot holds as one sound. Raises RavelError."""
    return _mixture(taken.key, taken) if taken.levels else Mixture(taken.clips[0], None)


def separate(checkpoint: Checkpoint, taken: Taken) -> Channels:
    """A mixture's channels, a hundredth of its length in work. Raises RavelError."""
    return _separate((checkpoint.digest, *taken.key), checkpoint, taken)


def remix(channels: Channels, decibels: Sequence[float | None]) -> np.ndarray:
    """The channels at new levels, summed to [S]; None mutes one."""
    import torch

    from core.separation import separate as core

    return core.remix(torch.from_numpy(channels.waves), decibels).numpy()


def snapshots(checkpoint: Checkpoint) -> dict[str, Checkpoint]:
    """A checkpoint through its training, by step; LAST has the final weights."""
    early = {str(step): Checkpoint(checkpoint.path, step) for step in checkpoint.snapshots}
    return early | {LAST: Checkpoint(checkpoint.path)}


def wav(wave: np.ndarray) -> bytes:
    """Samples [S] as a WAV file of 32-bit floats: no level is too high for it."""
    file = io.BytesIO()
    soundfile.write(file, wave, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


def played(wave: np.ndarray, gain: float) -> bytes:
    """Samples [S] as a WAV file for a player, `gain` times as loud."""
    return audio.wav_bytes(gain * wave)


def is_too_loud(wave: np.ndarray, gain: float) -> bool:
    """Whether a player would cut off its peaks."""
    return bool(np.abs(wave).max() * gain > 1)


def is_cut_off(clip: Clip) -> bool:
    """Whether a recording lingers at full scale, as one does whose peaks did not fit."""
    level = np.abs(clip.wave)
    return level.max() > 0.98 and float(np.mean(level > 0.97 * level.max())) > CUT_OFF


def stems(mixture: Mixture, channels: Channels, about: str) -> bytes:
    """A zip of the mixture and its channels as WAV files, with `about` in README.txt."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", about)
        archive.writestr("mixture.wav", wav(mixture.clip.wave))
        for number, wave in enumerate(channels.waves, 1):
            archive.writestr(f"channel-{number}.wav", wav(wave))
    return file.getvalue()


@st.cache_resource(max_entries=8, show_spinner=False)
def _model(digest: str, _checkpoint: Checkpoint) -> SeparationModel:
    import torch

    torch.set_num_threads(1)
    from core.separation.separate import load

    step = "" if _checkpoint.snapshot is None else f"@{_checkpoint.snapshot}"
    return load(f"{_checkpoint.path}{step}")


@st.cache_data(max_entries=16, show_spinner=False)
def _mixture(key: tuple, _taken: Taken) -> Mixture:
    from core.data.mixtures import of_clips

    references = of_clips(_taken.clips, _taken.levels)
    return Mixture(Clip(references.sum(dim=0).numpy(), _taken.name), references.numpy())


@st.cache_data(max_entries=24, max_size="512MB", show_spinner=False)
def _separate(key: tuple, _checkpoint: Checkpoint, _taken: Taken) -> Channels:
    import torch

    model, known = _model(_checkpoint.digest, _checkpoint), mixture(_taken)
    from core.separation.separate import match, order_of

    waves = model.separate(known.clip)
    if known.references is None:
        if _checkpoint.snapshot is not None:  # one order for all steps
            last = separate(Checkpoint(_checkpoint.path), _taken).waves
            waves = waves[order_of(waves, torch.from_numpy(last))]
        return Channels(waves.numpy(), None)
    matches = match(waves, torch.from_numpy(known.references))
    # Channels come in any order: the first clip's first, those that hold none last.
    order = sorted(range(len(waves)), key=lambda i: matches[i].references or (len(waves),))
    return Channels(waves[order].numpy(), [matches[i] for i in order])
