"""Separate: a mixture taken apart into channels that add up to it, and mixed again."""

import streamlit as st

from core.service import mixtures
from lab import bundled
from lab.separate import view
from lab.separate.data import is_clipped, stems
from lab.widgets import mixture_view, page, separator_box, session, sound_view
from lab.widgets.channels import GROUP, Work

ABOUT = (
    "The model separates a **mixture** into **channels** that add up to it. It was trained without "
    "isolated sounds: it got mixtures of two mixtures and learned to output channels that can be "
    "sorted back into the two (mixture invariant training, MixIT)."
)

with page.row("bottom"):
    st.title("Separate", anchor=False, width="content", help=ABOUT)
    controls = page.controls("bottom")
choice = mixture_view.choose()
with controls:
    checkpoint = separator_box.choose(choice.source)
    if checkpoint:
        checkpoint = view.choose_step(checkpoint)
    saved = session.menu("separate")

results = st.container()
st.caption(
    "Levels are true: one gain, which brings the mixture's peak to −6 dBFS, is applied to "
    "everything played, and the channels add up to the mixture. Downloads have the mixture's own "
    f"level. Examples: {bundled.credits()}."
)

if checkpoint is None:
    page.no_model("separator", "python -m core train separation", results)
source, mixture, scale = mixture_view.show(choice)
if not source.levels and is_clipped(mixture.clip):
    choice.side.caption(
        ":material/info: This recording is clipped; the lost peaks are missing in the channels, "
        "too."
    )
if checkpoint is None:
    st.stop()

work = Work(source, mixture, checkpoint, scale)
with results:
    with page.row():
        st.header("Channels", anchor=False, width="content")
        tools = page.controls("center")
    separator_box.explain(checkpoint, source)
    view.advise(checkpoint, source)
    with page.show_errors(stop=True), tools, st.spinner("Separating"):
        channels = mixtures.separate(checkpoint, source)
    saved.results = lambda: {"stems.zip": stems(work, channels)}
    with tools:
        with_clips = view.show_tools(work, channels)
    sound_view.bar(GROUP, difference=("channel_1", "mixture_cell"))
    view.show_channels(work, channels, "channel")
    if with_clips:
        st.header("Clips in the mixture", anchor=False)
        view.show_clips(work)
    view.show_remix(work, channels)
    if len(mixtures.snapshots(checkpoint)) > 1 and view.toggle(
        "Every training step",
        "steps",
        "The channels of this mixture at each kept training step, beneath one another.",
    ):
        view.show_steps(work)
