"""The target of a swap: a recording, or an instrument of the model's list, heard first."""

from __future__ import annotations

import streamlit as st

from core import service
from core.audio.clip import Clip, read
from core.checkpoints.checkpoint import Checkpoint
from core.service import swaps
from lab import bundled
from lab.widgets import page, player, route, slot

FROM = "Instrument"
KEY = "target_instrument"
MELODY = "violin-octave-4"  # what every instrument of the list plays
HELP = (
    "The mean global latent **v** of the instrument's clips in the model's training data, not of "
    "one player. Here it plays a melody that is the same for every instrument."
)


def offer(checkpoint: Checkpoint) -> slot.Other:
    """The list of a model's instruments, as an origin of the target's slot."""
    return slot.Other(FROM, KEY in st.query_params, lambda: choose(checkpoint))


def chosen() -> str:
    """The instrument that is the target; "" where it is a recording, which leaves the address."""
    if st.session_state.get("target_from") == FROM:
        return st.query_params.get(KEY, "")
    st.query_params.pop(KEY, None)
    return ""


def choose(checkpoint: Checkpoint) -> Clip | None:
    """Let the visitor choose an instrument, and return it playing a melody. Raises RavelError."""
    names = swaps.instruments(checkpoint)
    if not names:
        st.caption(
            f"{page.plain(checkpoint.name)} has no list of instruments: run "
            "`python -m core instruments`, or choose a recording."
        )
        return None
    if st.session_state.get(KEY) not in names:  # another model's, or the first time
        wanted = st.query_params.get(KEY, "")
        st.session_state[KEY] = wanted if wanted in names else names[0]
    with st.container(horizontal=True, vertical_alignment="bottom", wrap=False):
        name = st.selectbox(
            "Instrument of the model",
            names,
            key=KEY,
            format_func=str.capitalize,
            label_visibility="collapsed",
        )
        with st.popover("Hear them", icon=":material/hearing:", key="target_hear"):
            hear(checkpoint, names)
    st.query_params[KEY] = name
    st.caption("The mean of this instrument's clips, playing a melody.", help=HELP)
    with st.spinner("Loading the model"):
        return played(checkpoint, name)


def played(checkpoint: Checkpoint, name: str) -> Clip:
    """An instrument of the list, playing the melody. Raises RavelError."""
    return swaps.played(checkpoint, name, _melody(), route.current())


@st.fragment
def hear(checkpoint: Checkpoint, names: list[str]) -> None:
    """Every instrument of the list, to be heard before it is chosen."""
    wanted = st.pills(
        "Press a name to hear it",
        names,
        key="target_heard",
        wrap=True,
        format_func=str.capitalize,
        help=HELP,
    )
    if not wanted:
        return
    with page.show_errors():
        clip = played(checkpoint, wanted)
        player.player(
            service.wav(clip),
            key="target_sound",
            name=f"{wanted}, as the model plays it",
            autoplay=True,
        )
        if st.button(
            f"Take the {wanted} as target",
            key="target_take",
            icon=":material/check:",
            on_click=_take,
            args=(wanted,),
        ):
            st.rerun()


def _take(name: str) -> None:
    st.session_state[KEY] = name


@st.cache_data(show_spinner=False)
def _melody() -> Clip:
    row = bundled.octaves()[MELODY]
    return read(bundled.EXAMPLES / "octaves" / row["file"], name=MELODY)
