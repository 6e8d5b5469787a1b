"""What the Remix page draws of a mixture on its way: changes, stems, the mixer, the remix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.audio.clip import Clip
from core.errors import RavelError
from core.remix.changes import Change
from lab.remix import data as remixing
from lab.remix import latents as remix_latents
from lab.remix.data import Way
from lab.remix.latents import Place
from lab.separate import data as separation
from lab.separate.data import Channels
from lab.swap import data as live
from lab.widgets import channels, mixer, slot
from lab.widgets.cell import Cell
from lab.widgets.channels import Work
from lab.widgets.page import plain

OWN, RECORDING = "Its own", "A recording"
FIRST = "Bassoon"  # who plays the first channel, until something else is chosen
FEW = 3  # instruments that a channel is said to be like
LIKE = (
    "Where the channel's global latent v lies among those of the instruments that the model knows, "
    "as shares that sum to 1. A separated channel is seldom clean, so take it for a hint."
)
WHO = (
    "Whose global latent v the channel gets: the mean of an instrument's clips, another channel's, "
    "or a recording's. With its own instrument and melody it stays as it was separated."
)
WHAT = (
    "Whose local latents z the channel plays. A melody that is longer is cut, a shorter one ends."
)
CHANNELS = (
    "What the separator makes of the mixture: channels that add up to it. Choose below each whose "
    "instrument plays it, and which melody."
)
LATENTS = (
    "What the second model makes of each channel: one list of numbers for its instrument, on the "
    "left, and one every 16 ms for its melody, on the right."
)
STEMS = "What is mixed again: the channels as they were separated, or played anew by the model."
AS_SEPARATED = (
    "How much of the energy of what is heard comes from channels as they were separated; the rest "
    "went through the model."
)


def name_of(number: int) -> str:
    """What another channel is called in a list."""
    return f"Channel {number}’s"


def sounds_like(way: Way, number: int) -> str:
    """What a channel sounds like, in words; '' where nobody can say."""
    alike = remixing.likeness(way, number)[:FEW]
    told = [f"{alike[0].name} {alike[0].share:.0%}"] if alike else []
    told += [f"{one.name} {one.share:.0%}" for one in alike[1:] if one.share >= 0.01]
    return ", ".join(told)


def show_channels(work: Work, way: Way, made: Channels) -> list[Change]:
    """Each channel with its picture and player, and beneath it what becomes of it."""
    count, cells, places = len(made.waves), [], []
    for first in range(0, count, channels.IN_A_ROW):
        row = st.columns(channels.IN_A_ROW)[: count - first]
        for number, column in enumerate(row, first):
            with column:
                title = f"Channel {number + 1}"
                cells.append(
                    Cell(f"channel_{number + 1}", title, channels.holds(work.taken, made, number))
                )
                places.append(st.container(gap="xsmall"))
    for cell, wave in zip(cells, made.waves, strict=True):
        channels.fill(cell, work, wave)
    changes = []
    for number, place in enumerate(places, 1):
        with place:
            changes.append(ask(way, number))
    return changes


def ask(way: Way, number: int) -> Change:
    """The choice of a channel's instrument and melody. Raises RavelError for a bad recording."""
    if remixing.heard(way)[number - 1] is None:
        st.caption(
            ":material/volume_off: Silent: the separator put nothing in here, so there is nothing "
            "to recognise or to exchange."
        )
        return Change()
    alike = sounds_like(way, number)
    if alike:
        st.caption(f"Sounds like {alike}", help=LIKE)
    known = remixing.known(way.model)
    names = {name.capitalize(): name for name in known.names} if known else {}
    others = {
        name_of(i): i
        for i, latents in enumerate(remixing.heard(way), 1)
        if i != number and latents is not None
    }
    left, right = st.columns(2)
    with left:
        options, first = [OWN, *names, *others, RECORDING], FIRST if number == 1 else OWN
        who = _choice("Instrument", f"instrument_{number}", options, WHO, first)
    with right:
        what = _choice("Melody", f"melody_{number}", [OWN, *others, RECORDING], WHAT)
    instrument, melody = {**names, **others}.get(who), others.get(what)
    if who == RECORDING:
        instrument = _recording("instrument", number, "trumpet-1")
    if what == RECORDING:
        melody = _recording("melody", number, "violin-1")
    return Change(instrument, melody)


def _choice(label: str, key: str, options: list[str], says: str, first: str = OWN) -> str:
    index = options.index(first) if first in options else 0
    return st.selectbox(label, options, index, key=key, bind="query-params", help=says)


def _recording(what: str, number: int, default: str) -> Clip | None:
    title = f"{what.capitalize()} of channel {number}"
    return slot.slot(f"{what}_{number}_clip", title, default=default)


def told(change: Change) -> str:
    """What becomes of a channel, beside its title."""
    if change.keeps:
        return "as separated"
    instrument, melody = (_giver(giver) for giver in (change.instrument, change.melody))
    told = [f"played by {instrument}"] if instrument else []
    return ", ".join([*told, *([f"melody of {melody}"] if melody else [])])


def in_short(work: Work, way: Way, number: int, change: Change) -> str:
    """What a stem is called in the mixer: by who plays it, if that is known."""
    who = _giver(change.instrument)
    if not who:
        who = channels.holds(work.taken, remixing.channels(way), number - 1)
    return f"{number} {who.replace(channels.NO_CLIP, '')}" if who else f"Stem {number}"


def _giver(giver: str | Clip | int | None) -> str:
    if isinstance(giver, Clip):
        return plain(giver.labels.get("instrument") or giver.name)
    return f"channel {giver}" if isinstance(giver, int) else giver or ""


def show_latents(way: Way, changes: Sequence[Change], seconds: float) -> None:
    """Where each channel's v lies and goes to, and the z that it plays."""
    heard, known = remixing.heard(way), remixing.known(way.model)
    sounding = [i for i, latents in enumerate(heard, 1) if latents is not None]
    left, right = st.columns(2)
    with left:
        if known:
            given = {i: remixing.goes_to(way, changes[i - 1]) for i in sounding}
            places = [Place(i, heard[i - 1].v.numpy(), given[i]) for i in sounding]
            remix_latents.draw_map(known, places)
        else:
            st.caption(
                f"{plain(way.model.name)} was never told of any instrument, so there is no map: "
                "run `python -m core instruments`."
            )
    with right:
        for i in sounding:
            melody = changes[i - 1].melody
            detail = f"of {_giver(melody)}" if melody else "its own"
            remix_latents.draw_melody(i, detail, remixing.melody(way, changes[i - 1], i), seconds)


def stems(work: Work, way: Way, changes: Sequence[Change]) -> list[np.ndarray]:
    """Each channel after its change, shown and played; returns their samples [S] at 0 dB."""
    titles = [(f"Stem {i}", told(change)) for i, change in enumerate(changes, 1)]
    waves = []
    for i, cell in enumerate(channels.reserve(len(changes), "stem", titles), 1):
        try:
            with cell.picture, st.spinner("Playing" if not changes[i - 1].keeps else ""):
                made = remixing.stem(way, i, changes[i - 1])
        except RavelError as error:
            cell.picture.error(str(error), icon=":material/error:")
            made = remixing.stem(way, i, Change())
        channels.fill(cell, work, made.wave)
        waves.append(made.wave)
    return waves


@st.fragment
def show_remix(
    work: Work, way: Way, changes: Sequence[Change], waves: Sequence[np.ndarray]
) -> None:
    """The mixer, and what comes out of it; moving a control runs this alone."""
    count = len(waves)
    strips = mixer.parse(st.query_params.get("levels", ""), count)
    desk, result = st.columns(2)
    with desk:
        st.subheader("Mixer", anchor=False)
        mixer.show(
            [separation.played(wave, work.mixture.gain) for wave in waves],
            [in_short(work, way, i, change) for i, change in enumerate(changes, 1)],
            strips,
            key="mixer",
            token=channels.token(work.taken, count),
            on_change=channels.moved,
        )
    with result:
        levels = mixer.decibels(strips)
        heard = remixing.mixed(waves, levels)
        wave = np.sum(heard, axis=0)
        cell = Cell("remix", "Remix")
        if not wave.any():
            cell.leave_empty("Nothing is to be heard: every stem is muted.")
            return
        cell.facts.caption(
            f"{remixing.share_kept(heard, changes):.0%} as separated", help=AS_SEPARATED
        )
        cell.log_mel = live.log_mel(Clip(wave))
        cell.draw(work.scale)
        if separation.is_too_loud(wave, work.mixture.gain):
            cell.state(":orange[Cut off when played: turn it down]")
        cell.play(separation.played(wave, work.mixture.gain))
        _offer(work, way, [_at(c, level) for c, level in zip(changes, levels, strict=True)], heard)


def _at(change: Change, level: float | None) -> Change:
    return Change(change.instrument, change.melody, level)


def _offer(work: Work, way: Way, changes: Sequence[Change], waves: Sequence[np.ndarray]) -> None:
    stem = f"{work.taken.name}-remix"
    with st.container(horizontal=True):
        channels.offer("Remix", separation.wav(np.sum(waves, axis=0)), f"{stem}.wav", "audio/wav")
        channels.offer(
            "Stems",
            lambda: remixing.to_zip(way, work.mixture, changes, waves, about(work)),
            f"{stem}.zip",
            "application/zip",
            "The mixture, its channels, the stems at their levels and the remix as mono WAV files "
            "of 32-bit floats, and what was done as remix.json.",
        )


def about(work: Work) -> str:
    """What goes with the stems, beside remix.json: whom the clips are owed to."""
    from lab.bundled import credit

    lines = ["channel-N.wav add up to mixture.wav, stem-N.wav to remix.wav; remix.json says how."]
    if work.taken.levels:
        lines += ["", "The clips in the mixture:", *(credit(c.name) for c in work.taken.clips)]
    return "\n".join(lines) + "\n"
