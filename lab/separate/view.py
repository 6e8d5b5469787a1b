"""The parts of the Separate page: the training step, channels, clips, the mixer and its remix."""

from __future__ import annotations

import streamlit as st

from core import service
from core.checkpoints.checkpoint import Checkpoint
from core.service import mixtures
from core.service.mixtures import LAST, Channels, MixtureSource
from lab.bundled import is_scene
from lab.separate import data
from lab.separate.data import gain_text
from lab.widgets import channels as channel_view
from lab.widgets import mixer, mixture_slot, page, player
from lab.widgets.cell import Cell
from lab.widgets.channels import NO_CLIP, Work, contents

SI_SNRI = (
    "**SI-SNR improvement**: by how many dB the channel is closer to the clip than the mixture "
    "was, whatever its level (scale-invariant signal-to-noise ratio). At 0 dB nothing is gained; "
    "above 10 dB little is left of the other sounds."
)
ACTIVE = (
    "Channels less than 20 dB below the mixture. A channel that is not needed should stay empty; a "
    "single sound that fills several channels was torn apart."
)
STEMS = (
    "The mixture and each channel as mono WAV files of 32-bit floats, at the mixture's own level: "
    "the channels add up to the mixture."
)


def choose_step(checkpoint: Checkpoint) -> Checkpoint:
    """The separator at a step of its training, where it has snapshots."""
    steps = mixtures.snapshots(checkpoint)
    if len(steps) == 1:
        return checkpoint
    chosen = st.select_slider(
        "Training step",
        list(steps),
        LAST,
        key="step",
        bind="query-params",
        width=260,
        help="The same model earlier in its training. Step 0 is untrained, the last one is the "
        "finished model.",
    )
    return steps[chosen]


def toggle(label: str, key: str, help: str) -> bool:
    """A switch that is kept in the address."""
    return st.toggle(label, key=key, bind="query-params", width="content", help=help)


def advise(checkpoint: Checkpoint, source: MixtureSource) -> None:
    """Where a separator was trained on another kind of sound, say so and offer a better example."""
    scenes = {"scenes": True, "duets": False}.get(service.corpus_of(checkpoint))
    kinds = {is_scene(clip.name) for clip in source.clips if source.levels}
    if scenes is None or not kinds or scenes in kinds:
        return
    fitting = mixture_slot.first(scenes=scenes)
    trained_on = "everyday sounds, not on instruments" if scenes else "instruments only"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f":material/info: {page.plain(checkpoint.path.name)} was trained on {trained_on}.",
            width="content",
        )
        st.button(
            fitting,
            key="fitting",
            type="tertiary",
            icon=":material/swap_horiz:",
            on_click=_use_example,
            args=(fitting,),
            help="Use an example of the kind it was trained on.",
        )


def _use_example(title: str) -> None:
    st.session_state.mixture, st.session_state.mixture_from = title, mixture_slot.FROM[0]


def show_tools(work: Work, channels: Channels) -> bool:
    """Active channels, mean improvement, stems; returns whether the clips are to be shown."""
    with_clips = False
    active = channels.active
    count = f"{sum(active)} of {len(active)} channels active"
    st.caption(count, help=ACTIVE, width="content")
    if channels.improvement is not None:
        mean = f"Mean {gain_text(channels.improvement)}"
        st.caption(mean, help=SI_SNRI, width="content")
        with_clips = toggle("Clips", "clips", "The clips in the mixture, for comparison.")
    page.download(
        "Stems",
        lambda: data.stems(work, channels),
        f"{work.stem}-stems.zip",
        key="stems_download",
        mime="application/zip",
        help=STEMS,
    )
    return with_clips


def show_channels(work: Work, channels: Channels, key: str, step: str = "") -> None:
    """Each channel's picture and player, with its contents."""
    titles = [
        (f"Channel {i + 1}", contents(work.source, channels, i)) for i in range(len(channels.waves))
    ]
    cells = channel_view.reserve(key, titles, step)
    for number, (cell, is_active) in enumerate(zip(cells, channels.active, strict=True)):
        wave = channels.waves[number]
        gain = channels.matches[number].improvement if channels.matches else None
        if gain is not None and wave.any():
            cell.state(gain_text(gain))
        if not is_active:
            cell.state("Inactive")
        channel_view.fill(cell, work, wave)


def show_clips(work: Work) -> None:
    """The clips, each as it is in the mixture."""
    references = work.mixture.references
    assert references is not None  # the clips are known where there is an improvement
    titles = [(f"Clip {i}", name) for i, name in enumerate(work.source.sources, 1)]
    for cell, wave in zip(channel_view.reserve("clip", titles), references, strict=True):
        channel_view.fill(cell, work, wave)


def show_steps(work: Work) -> None:
    """The channels at each training step, beneath one another."""
    for step, checkpoint in mixtures.snapshots(work.checkpoint).items():
        with page.show_errors():
            channels = mixtures.separate(checkpoint, work.source)
            gain = channels.improvement
            mean = "" if gain is None else f" :gray[mean {gain_text(gain)}]"
            st.markdown(f"**Step {step}**{mean}" if step.isdigit() else f"**Last step**{mean}")
            show_channels(work._replace(checkpoint=checkpoint), channels, f"step_{step}", step)


@st.fragment
def show_remix(work: Work, channels: Channels) -> None:
    """The mixer and its remix; a moved control reruns only this part of the page."""
    inside = [contents(work.source, channels, i) for i in range(len(channels.waves))]
    names = [
        f"Channel {i}" if name in ("", NO_CLIP) else f"{i} {name}"
        for i, name in enumerate(inside, 1)
    ]
    desk, result = st.columns(2)
    with desk:
        strips = channel_view.show_mixer(work, list(channels.waves), names)
    with result:
        levels = mixer.decibels(strips)
        same = "as the mixture" if set(levels) == {0.0} else ""
        cell = Cell("remix", "Remix", same, group=channel_view.GROUP, silent=True)
        wave = mixtures.mix(channels, levels)
        if not wave.any():
            cell.leave_empty("All channels are muted.")
            return
        channel_view.show_wave(cell, work, wave, "Clips when played: turn it down")
        cell.state(player.level(work.mixture.wav(wave)))
        page.download(
            "Remix",
            mixtures.float_wav(wave),
            f"{work.stem}-remix.wav",
            key="remix_download",
            mime="audio/wav",
            place=cell.facts,
        )
