"""The switch between the vocoder and Griffin-Lim, of all pages on which log-mels are heard."""

import streamlit as st

from core.vocoder.play import GRIFFIN_LIM, VOCODER, default_route, is_available

WAYS = {"Vocoder": VOCODER, "Griffin-Lim": GRIFFIN_LIM}
KEY = "played"


def choose() -> str:
    """Ask by what log-mels are played, and keep it in the address; the way for `play`."""
    st.segmented_control(
        "Played by",
        list(WAYS),
        default="Vocoder" if is_available() else "Griffin-Lim",
        required=True,
        key=KEY,
        bind="query-params",
        width="content",
        disabled=not is_available(),
        help="A model makes log-mels, pictures of sound. The **vocoder**, a network trained on "
        "real and synthesised sound, makes them audible; **Griffin-Lim** does it without any "
        "training, by a search for sound that has the picture.",
    )
    return now()


def now() -> str:
    """The way that was chosen on this page, or the usual one."""
    chosen = WAYS.get(st.session_state.get(KEY, ""))
    return chosen if chosen and is_available() else default_route()
