"""Mixtures, what a separator makes of them, and remixes of that; kept as in `core.service`."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile

from core.audio import clip as audio
from core.audio.clip import SAMPLE_RATE, Clip
from core.checkpoints.checkpoint import Checkpoint
from core.dsae.instruments import InstrumentTable, Likeness, read_instruments
from core.remix.changes import Change
from core.service import HEADROOM, disentangler, keep, latents, separator, with_torch
from core.vocoder.play import check_route, play, route_digest

if TYPE_CHECKING:
    from core.dsae.latents import Latents
    from core.separation.separate import Match

LAST = "last"  # of the snapshots: the final weights
CHANNEL_BYTES = 512 * 2**20


class MixtureSource(NamedTuple):
    """What a mixture is made of: clips at `levels` in dB, or without any one recorded mixture."""

    name: str
    clips: tuple[Clip, ...]
    levels: tuple[float, ...] = ()

    @property
    def key(self) -> tuple[str | float, ...]:
        """Digests of the clips, and the levels: for caches."""
        return (*(clip.digest for clip in self.clips), *self.levels)

    @property
    def sources(self) -> list[str]:
        """The sound in each clip, such as dog; empty for a recorded mixture."""
        return [clip.labels["source"] for clip in self.clips] if self.levels else []


class Mixture(NamedTuple):
    """A mixture at its own level, and if it was mixed here its clips, [N, S], which sum to it."""

    clip: Clip
    references: np.ndarray | None

    @property
    def gain(self) -> float:
        """The gain of everything played, which brings the mixture's peak to HEADROOM."""
        return HEADROOM / float(np.abs(self.clip.wave).max())

    def wav(self, wave: np.ndarray) -> bytes:
        """Samples [S] as a WAV file for a player, at the mixture's gain."""
        return audio.wav_bytes(self.gain * wave)

    def is_too_loud(self, wave: np.ndarray) -> bool:
        """Whether samples [S] clip when played at the mixture's gain."""
        return bool(np.abs(wave).max() * self.gain > 1)


class Channels(NamedTuple):
    """What a separator made: `waves` [M, S] at their true levels, which sum to the mixture.

    `matches` are the clips in each channel, where they are known; the order is then that of the
    clips, else that of the last training step.
    """

    waves: np.ndarray
    matches: list[Match] | None

    @property
    def improvement(self) -> float | None:
        """The mean SI-SNR improvement in dB of the channels that hold a clip; None if unknown."""
        matches = self.matches or []
        gains = [match.improvement for match in matches if match.improvement is not None]
        return sum(gains) / len(gains) if gains else None

    @property
    def active(self) -> list[bool]:
        """Whether each channel holds sound: is less than 20 dB below the mixture."""
        import torch

        from core.separation.evaluate import active_channels

        return active_channels(torch.tensor(self.waves)).tolist()


def mixture(source: MixtureSource) -> Mixture:
    """The mixture of a source. Raises RavelError."""
    return _mixture(source) if source.levels else Mixture(source.clips[0], None)


@keep(16)
def _mixture(source: MixtureSource) -> Mixture:
    with_torch()
    from core.data.mixtures import of_clips

    references = of_clips(source.clips, source.levels)
    return Mixture(Clip(references.sum(dim=0).numpy(), source.name), references.numpy())


def snapshots(checkpoint: Checkpoint) -> dict[str, Checkpoint]:
    """The training steps that a checkpoint keeps, by step; LAST has the final weights."""
    early = {str(step): Checkpoint(checkpoint.path, step) for step in checkpoint.snapshots}
    return early | {LAST: Checkpoint(checkpoint.path)}


@keep(24, CHANNEL_BYTES)
def separate(checkpoint: Checkpoint, source: MixtureSource) -> Channels:
    """A mixture's channels, in a hundredth of its length. Raises RavelError."""
    model, mixed = separator(checkpoint), mixture(source)
    import torch

    from core.separation.separate import match, order_of

    waves = model.separate(mixed.clip)
    if mixed.references is None:
        if checkpoint.snapshot is not None:  # one order for all training steps
            last = separate(Checkpoint(checkpoint.path), source).waves
            waves = waves[order_of(waves, torch.tensor(last))]
        return Channels(waves.numpy(), None)
    matches = match(waves, torch.tensor(mixed.references))
    # A separator has no order of channels: the first clip's comes first, empty ones last.
    order = sorted(range(len(waves)), key=lambda i: matches[i].references or (len(waves),))
    return Channels(waves[order].numpy(), [matches[i] for i in order])


def mix(channels: Channels, decibels: Sequence[float | None]) -> np.ndarray:
    """The channels at new levels, summed to [S]; None mutes one."""
    import torch

    from core.separation.separate import remix

    return remix(torch.tensor(channels.waves), decibels).numpy()


def float_wav(wave: np.ndarray) -> bytes:
    """Samples [S] as a WAV file of 32-bit floats, which holds any level."""
    file = io.BytesIO()
    soundfile.write(file, wave, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


# -- remixes -----------------------------------------------------------------------------------


class Setup(NamedTuple):
    """A mixture and the two checkpoints that it goes through: all that its remix starts from."""

    source: MixtureSource
    separator: Checkpoint
    model: Checkpoint

    @property
    def key(self) -> tuple[str | float, ...]:
        """Digests of all three, for caches."""
        return self.separator.digest, self.model.digest, *self.source.key

    @property
    def channels(self) -> Channels:
        """The mixture's channels. Raises RavelError."""
        return separate(self.separator, self.source)

    @property
    def instruments(self) -> InstrumentTable | None:
        """The model's instruments; None without any. Raises RavelError for a damaged file."""
        return read_instruments(self.model)


class Stem(NamedTuple):
    """A channel after its change, at 0 dB: samples [S], and the model's log-mel [T, 80], None
    where the channel is kept as separated."""

    wave: np.ndarray
    log_mel: np.ndarray | None


@keep(24)
def channel_latents(setup: Setup) -> list[Latents | None]:
    """Each channel's latents, None for a silent one. Raises RavelError."""
    model, channels = disentangler(setup.model), setup.channels
    import torch

    from core.remix.remix import encode_channel

    waves = torch.tensor(channels.waves)
    return [encode_channel(model, wave, waves.sum(0)) for wave in waves]


def likeness(setup: Setup, number: int) -> list[Likeness]:
    """The model's instruments by their likeness to channel `number`, from 1; empty if it is silent
    or the model has no instruments."""
    channel, known = channel_latents(setup)[number - 1], setup.instruments
    return known.likeness(channel.v.numpy()) if known and channel else []


def given_v(setup: Setup, change: Change) -> np.ndarray | None:
    """The v [V] that a change gives; None where the channel keeps its own. Raises RavelError."""
    wanted = change.instrument
    if wanted is None:
        return None
    if isinstance(wanted, str):
        assert setup.instruments is not None  # names come from them
        return setup.instruments.mean(wanted)
    if isinstance(wanted, Clip):
        return latents(setup.model, wanted).v.numpy()
    giver = channel_latents(setup)[wanted - 1]
    return None if giver is None else giver.v.numpy()


def melody(setup: Setup, change: Change, number: int) -> np.ndarray | None:
    """The z [T, Z] that channel `number` plays after a change; None without any. RavelError."""
    if isinstance(change.melody, Clip):
        return latents(setup.model, change.melody).z.numpy()
    giver = channel_latents(setup)[(change.melody or number) - 1]
    return None if giver is None else giver.z.numpy()


def stem(setup: Setup, number: int, change: Change, route: str | None = None) -> Stem:
    """Channel `number` after its change, at 0 dB. Raises RavelError."""
    if change.keeps:
        return Stem(setup.channels.waves[number - 1], None)
    key = _digest(setup, change)
    return _stem(setup, number, _Keyed(change, key), check_route(route), route_digest(route))


class _Keyed(NamedTuple):
    """A change with the digest of what it gives."""

    change: Change
    digest: str


@keep(48, CHANNEL_BYTES)
def _stem(setup: Setup, number: int, keyed: _Keyed, route: str, digest: str) -> Stem:
    model = disentangler(setup.model)
    import torch

    from core.remix.remix import exchange, play_stem

    channel = torch.tensor(setup.channels.waves[number - 1])
    latents = channel_latents(setup)
    decoded = exchange(model, number, keyed.change, latents, setup.instruments)
    assert decoded is not None  # only of a change that keeps the channel
    sound = play_stem(decoded, channel, partial(play, route=route))
    return Stem(sound.numpy(), decoded.numpy())


def _digest(setup: Setup, change: Change) -> str:
    """A digest of what a change gives: an instrument's mean, not its name, as it may be moved."""
    parts = []
    for wanted in (change.instrument, change.melody):
        if isinstance(wanted, str):
            given = given_v(setup, change)
            assert given is not None
            parts.append(given.tobytes())
        else:
            parts.append(repr(wanted.digest if isinstance(wanted, Clip) else wanted).encode())
    return hashlib.blake2b(b"|".join(parts), digest_size=16).hexdigest()


def at_levels(stems: Sequence[np.ndarray], decibels: Sequence[float | None]) -> list[np.ndarray]:
    """Stems [S] at their levels, None mutes one. Their sum is the remix."""
    import torch

    from core.remix.remix import at_level

    pairs = zip(stems, decibels, strict=True)
    return [at_level(torch.tensor(wave), level).numpy() for wave, level in pairs]


def share_kept(waves: Sequence[np.ndarray], changes: Sequence[Change]) -> float:
    """The share of the energy of stems at their levels that is of channels kept as separated."""
    import torch

    from core.remix.remix import share_kept

    return share_kept([torch.tensor(wave) for wave in waves], [one.keeps for one in changes])


def remix_zip(
    setup: Setup, changes: Sequence[Change], stems: Sequence[np.ndarray], notes: str
) -> bytes:
    """Mixture, channels, stems at their levels and remix in one file, with a record of it all."""
    import torch

    from core.remix import files, remix

    parts = zip(changes, setup.channels.waves, channel_latents(setup), stems, strict=True)
    found = [
        remix.Stem(
            change,
            torch.tensor(channel),
            latents,
            likeness(setup, number),
            None,
            torch.tensor(wave),
        )
        for number, (change, channel, latents, wave) in enumerate(parts, 1)
    ]
    mixed = mixture(setup.source).clip
    return files.to_zip(remix.Remix(mixed, setup.separator.name, setup.model.name, found), notes)
