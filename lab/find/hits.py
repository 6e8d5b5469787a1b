"""One search result: a thumbnail, the labels, the distance and a player."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import streamlit as st

from lab.nearness import in_words
from lab.widgets import player
from lab.widgets.page import plain

INK = {"light": (29, 100, 114), "dark": (152, 214, 205)}
RANGE = 80 / (10 * np.log10(np.e))  # 80 dB in the natural-log units of a log-mel
COLUMNS = 160  # widest thumbnail, in pixels


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
    places = st.columns([1.2, 2, 1.2, 2.4, 0.3], vertical_alignment="center")
    picture, about, near, sound, more = places
    name, theme = html.escape(hit.title, quote=True), st.context.theme.type or "light"
    picture.html(
        f'<img src="{thumbnail(hit.log_mel, theme)}" alt="Log-mel spectrogram of {name}" '
        'style="width:100%;height:58px;display:block;image-rendering:auto">'
    )
    about.markdown(f"**{rank}. {plain(hit.title)}**  \n:small[:gray[{plain(hit.facts)}]]")
    near.markdown(f"{hit.distance:.3f}  \n:small[:gray[{in_words(hit.nearer)}]]")
    with sound:
        player.player(hit.wav, key=f"find_hit_{rank}", name=f"{rank}. {hit.title}")
    more.button(
        "",
        key=f"find_like_{rank}",
        icon=":material/search:",
        type="tertiary",
        on_click=on_like,
        args=(argument,),
        help="Search for clips like this one.",
    )


def thumbnail(log_mel: np.ndarray, theme: str = "light") -> str:
    """A log-mel [T, 80] as a data URL of a small image without axes; louder is more opaque."""
    from PIL import Image

    level = 1 + (log_mel.T[::-1] - log_mel.max()) / RANGE
    alpha = (255 * np.clip(level, 0, 1) ** 1.5).astype(np.uint8)
    layers = [np.full_like(alpha, value) for value in INK[theme]]
    image = Image.fromarray(np.dstack([*layers, alpha]))
    if image.width > COLUMNS:
        image = image.resize((COLUMNS, image.height), Image.Resampling.BOX)
    file = io.BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
