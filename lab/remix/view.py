"""The parts of the Remix page: channels and their changes, latents, stems, the mixer, the remix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from core.audio.clip import Clip
from core.remix.changes import Change, Giver
from core.service import mixtures
from core.service.mixtures import Setup
from lab.bundled import credit
from lab.remix import latents as latents_view
from lab.remix.latents import Place
from lab.widgets import channels, mixer, page, route, slot
from lab.widgets.cell import Cell
from lab.widgets.channels import Work

OWN, RECORDING = "Its own", "A recording"
MOST_LIKE = 3  # instruments listed for a channel
LIKENESS = (
    "The channel's global latent v compared with those of the model's instruments, as shares that "
    "sum to 1. A separated channel is seldom clean: treat it as a rough guide."
)
INSTRUMENT = (
    "The global latent v given to the channel: the mean of an instrument's clips, another "
    "channel's, or a recording's. With its own instrument and melody it stays as separated."
)
MELODY = (
    "The local latents z that the channel plays. Longer melodies are cut, shorter ones end in "
    "silence."
)
CHANNELS = (
    "The separator's channels, which add up to the mixture. Below each, choose the instrument that "
    "plays it, and its melody; until then it stays as separated."
)
LATENTS = (
    "Each channel as encoded by the second model: one vector for its instrument, on the left, and "
    "one every 16 ms for its melody, on the right."
)
STEMS = "The parts of the new mix: channels as separated, or resynthesised by the model."
AS_SEPARATED = (
    "The share of the remix's energy from channels as separated; the rest went through the model."
)
FILES = (
    "The mixture, its channels, the stems at their levels and the remix as mono WAV files of "
    "32-bit floats, with all settings in remix.json."
)


def show_channels(work: Work, setup: Setup) -> list[Change]:
    """Each channel's picture and player, and beneath it the choice of its change."""
    cells, places = [], []
    separated = setup.channels
    for first in range(0, len(separated.waves), channels.IN_A_ROW):
        for number, column in enumerate(st.columns(channels.IN_A_ROW), first):
            if number < len(separated.waves):
                with column:
                    inside = channels.contents(work.source, separated, number)
                    cells.append(_cell(number + 1, inside))
                    places.append(st.container(gap="xsmall"))
    for cell, wave in zip(cells, separated.waves, strict=True):
        channels.fill(cell, work, wave)
    changes = []
    for number, place in enumerate(places, 1):
        with place:
            changes.append(_choose_change(setup, number))
    return changes


def _cell(number: int, inside: str) -> Cell:
    return Cell(f"channel_{number}", f"Channel {number}", inside, group=channels.GROUP)


def _choose_change(setup: Setup, number: int) -> Change:
    """The choice of a channel's instrument and melody. Raises RavelError for a bad recording."""
    every = mixtures.channel_latents(setup)
    if every[number - 1] is None:
        st.caption(":material/volume_off: This channel is silent, so there is nothing to exchange.")
        return Change()
    if alike := _likeness(setup, number):
        st.caption(f"Sounds like {alike}", help=LIKENESS)
    names = {n.capitalize(): n for n in setup.instruments.names} if setup.instruments else {}
    others = {
        f"Channel {i}’s": i
        for i, latents in enumerate(every, 1)
        if i != number and latents is not None
    }
    left, right = st.columns(2)
    with left:
        instrument = _choose("Instrument", number, {**names, **others}, INSTRUMENT)
    with right:
        melody = _choose("Melody", number, others, MELODY)
    # Recordings below both lists, as wide as the channel.
    if instrument == RECORDING:
        instrument = _recording("instrument", number, "trumpet-1")
    if melody == RECORDING:
        melody = _recording("melody", number, "violin-1")
    assert not isinstance(melody, str)
    return Change(instrument, melody)


def _likeness(setup: Setup, number: int) -> str:
    """The instruments most like a channel, with their shares; '' where there are none."""
    alike = mixtures.likeness(setup, number)[:MOST_LIKE]
    listed = [one for place, one in enumerate(alike) if place == 0 or one.share >= 0.01]
    return ", ".join(f"{one.name} {one.share:.0%}" for one in listed)


def _choose(
    label: str, number: int, options: Mapping[str, str | int], help: str
) -> str | Giver | None:
    """One of the options, None for the channel's own, or RECORDING."""
    listed = [OWN, *options, RECORDING]
    chosen = st.selectbox(
        label,
        listed,
        key=f"{label.lower()}_{number}",
        bind="query-params",
        help=help,
    )
    return RECORDING if chosen == RECORDING else options.get(chosen)


def _recording(what: str, number: int, default: str) -> Clip | None:
    title = f"{what.capitalize()} of channel {number}"
    return slot.slot(f"{what}_{number}_clip", title, default=default)


def _describe(change: Change) -> str:
    """A channel's change, for its title."""
    if change.keeps:
        return "as separated"
    instrument, melody = _name(change.instrument), _name(change.melody)
    parts = [f"played by {instrument}"] if instrument else []
    return ", ".join([*parts, *([f"melody of {melody}"] if melody else [])])


def _strip_name(work: Work, setup: Setup, number: int, change: Change) -> str:
    """A stem's name in the mixer: its number and its instrument, if known."""
    name = _name(change.instrument)
    if not name:
        inside = channels.contents(work.source, setup.channels, number - 1)
        name = inside.replace(channels.NO_CLIP, "")
    return f"{number} {name}" if name else f"Stem {number}"


def _name(giver: str | Giver | None) -> str:
    if isinstance(giver, Clip):
        return page.plain(giver.labels.get("instrument") or giver.name)
    return f"channel {giver}" if isinstance(giver, int) else giver or ""


def show_latents(setup: Setup, changes: Sequence[Change], seconds: float) -> None:
    """The map of the channels' v and where they move, and the z that each plays."""
    sounding = {
        i: latents for i, latents in enumerate(mixtures.channel_latents(setup), 1) if latents
    }
    left, right = st.columns(2)
    with left:
        if setup.instruments:
            places = [
                Place(i, latents.v.numpy(), mixtures.given_v(setup, changes[i - 1]))
                for i, latents in sounding.items()
            ]
            latents_view.draw_map(setup.instruments, places)
        else:
            st.caption(
                f"{page.plain(setup.model.name)} has no instrument data, so there is no map: run "
                "`python -m core instruments`."
            )
    with right:
        for i in sounding:
            change = changes[i - 1]
            detail = f"of {_name(change.melody)}" if change.melody else "its own"
            z = mixtures.melody(setup, change, i)
            if z is not None:
                latents_view.draw_melody(i, detail, z, seconds)


def show_stems(work: Work, setup: Setup, changes: Sequence[Change]) -> list[np.ndarray]:
    """Each channel after its change, shown and played; returns their samples [S] at 0 dB."""
    titles = [(f"Stem {i}", _describe(change)) for i, change in enumerate(changes, 1)]
    waves = []
    for number, cell in enumerate(channels.reserve("stem", titles), 1):
        change, stem = changes[number - 1], None
        with page.show_errors(cell.below), cell.below, st.spinner("Resynthesising"):
            stem = mixtures.stem(setup, number, change, route.current())
        if stem is None:  # after an error the channel stays as it was
            stem = mixtures.stem(setup, number, Change())
        channels.fill(cell, work, stem.wave)
        waves.append(stem.wave)
    return waves


@st.fragment
def show_remix(
    work: Work, setup: Setup, changes: Sequence[Change], waves: Sequence[np.ndarray]
) -> None:
    """The mixer and its remix; a moved control reruns only this part of the page."""
    desk, result = st.columns(2)
    with desk:
        names = [_strip_name(work, setup, i, change) for i, change in enumerate(changes, 1)]
        strips = channels.show_mixer(work, waves, names)
    with result:
        levels = mixer.decibels(strips)
        stems = mixtures.at_levels(waves, levels)
        wave = np.sum(stems, axis=0)
        cell = Cell("remix", "Remix", group=channels.GROUP)
        if not wave.any():
            cell.leave_empty("All stems are muted.")
            return
        share = mixtures.share_kept(stems, changes)
        cell.facts.caption(f"{share:.0%} as separated", help=AS_SEPARATED)
        channels.show_wave(cell, work, wave, "Clips when played: turn it down")
        cell.play(work.mixture.wav(wave))
        pairs = zip(changes, levels, strict=True)
        at_levels = [Change(one.instrument, one.melody, level) for one, level in pairs]
        name = f"{work.source.name}-remix"
        with st.container(horizontal=True):
            page.download(
                "Remix",
                mixtures.float_wav(wave),
                f"{name}.wav",
                key="remix_download",
                mime="audio/wav",
            )
            page.download(
                "Stems",
                lambda: mixtures.remix_zip(setup, at_levels, stems, _readme(work)),
                f"{name}.zip",
                key="stems_download",
                mime="application/zip",
                help=FILES,
            )


def _readme(work: Work) -> str:
    """A README for the stems: how the files add up, and the credits of the clips."""
    lines = ["channel-N.wav add up to mixture.wav, stem-N.wav to remix.wav; see remix.json."]
    if work.source.levels:
        lines += ["", "Clips in the mixture:", *(credit(clip.name) for clip in work.source.clips)]
    return "\n".join(lines) + "\n"
