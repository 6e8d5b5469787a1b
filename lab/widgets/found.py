"""What was found, nearest first: a picture, what it is, how near, and a player each."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import streamlit as st

from lab.widgets import player
from lab.widgets.latent_map import plain

INK = {"light": (29, 100, 114), "dark": (152, 214, 205)}
RANGE = 80 / (10 * np.log10(np.e))  # dB that the picture spans, in natural units
FOUND, ASKED, PLANE_HEIGHT = "#3A949F", "#E8702F", 420
COLUMNS = 160  # pixels of a picture
WORDS = {0.01: "very close", 0.1: "close", 0.5: "somewhat alike"}
FAR = "no closer than most"


class Dots(NamedTuple):
    """Points [K, 2] and what each is called."""

    points: np.ndarray
    titles: Sequence[str]


class Hit(NamedTuple):
    """A clip that was found. `distance`: cosine; `nearer`: the share of random pairs nearer."""

    title: str
    facts: str
    distance: float
    nearer: float
    log_mel: np.ndarray
    wav: bytes


def in_words(nearer: float) -> str:
    """How near a clip is, by the share of pairs of clips that are nearer to each other."""
    return next((word for share, word in WORDS.items() if nearer < share), FAR)


def show(rank: int, hit: Hit, on_like: Callable, argument: str) -> None:
    """A row: `on_like` is called with `argument` to look for what is like it."""
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
        player.player(hit.wav, name=f"{rank}. {hit.title}")
    more.button(
        "",
        key=f"find_like_{rank}",
        icon=":material/search:",
        type="tertiary",
        on_click=on_like,
        args=(argument,),
        help="Look for what is like this clip.",
    )


def plane(everything: Dots, hits: Dots, query: np.ndarray, shares: tuple[float, float]) -> None:
    """Where the query [2] and what was found lie among the clips of the corpus."""
    import plotly.graph_objects as go

    def dots(some: Dots, name: str, **marker: object) -> go.Scattergl:
        return go.Scattergl(
            x=some.points[:, 0],
            y=some.points[:, 1],
            text=[html.escape(title) for title in some.titles],
            name=name,
            mode="markers",
            marker=marker,
            hovertemplate="%{text}<extra></extra>",
        )

    first, second = (f"{100 * share:.0f} % of the variance" for share in shares)
    ink = "#8A979C"
    asked = Dots(query[None], ["The query"])
    figure = go.Figure(
        [
            dots(everything, "Corpus", size=5, color=ink, opacity=0.45),
            dots(hits, "Found", size=9, color=FOUND),
            dots(asked, "Query", size=14, color=ASKED, symbol="diamond"),
        ],
        {
            "margin": {"l": 52, "r": 0, "t": 8, "b": 44},
            "xaxis": {"title": f"First axis, {first}", "zeroline": False, "constrain": "domain"},
            "yaxis": {"title": f"Second axis, {second}", "zeroline": False, "scaleanchor": "x"},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        },
    )
    st.plotly_chart(
        figure,
        height=PLANE_HEIGHT,
        key="find_plane",
        alt="The corpus on a plane, with the query and what was found",
        config={"displayModeBar": False},
    )


def thumbnail(log_mel: np.ndarray, theme: str = "light") -> str:
    """A log-mel [T, 80] as the address of a small picture without axes, the louder the denser."""
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
