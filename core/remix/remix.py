"""Remix: a mixture taken apart, instruments and melodies of its channels exchanged, mixed again.

The mixture's way through both systems: a separator makes channels of it, a disentangling model
takes each channel's sound apart into its instrument (v) and its melody (z) and puts it together
another way, and the stems that come out are mixed at levels of one's own.

separator, model = separate.load("separator-duets"), latents.load("ts-dsae-plus")
changes = {1: Change(instrument="trumpet"), 2: Change(level=-3.0)}
made = remix(read("duet.wav", normalise=False), separator, model, changes)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from core.audio import long
from core.audio.clip import Clip
from core.audio.long import ToWaveform
from core.audio.loudness import loudness
from core.data.mixtures import rms
from core.dsae.instruments import InstrumentTable, Likeness, read_instruments
from core.dsae.latents import Disentangler, Latents
from core.errors import RavelError
from core.remix.changes import Change, Giver, check, require_instruments
from core.separation.separate import FAINT, SeparationModel
from core.vocoder.play import play

SILENT = -50.0  # dB under the mixture's RMS, from which a channel holds nothing


@dataclass(frozen=True, eq=False)
class Stem:
    """A channel on its way through the model.

    `channel` [S] as separated; its `latents` and what they are like, none if it is silent;
    `log_mel` [T, M] as the model made it, None where the channel is kept; and `wave` [S], at its
    level: the stem.
    """

    change: Change
    channel: Tensor
    latents: Latents | None
    likeness: list[Likeness]
    log_mel: Tensor | None
    wave: Tensor


@dataclass(frozen=True, eq=False)
class Remix:
    """A mixture and what became of its channels, by the names of both checkpoints."""

    mixture: Clip
    separator: str
    model: str
    stems: list[Stem]

    @property
    def wave(self) -> Tensor:
        """What is heard: the sum of the stems, [S]."""
        return torch.stack([stem.wave for stem in self.stems]).sum(0)

    @property
    def as_separated(self) -> float:
        """The share of the stems' energy that comes from channels kept as they were separated."""
        return share_kept([stem.wave for stem in self.stems], [s.change.keeps for s in self.stems])


def remix(
    mixture: Clip,
    separator: SeparationModel,
    model: Disentangler,
    changes: Mapping[int, Change],
    *,
    to_waveform: ToWaveform = play,
) -> Remix:
    """A mixture of any length separated, changed channel by channel, and mixed again.

    `changes` are by the channels' numbers, from 1; channels that are not named stay as they are.
    With none at all the remix is the mixture. `to_waveform` turns log-mels into sound. Raises
    RavelError for a channel or an instrument that there is not, or a change of a silent channel.
    """
    instruments = read_instruments(model.checkpoint)
    check(changes, separator.channels, instruments, model.name)
    channels = separator.separate(mixture)
    heard = [encode_channel(model, channel, channels.sum(0)) for channel in channels]
    stems = []
    for number, channel in enumerate(channels, 1):
        change, latents = changes.get(number, Change()), heard[number - 1]
        decoded = exchange(model, number, change, heard, instruments)
        played = channel if decoded is None else play_stem(decoded, channel, to_waveform)
        alike = instruments.likeness(latents.v.numpy()) if instruments and latents else []
        stems.append(Stem(change, channel, latents, alike, decoded, at_level(played, change.level)))
    return Remix(mixture, separator.name, model.name, stems)


def encode_channel(model: Disentangler, channel: Tensor, mixture: Tensor) -> Latents | None:
    """The latents of a channel [S], heard at full level, as the model's clips were.

    None where it holds nothing, or next to nothing, of the mixture [S].
    """
    if rms(channel) <= max(FAINT, float(rms(mixture)) * 10 ** (SILENT / 20)):
        return None
    return model.encode(Clip((channel / channel.abs().max()).numpy()))


def exchange(
    model: Disentangler,
    number: int,
    change: Change,
    heard: list[Latents | None],
    instruments: InstrumentTable | None,
) -> Tensor | None:
    """The log-mel [T, M] of channel `number` with what is exchanged; None where it is kept.

    `heard` are all channels' latents. A melody is as long as it is, at most as long as the
    channel. Raises RavelError where the channel, or one it takes from, is silent.
    """
    if change.keeps:
        return None
    own = _of_channel(number, heard)
    v = _instrument(model, change.instrument, heard, instruments)
    z = _melody(model, change.melody, heard)
    return model.decode(own.v if v is None else v, own.z if z is None else z[: len(own.z)])


def play_stem(decoded: Tensor, channel: Tensor, to_waveform: ToWaveform = play) -> Tensor:
    """A log-mel [T, M] as sound as long and as loud as the channel [S] that it stands for."""
    made = long.to_waveform(decoded, to_waveform)[: len(channel)]
    made = pad(made, (0, len(channel) - len(made)))
    wanted, given = (loudness(wave.numpy()) for wave in (channel, made))
    gain = 10 ** ((wanted - given) / 20) if np.isfinite([wanted, given]).all() else 1.0
    return made * gain


def at_level(wave: Tensor, decibels: float | None) -> Tensor:
    """A wave [S] so many dB up; None mutes it."""
    return wave * (0.0 if decibels is None else 10 ** (decibels / 20))


def share_kept(waves: list[Tensor], kept: list[bool]) -> float:
    """How much of the energy of stems is of those that are `kept`; 0 where all are silent."""
    energy = [float(wave.square().sum()) for wave in waves]
    of_kept = sum(one for one, keep in zip(energy, kept, strict=True) if keep)
    return of_kept / sum(energy) if any(energy) else 0.0


def _of_channel(number: int, heard: list[Latents | None]) -> Latents:
    latents = heard[number - 1]
    if latents is None:
        raise RavelError(
            f"Channel {number} is silent: it has no instrument and no melody, so keep it."
        )
    return latents


def _instrument(
    model: Disentangler,
    wanted: str | Giver | None,
    heard: list[Latents | None],
    instruments: InstrumentTable | None,
) -> Tensor | None:
    if isinstance(wanted, str):
        return torch.from_numpy(require_instruments(instruments, model.name).mean(wanted)).float()
    if isinstance(wanted, int):
        return _of_channel(wanted, heard).v
    return None if wanted is None else model.encode(wanted).v


def _melody(
    model: Disentangler, wanted: Giver | None, heard: list[Latents | None]
) -> Tensor | None:
    if isinstance(wanted, int):
        return _of_channel(wanted, heard).z
    return None if wanted is None else model.encode(wanted).z
