"""What pages draw of a separated mixture: channels, the remix, training steps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import streamlit as st

from core.audio.clip import Clip
from core.checkpoints.checkpoint import Checkpoint
from lab.explore.pictures import in_words
from lab.separate import data as separation
from lab.separate.data import Channels, Mixture
from lab.swap import data as live
from lab.widgets import mixer, mixture_slot, player, spectrogram
from lab.widgets.cell import Cell
from lab.widgets.mixture_slot import Taken
from lab.widgets.page import plain

IN_A_ROW = 2
NO_CLIP = "no clip of its own"
SI_SNRI = (
    "**SI-SNR improvement**: by how many dB the channel is closer to the clip than the mixture "
    "was, whatever its level (scale-invariant signal-to-noise ratio). At 0 dB nothing is gained; "
    "above 10 dB little is left of the other sounds."
)


class Work(NamedTuple):
    """A mixture, as it was taken from the slot and as sound, and what separates it."""

    taken: Taken
    mixture: Mixture
    checkpoint: Checkpoint
    scale: spectrogram.Scale

    @property
    def stem(self) -> str:
        """What names of files begin with."""
        return f"{self.taken.name}-{self.checkpoint.name}"


def figure(value: float) -> str:
    """An SI-SNR improvement in words, with a sign."""
    text = f"{value:+.1f}".replace("-", "−")
    return f"SI-SNRi {'0.0' if text in ('−0.0', '+0.0') else text} dB"


def called(taken: Taken) -> str:
    """What a mixture is called: by its clips where they are known, else by its file."""
    name = taken.name if len(taken.name) <= 32 else f"{taken.name[:31]}…"
    return " + ".join(taken.sources) or plain(name)


def holds(taken: Taken, channels: Channels, number: int) -> str:
    """Which of the clips a channel holds; '' where that is not known."""
    if channels.matches is None:
        return ""
    inside = channels.matches[number].references
    return " + ".join(taken.sources[i] for i in inside) or NO_CLIP


def reserve(count: int, key: str, titles: Sequence[tuple[str, str]]) -> list[Cell]:
    """Cells in rows, each with its title and detail, in place before anything is computed."""
    cells = []
    for first in range(0, count, IN_A_ROW):
        for number, column in enumerate(st.columns(IN_A_ROW)[: count - first], first):
            with column:
                cells.append(Cell(f"{key}_{number + 1}", *titles[number]))
    return cells


def fill(cell: Cell, work: Work, wave: np.ndarray, file_name: str | None = None) -> None:
    """Show and play samples [S] in a cell, at their true level."""
    cell.log_mel = live.log_mel(Clip(wave))
    cell.draw(work.scale)
    if separation.is_too_loud(wave, work.mixture.gain):
        cell.state(":orange[Cut off when played]")
    cell.play(separation.played(wave, work.mixture.gain), file_name)


def show(work: Work, channels: Channels, key: str) -> None:
    """Each channel's picture and player, with what it holds."""
    count = len(channels.waves)
    titles = [(f"Channel {i + 1}", holds(work.taken, channels, i)) for i in range(count)]
    for number, cell in enumerate(reserve(count, key, titles)):
        wave = channels.waves[number]
        if channels.matches and channels.matches[number].references and wave.any():
            cell.state(figure(channels.matches[number].improvement))
        fill(cell, work, wave)


def show_clips(work: Work) -> None:
    """What was mixed, as it is in the mixture."""
    references = work.mixture.references
    titles = [(f"Clip {i}", name) for i, name in enumerate(work.taken.sources, 1)]
    for cell, wave in zip(reserve(len(references), "clip", titles), references, strict=True):
        fill(cell, work, wave)


def show_steps(work: Work) -> None:
    """What each training step makes of the mixture, beneath one another."""
    for step, checkpoint in separation.snapshots(work.checkpoint).items():
        with in_words():
            channels = separation.separate(checkpoint, work.taken)
            gained = channels.improvement
            mean = "" if gained is None else f" :gray[mean {figure(gained)}]"
            st.markdown(f"**Step {step}**{mean}" if step.isdigit() else f"**Last step**{mean}")
            show(work._replace(checkpoint=checkpoint), channels, f"step_{step}")


@st.fragment
def show_remix(work: Work, channels: Channels) -> None:
    """The mixer, and what comes out of it; moving a control runs this alone."""
    count = len(channels.waves)
    held = [holds(work.taken, channels, i).replace(NO_CLIP, "") for i in range(count)]
    names = [f"{i} {name}" if name else f"Channel {i}" for i, name in enumerate(held, 1)]
    strips = mixer.parse(st.query_params.get("levels", ""), count)
    desk, result = st.columns(2)
    with desk:
        st.subheader("Mixer", anchor=False)
        mixer.show(
            [separation.played(wave, work.mixture.gain) for wave in channels.waves],
            names,
            strips,
            key="mixer",
            token=token(work.taken, count),
            on_change=moved,
        )
    with result:
        cell = Cell("remix", "Remix", _says(strips))
        wave = separation.remix(channels, mixer.decibels(strips))
        if not wave.any():
            cell.leave_empty("Nothing is to be heard: every channel is muted.")
            return
        cell.log_mel = live.log_mel(Clip(wave))
        cell.draw(work.scale)
        if separation.is_too_loud(wave, work.mixture.gain):
            cell.state(":orange[Cut off when played: turn it down]")
        cell.state(player.level(separation.played(wave, work.mixture.gain)))
        with cell.sound:
            offer("Remix", separation.wav(wave), f"{work.stem}-remix.wav", "audio/wav")


def _says(strips: list[mixer.Strip]) -> str:
    return "as the mixture" if set(mixer.decibels(strips)) == {0.0} else ""


def moved() -> None:
    """Keep the levels of the mixer in the address."""
    levels = mixer.moved("mixer")
    if levels:
        st.query_params["levels"] = levels
    else:
        st.query_params.pop("levels", None)


def start_afresh(taken: Taken) -> None:
    """Levels that were set for another mixture are not this one's."""
    now = token(taken, 0)
    if st.session_state.get("remixed", now) != now:
        st.query_params.pop("levels", None)
    st.session_state.remixed = now


def token(taken: Taken, count: int) -> str:
    """What the levels of so many channels are for."""
    digests = [clip.digest for clip in taken.clips]
    return hashlib.blake2b(repr([digests, count]).encode(), digest_size=8).hexdigest()


def offer_stems(work: Work, channels: Channels) -> None:
    """A button for all channels in one file."""
    offer(
        "Stems",
        lambda: separation.stems(work.mixture, channels, about(work, channels)),
        f"{work.stem}-stems.zip",
        "application/zip",
        "The mixture and each channel as mono WAV files of 32-bit floats, at the mixture's own "
        "level: the channels add up to the mixture.",
    )


def offer(
    label: str, data: bytes | Callable[[], bytes], name: str, mime: str, says: str | None = None
) -> None:
    """A download button; a file that is given as a function is made when it is clicked."""
    st.download_button(
        label,
        data,
        name,
        mime,
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        key=f"{label.lower()}_download",
        help=says,
        width="content",
    )


def about(work: Work, channels: Channels) -> str:
    """What goes with the stems: how they were made, what they hold, whom the clips are owed to."""
    lines = [f"{work.taken.name}, separated by Ravel with the checkpoint {work.checkpoint.name}."]
    lines += ["", "mixture.wav is the sum of the channels, which are at their true levels:"]
    for number in range(len(channels.waves)):
        held = holds(work.taken, channels, number)
        match = channels.matches[number] if channels.matches else None
        gained = f", {figure(match.improvement)}" if match and match.references else ""
        lines.append(f"channel-{number + 1}.wav{': ' if held else ''}{held}{gained}")
    lines += ["", "Mono, 16 kHz, 32-bit float."]
    if work.taken.levels:
        lines += ["", "The clips in it:", *(mixture_slot.credit(c.name) for c in work.taken.clips)]
    return "\n".join(lines) + "\n"


def advise(checkpoint: Checkpoint, taken: Taken) -> None:
    """Say that a separator learned from another kind of sound, and offer what suits it."""
    scenes = {"scenes": True, "duets": False}.get(live.corpus(checkpoint))
    given = {mixture_slot.is_scene(clip.name) for clip in taken.clips if taken.levels}
    if scenes is None or not given or scenes in given:
        return
    fitting = mixture_slot.first(scenes=scenes)
    learned = "everyday sounds, not on instruments" if scenes else "instruments alone"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f":material/info: {plain(checkpoint.path.name)} was trained on {learned}.",
            width="content",
        )
        st.button(
            fitting,
            key="fitting",
            type="tertiary",
            icon=":material/swap_horiz:",
            on_click=_take,
            args=(fitting,),
            help="An example that suits it.",
        )


def _take(title: str) -> None:
    st.session_state.mixture, st.session_state.mixture_from = title, mixture_slot.FROM[0]
