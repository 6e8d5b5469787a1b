"""Separate: a mixture taken apart into channels that add up to it, and mixed again."""

import streamlit as st

from core.checkpoints.checkpoint import Checkpoint
from core.errors import RavelError
from lab import bundled
from lab.separate import data as separation
from lab.separate.data import LAST
from lab.widgets import channels, checkpoint_box, mixture_view, player

DEFAULT = "separator-scenes"
ABOUT = (
    "A **mixture** goes in and **channels** come out that add up to it. Nobody told the model what "
    "anything sounds like alone: it was given mixtures of two mixtures, and learned to make "
    "channels that can be sorted back into the two (mixture invariant training, MixIT)."
)


def choose() -> Checkpoint | None:
    """The title, and the separator that is asked for, at a step of its training."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"
    ):
        st.title("Separate", anchor=False, width="content", help=ABOUT)
        with st.container(horizontal=True, gap="medium", width="content"):
            found = checkpoint_box.choose("Separator", "separation", DEFAULT, "separator")
            return choose_step(found) if found else None


def choose_step(checkpoint: Checkpoint) -> Checkpoint:
    """How far through its training the separator is."""
    steps = separation.snapshots(checkpoint)
    if len(steps) == 1:
        return checkpoint
    chosen = st.select_slider(
        "Training step",
        list(steps),
        LAST,
        key="step",
        bind="query-params",
        width=260,
        help="The same model earlier in its training: hear a separator learn. Step 0 is "
        "untrained, the last is the finished model.",
    )
    return steps[chosen]


def toggle(label: str, key: str, says: str) -> bool:
    """Whether something more is wanted."""
    return st.toggle(label, key=key, bind="query-params", width="content", help=says)


checkpoint = choose()
asked = mixture_view.ask()
results = st.container()
st.caption(
    "Levels are true: one gain, which brings the mixture's peak to −6 dBFS, is on all that is "
    "played, and the channels add up to the mixture. What is downloaded has the mixture's own "
    f"level. Examples: {bundled.credits()}."
)
player.one_at_a_time()

if checkpoint is None:
    results.info(
        "Train one with `python -m core train separation`, and put it into the folder checkpoints "
        "with `python -m core export`.",
        title="There is no trained separator yet",
        icon=":material/model_training:",
    )
mixture, scale = mixture_view.show(asked)
if not asked.taken.levels and separation.is_cut_off(mixture.clip):
    asked.side.caption(
        ":material/info: The peaks of this recording were cut off when it was made; "
        "what is missing is missing in the channels, too."
    )
if checkpoint is None:
    st.stop()

work = channels.Work(asked.taken, mixture, checkpoint, scale)
with results:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.subheader("Channels", anchor=False, width="content")
        tools = st.container(
            horizontal=True, gap="medium", vertical_alignment="center", width="content"
        )
    channels.advise(checkpoint, work.taken)
    try:
        with tools, st.spinner("Separating"):
            made = separation.separate(checkpoint, work.taken)
    except RavelError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()
    with tools:
        if made.improvement is not None:
            st.caption(
                f"Mean {channels.figure(made.improvement)}", help=channels.SI_SNRI, width="content"
            )
            with_clips = toggle("Clips", "clips", "The clips that were mixed, to compare with.")
        else:
            with_clips = False
        channels.offer_stems(work, made)
    channels.show(work, made, "channel")
    if with_clips:
        st.subheader("What was mixed", anchor=False)
        channels.show_clips(work)
    channels.show_remix(work, made)
    if len(separation.snapshots(checkpoint)) > 1 and toggle(
        "Every training step",
        "steps",
        "What each kept step of the training makes of this mixture, beneath one another.",
    ):
        channels.show_steps(work)
