"""Explore: one clip's latents as an instrument."""

import streamlit as st

from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT, Checkpoint
from lab import bundled
from lab.explore import dials, draw, morph
from lab.explore import local_latents as track
from lab.explore.pictures import in_words
from lab.swap import data as live
from lab.widgets import checkpoint_box, played, player, slot

SAYS = {
    "Dials": f"**Turn the global latent, and the instrument follows.** {dials.ABOUT}",
    "Morph": f"**From one clip to another.** {morph.ABOUT}",
    "Melody": f"**Edit the local latents, and the melody follows.** {track.ABOUT}",
    "Draw": f"**Sounds that nobody recorded.** {draw.ABOUT}",
    "Grid": "**Every clip's melody by every clip's instrument.**",
    "Listen": "**Two renderings, and only your ears to tell them apart.**",
}
HELP = {"Dials": dials.ORDER}
TWO = ("Morph", "Melody")  # sections that take a second clip
OWN = ("Grid", "Listen")  # sections that choose their clips themselves
ABOUT = (
    "A clip's latents under your hands: one **global latent** v holds what stays the same, such as "
    "the instrument; the **local latents** z, one every 16 ms, hold what changes, the melody."
)


def choose() -> tuple[str, Checkpoint | None]:
    """The title, with the section and the model that are asked for."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"
    ):
        st.title("Explore", anchor=False, width="content", help=ABOUT)
        with st.container(horizontal=True, gap="medium", width="content"):
            section = st.segmented_control(
                "Section",
                list(SAYS),
                default="Dials",
                required=True,
                key="section",
                bind="query-params",
                width="content",
            )
            chosen = checkpoint_box.choose("Model", "dsae", DEFAULT_CHECKPOINT, "model", width=200)
            played.choose()
    return section, chosen


def advise_rendered() -> None:
    """Say that a model knows synthesised sound only, and offer what suits it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            ":material/info: Trained on synthesised violins and trumpets alone: "
            "real players are strangers to it.",
            width="content",
        )
        st.button(
            "Take synthesised examples",
            key="take_rendered",
            type="tertiary",
            icon=":material/swap_horiz:",
            on_click=take_rendered,
        )


def take_rendered() -> None:
    """Put the synthesised examples into the slots."""
    for side, title in zip(("source", "target"), slot.rendered().values(), strict=True):
        st.session_state[side], st.session_state[f"{side}_from"] = title, "Example"


section, checkpoint = choose()
st.caption(SAYS[section], help=HELP.get(section))
if checkpoint is None:
    st.info(
        "Train one with `python -m core train`, and put it into the folder checkpoints "
        "with `python -m core export`.",
        title="There is no trained model yet",
        icon=":material/model_training:",
    )
    st.stop()

clip = other = None
advice = st.container()
if section not in OWN:
    left, right = st.columns(2)
    with left:
        clip = slot.slot("source", "Clip", default="violin-1")
    with right:
        if section in TWO:
            other = slot.slot("target", "Other", default="trumpet-1")

given = {one.name for one in (clip, other) if one}
if live.corpus(checkpoint).startswith("dmelodies") and not given <= set(slot.rendered()):
    with advice:
        advise_rendered()

with in_words():
    if section == "Draw":
        draw.show(checkpoint, clip, right)
    elif section == "Grid":
        from lab.explore import grid

        grid.show(checkpoint)
    elif section == "Listen":
        from lab.explore import listen

        listen.show(checkpoint)
    elif clip is None:
        st.info("Choose an example, upload or record a clip.", icon=":material/music_note:")
    elif section == "Dials":
        dials.show(checkpoint, clip, left, right)
    elif section == "Melody":
        track.show(checkpoint, clip, other)
    elif other is None:
        st.info("A morph needs two clips: fill the other slot, too.", icon=":material/music_note:")
    else:
        morph.show(checkpoint, clip, other)

if section not in OWN:
    st.caption(
        "Recordings are brought to the same peak before the model hears them, and everything is "
        "played 6 dB lower, to leave room for what the model makes. Examples: "
        f"{bundled.instrument_credits()}."
    )
player.one_at_a_time()
