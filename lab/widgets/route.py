"""The choice between the vocoder and Griffin-Lim, for all pages that play log-mels."""

import streamlit as st

from core.vocoder.play import GRIFFIN_LIM, VOCODER, default_route, is_available

ROUTES = {"Vocoder": VOCODER, "Griffin-Lim": GRIFFIN_LIM}
KEY = "played"  # in the address, too


def choose() -> str:
    """Let the visitor choose a route, keep it in the address, and return it for `play`."""
    st.segmented_control(
        "Played by",
        list(ROUTES),
        default="Vocoder" if is_available() else "Griffin-Lim",
        required=True,
        key=KEY,
        bind="query-params",
        width="content",
        disabled=not is_available(),
        help="A model's output is a log-mel, a picture of sound. The **vocoder**, a network "
        "trained on real and synthesised sound, turns it into a waveform; **Griffin-Lim** needs "
        "no training and searches for a waveform with this log-mel.",
    )
    return current()


def current() -> str:
    """The route chosen on this page, or the default one."""
    chosen = ROUTES.get(st.session_state.get(KEY, ""))
    return chosen if chosen and is_available() else default_route()
