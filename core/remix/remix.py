"""Remix: separate a mixture, exchange instruments and melodies of its channels, mix them again.

A separator splits the mixture into channels; a disentangling model encodes each channel as its
instrument (v) and its melody (z) and decodes new combinations; the resulting stems are mixed at
chosen levels.

separator, model = separate.load("separator-duets"), latents.load("ts-dsae-players")
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

SILENT = -50.0  # dB relative to the mixture's RMS; a channel below counts as silent


@dataclass(frozen=True, eq=False)
class Stem:
    """A channel and the stem made from it.

    `channel` [S] as separated; its `latents` and their `likeness` to known instruments, None and
    empty if it is silent; `log_mel` [T, M] as decoded, None if the channel is kept; and `wave` [S],
    the stem at its level.
    """

    change: Change
    channel: Tensor
    latents: Latents | None
    likeness: list[Likeness]
    log_mel: Tensor | None
    wave: Tensor


@dataclass(frozen=True, eq=False)
class Remix:
    """A mixture, its stems, and the names of both checkpoints."""

    mixture: Clip
    separator: str
    model: str
    stems: list[Stem]

    @property
    def wave(self) -> Tensor:
        """The remix: the sum of the stems, [S]."""
        return torch.stack([stem.wave for stem in self.stems]).sum(0)

    @property
    def as_separated(self) -> float:
        """The share of the stems' energy that comes from channels kept as separated."""
        return share_kept([stem.wave for stem in self.stems], [s.change.keeps for s in self.stems])


def remix(
    mixture: Clip,
    separator: SeparationModel,
    model: Disentangler,
    changes: Mapping[int, Change],
    *,
    to_waveform: ToWaveform = play,
) -> Remix:
    """Separate a mixture of any length, change its channels, and mix them again.

    `changes` are by channel number, from 1; other channels stay as they are. Without changes the
    remix is the mixture. `to_waveform` turns log-mels into sound. Raises RavelError for a missing
    channel or instrument, or a change of a silent channel.
    """
    instruments = read_instruments(model.checkpoint)
    check(changes, separator.channels, instruments, model.name)
    channels = separator.separate(mixture)
    encoded = [encode_channel(model, channel, channels.sum(0)) for channel in channels]
    stems = []
    for number, channel in enumerate(channels, 1):
        change, latents = changes.get(number, Change()), encoded[number - 1]
        decoded = exchange(model, number, change, encoded, instruments)
        played = channel if decoded is None else play_stem(decoded, channel, to_waveform)
        alike = instruments.likeness(latents.v.numpy()) if instruments and latents else []
        stems.append(Stem(change, channel, latents, alike, decoded, at_level(played, change.level)))
    return Remix(mixture, separator.name, model.name, stems)


def encode_channel(model: Disentangler, channel: Tensor, mixture: Tensor) -> Latents | None:
    """The latents of a channel [S], brought to full level like the model's training clips.

    None if it holds almost nothing of the mixture [S].
    """
    if rms(channel) <= max(FAINT, float(rms(mixture)) * 10 ** (SILENT / 20)):
        return None
    return model.encode(Clip((channel / channel.abs().max()).numpy()))


def exchange(
    model: Disentangler,
    number: int,
    change: Change,
    encoded: list[Latents | None],
    instruments: InstrumentTable | None,
) -> Tensor | None:
    """The log-mel [T, M] of channel `number` after its change; None if it is kept.

    `encoded` holds the latents of all channels. A melody longer than the channel is cut. Raises
    RavelError if the channel, or one it takes from, is silent.
    """
    if change.keeps:
        return None
    own = _of_channel(number, encoded)
    v = _instrument(model, change.instrument, encoded, instruments)
    z = _melody(model, change.melody, encoded)
    return model.decode(own.v if v is None else v, own.z if z is None else z[: len(own.z)])


def play_stem(decoded: Tensor, channel: Tensor, to_waveform: ToWaveform = play) -> Tensor:
    """A log-mel [T, M] as sound, as long and as loud as the channel [S] that it replaces."""
    made = long.to_waveform(decoded, to_waveform)[: len(channel)]
    made = pad(made, (0, len(channel) - len(made)))
    wanted, given = (loudness(wave.numpy()) for wave in (channel, made))
    gain = 10 ** ((wanted - given) / 20) if np.isfinite([wanted, given]).all() else 1.0
    return made * gain


def at_level(wave: Tensor, decibels: float | None) -> Tensor:
    """A wave [S] amplified by a gain in dB; None mutes it."""
    return wave * (0.0 if decibels is None else 10 ** (decibels / 20))


def share_kept(waves: list[Tensor], kept: list[bool]) -> float:
    """The share of the stems' energy that is in those `kept`; 0 if all are silent."""
    energy = [float(wave.square().sum()) for wave in waves]
    energy_kept = sum(one for one, keep in zip(energy, kept, strict=True) if keep)
    return energy_kept / sum(energy) if any(energy) else 0.0


def _of_channel(number: int, encoded: list[Latents | None]) -> Latents:
    latents = encoded[number - 1]
    if latents is None:
        raise RavelError(
            f"Channel {number} is silent: it has no instrument and no melody, so keep it."
        )
    return latents


def _instrument(
    model: Disentangler,
    wanted: str | Giver | None,
    encoded: list[Latents | None],
    instruments: InstrumentTable | None,
) -> Tensor | None:
    if isinstance(wanted, str):
        return torch.from_numpy(require_instruments(instruments, model.name).mean(wanted)).float()
    if isinstance(wanted, int):
        return _of_channel(wanted, encoded).v
    return None if wanted is None else model.encode(wanted).v


def _melody(
    model: Disentangler, wanted: Giver | None, encoded: list[Latents | None]
) -> Tensor | None:
    if isinstance(wanted, int):
        return _of_channel(wanted, encoded).z
    return None if wanted is None else model.encode(wanted).z
