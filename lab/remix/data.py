"""What the Remix page asks of core, remembered between reruns and shared by all visitors.

Each step of a mixture's way through both models is remembered by digests of what it depends on, so
that a change makes anew only what comes after it. Torch is imported in here when it is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from core.audio.clip import Clip
from core.checkpoints.checkpoint import Checkpoint
from core.dsae.instruments import InstrumentTable, Likeness, read_instruments
from core.remix.changes import Change
from core.vocoder.play import play, route_digest
from lab.separate import data as separation
from lab.separate.data import Channels, Mixture
from lab.swap.data import latents, model
from lab.widgets import played
from lab.widgets.mixture_slot import Taken

if TYPE_CHECKING:
    from core.dsae.latents import Latents


class Way(NamedTuple):
    """A mixture on its way through two checkpoints: all that its channels and latents depend on."""

    taken: Taken
    separator: Checkpoint
    model: Checkpoint

    @property
    def key(self) -> tuple[str | float, ...]:
        """Digests of all three, for caches."""
        return self.separator.digest, self.model.digest, *self.taken.key


class Made(NamedTuple):
    """A channel after its change, at 0 dB: samples [S], and the log-mel [T, 80] that the model
    made, None where the channel is kept."""

    wave: np.ndarray
    log_mel: np.ndarray | None


def channels(way: Way) -> Channels:
    """The mixture taken apart. Raises RavelError."""
    return separation.separate(way.separator, way.taken)


def known(checkpoint: Checkpoint) -> InstrumentTable | None:
    """The instruments that a model knows. Raises RavelError for a damaged file."""
    return read_instruments(checkpoint)


def heard(way: Way) -> list[Latents | None]:
    """Each channel's latents, None of a silent one. Raises RavelError."""
    return _heard(way.key, way)


def likeness(way: Way, number: int) -> list[Likeness]:
    """What channel `number` sounds like; empty if it is silent or the model knows nobody."""
    channel, names = heard(way)[number - 1], known(way.model)
    return names.likeness(channel.v.numpy()) if names and channel else []


def goes_to(way: Way, change: Change) -> np.ndarray | None:
    """The v [V] that a change gives; None where the channel has its own. Raises RavelError."""
    wanted = change.instrument
    if wanted is None:
        return None
    if isinstance(wanted, str):
        return known(way.model).mean(wanted)
    if isinstance(wanted, Clip):
        return latents(way.model, wanted).v.numpy()
    giver = heard(way)[wanted - 1]
    return None if giver is None else giver.v.numpy()


def melody(way: Way, change: Change, number: int) -> np.ndarray | None:
    """The z [T, Z] that channel `number` plays; None where there is none. Raises RavelError."""
    if isinstance(change.melody, Clip):
        return latents(way.model, change.melody).z.numpy()
    giver = heard(way)[(change.melody or number) - 1]
    return None if giver is None else giver.z.numpy()


def stem(way: Way, number: int, change: Change) -> Made:
    """A channel after its change, at 0 dB, played as was chosen on this page. RavelError."""
    if change.keeps:
        return Made(channels(way).waves[number - 1], None)
    key = (*way.key, number, _key(way, change), route_digest(played.now()))
    return _stem(key, way, number, change, played.now())


def mixed(stems: Sequence[np.ndarray], decibels: Sequence[float | None]) -> list[np.ndarray]:
    """Stems [S] at their levels; None mutes one. Their sum is the remix."""
    import torch

    from core.remix.remix import at_level

    pairs = zip(stems, decibels, strict=True)
    return [at_level(torch.from_numpy(wave), level).numpy() for wave, level in pairs]


def share_kept(waves: Sequence[np.ndarray], changes: Sequence[Change]) -> float:
    """How much of the energy of stems at their levels is of channels kept as separated."""
    import torch

    from core.remix.remix import share_kept

    return share_kept([torch.from_numpy(w) for w in waves], [change.keeps for change in changes])


def to_zip(
    way: Way, mixture: Mixture, changes: Sequence[Change], stems: Sequence[np.ndarray], notes: str
) -> bytes:
    """Mixture, channels, stems at their levels and remix in one file, with what was done."""
    import torch

    from core.remix import files, remix

    found = [
        remix.Stem(
            change,
            torch.from_numpy(channel),
            heard(way)[number - 1],
            likeness(way, number),
            None,
            torch.from_numpy(wave),
        )
        for number, (change, channel, wave) in enumerate(
            zip(changes, channels(way).waves, stems, strict=True), 1
        )
    ]
    made = remix.Remix(mixture.clip, way.separator.name, way.model.name, found)
    return files.to_zip(made, notes)


def _key(way: Way, change: Change) -> str:
    """What was asked for, by its content."""
    parts = []
    for wanted in (change.instrument, change.melody):
        if isinstance(wanted, str):
            parts.append(known(way.model).mean(wanted).tobytes())
        else:
            parts.append(repr(wanted.digest if isinstance(wanted, Clip) else wanted).encode())
    return hashlib.blake2b(b"|".join(parts), digest_size=16).hexdigest()


@st.cache_data(max_entries=24, show_spinner=False)
def _heard(key: tuple, _way: Way) -> list[Latents | None]:
    import torch

    from core.remix.remix import encode_channel

    waves = torch.from_numpy(channels(_way).waves)
    return [encode_channel(model(_way.model), wave, waves.sum(0)) for wave in waves]


@st.cache_data(max_entries=48, max_size="512MB", show_spinner=False)
def _stem(key: tuple, _way: Way, _number: int, _change: Change, _played: str) -> Made:
    import torch

    from core.remix.remix import exchange, play_stem

    channel = torch.from_numpy(channels(_way).waves[_number - 1])
    decoded = exchange(model(_way.model), _number, _change, heard(_way), known(_way.model))
    sound = play_stem(decoded, channel, partial(play, route=_played))
    return Made(sound.numpy(), decoded.numpy())
