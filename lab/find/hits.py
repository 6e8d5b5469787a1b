"""One search result: the labels, the distance, and the sound as a picture that plays."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import streamlit as st

from core.audio.clip import HOP_SECONDS
from lab.nearness import in_words
from lab.widgets import player
from lab.widgets.page import plain
from lab.widgets.sound_view import Scale

HEIGHT = 60  # pixels


class Hit(NamedTuple):
    """A clip that was found: its cosine `distance`, and the share of random pairs `nearer`."""

    title: str
    facts: str
    distance: float
    nearer: float
    log_mel: np.ndarray
    wav: bytes


def show(rank: int, hit: Hit, on_like: Callable, argument: str) -> None:
    """Draw a row; its button calls `on_like` with `argument` to search for similar clips."""
    about, near, sound, more = st.columns([2, 1.2, 3.6, 0.3], vertical_alignment="center")
    about.markdown(f"**{rank}. {plain(hit.title)}**  \n:small[:gray[{plain(hit.facts)}]]")
    near.markdown(f"{hit.distance:.3f}  \n:small[:gray[{in_words(hit.nearer)}]]")
    scale = Scale(float(hit.log_mel.max()), max(len(hit.log_mel) - 1, 1) * HOP_SECONDS)
    with sound:
        player.player(
            hit.wav,
            key=f"find_hit_{rank}",
            name=f"{rank}. {hit.title}",
            picture=(hit.log_mel, scale),
            height=HEIGHT,
        )
    more.button(
        "",
        key=f"find_like_{rank}",
        icon=":material/search:",
        type="tertiary",
        on_click=on_like,
        args=(argument,),
        help="Search for clips like this one.",
    )
