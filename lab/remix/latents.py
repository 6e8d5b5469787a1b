"""The latents of a remix as pictures: where channels lie among instruments, and their melodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from core.dsae.instruments import InstrumentTable
from lab.explore.pictures import draw_track, heatmap, limit_of
from lab.widgets.run_chart import colours

if TYPE_CHECKING:
    import plotly.graph_objects as go

MAP_HEIGHT = 330
TRACK_HEIGHT = 150
ASPECT = (2.0, 1.0)  # of the map's sides, about
MARGIN = 0.12  # of the map's width, left free for names
GREY = "rgba(128, 128, 128, 0.9)"
MAP_HELP = (
    "Each grey dot is an instrument that the model knows: the mean of the global latents **v** of "
    "its clips. A numbered diamond is a channel, where its own v is, and an arrow leads to the v "
    "that it is given. "
    "Axes: the two directions in which the instruments lie furthest apart (linear discriminant "
    "analysis), in standard deviations within an instrument. What a channel sounds like is told "
    "from all dimensions of v, so it need not be what is nearest here."
)
TRACK_HELP = (
    "The local latents **z** that the channel plays, a row for each dimension and a column every "
    "16 ms: its own melody, or the one it was given."
)


class Place(NamedTuple):
    """A channel among the instruments: its v [V], and the v it is given, if another."""

    number: int
    v: np.ndarray
    given: np.ndarray | None


def draw_map(known: InstrumentTable, places: list[Place]) -> None:
    """Where channels are among the instruments, and where they go."""
    st.markdown("**Instrument** :gray[global latent v]", help=MAP_HELP)
    st.plotly_chart(
        map_figure(known, places),
        height=MAP_HEIGHT,
        key="remix_map",
        alt="Map of instruments by their global latents, with the channels among them",
        config={"displayModeBar": False},
    )


def draw_melody(number: int, detail: str, z: np.ndarray, seconds: float) -> None:
    """What a channel plays over time."""
    told = f"Channel {number}: melody"
    st.markdown(f"**{told}** :gray[{detail}]", help=TRACK_HELP)
    figure = heatmap(z, limit_of(z), seconds)
    draw_track(figure, key=f"remix_track_{number}", name=told, height=TRACK_HEIGHT)


def map_figure(known: InstrumentTable, places: list[Place]) -> go.Figure:
    """Instruments as grey dots with their names, channels in colours, arrows to what is given."""
    import plotly.graph_objects as go

    every = [place.v for place in places]
    every += [place.v if place.given is None else place.given for place in places]
    means, at = known.plane(np.stack(every) if every else known.means[:0])
    owns, ends = at[: len(places)], at[len(places) :]
    sides = _free_sides(np.concatenate([means, owns]))[: len(means)]
    traces = [_dots(means, list(known.names), sides)]
    palette, arrows = colours(), []
    for number, (place, own, end) in enumerate(zip(places, owns, ends, strict=True)):
        colour = palette[number % len(palette)]
        traces.append(_diamond(place, own, colour))
        if place.given is not None:
            arrows.append(_arrow(own, end, colour))
    shown = np.concatenate([means, at])
    layout = {"margin": {"l": 56, "r": 8, "t": 8, "b": 40}, "showlegend": False}
    axes = {f"{axis}axis": _axis(shown[:, i], i + 1) for i, axis in enumerate("xy")}
    return go.Figure(traces, {**layout, **axes, "annotations": arrows})


def _axis(values: np.ndarray, number: int) -> dict:
    free = MARGIN * max(float(np.ptp(values)), 1e-3)
    return {
        "range": [values.min() - free, values.max() + free],
        "zeroline": False,
        "nticks": 6,
        "title": {"text": f"discriminant axis {number}", "standoff": 8},
    }


def _free_sides(at: np.ndarray) -> list[str]:
    """Where the names of points [N, 2] go: above, or below where the nearest point is above."""
    ahead = at[None] - at[:, None]
    far = np.square(ahead / np.maximum(np.ptp(at, axis=0), 1e-6) * ASPECT).sum(-1)
    np.fill_diagonal(far, np.inf)
    above = ahead[np.arange(len(at)), far.argmin(1), 1] > 0
    return ["bottom center" if up else "top center" for up in above]


def _dots(at: np.ndarray, names: list[str], sides: list[str]) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=at[:, 0].round(3),
        y=at[:, 1].round(3),
        text=names,
        mode="markers+text",
        textposition=sides,
        textfont={"size": 11, "color": GREY},
        marker={"size": 7, "color": GREY},
        hovertemplate="%{text}<extra></extra>",
        cliponaxis=False,
    )


def _diamond(place: Place, at: np.ndarray, colour: str) -> go.Scatter:
    """A channel with its number inside."""
    import plotly.graph_objects as go

    theme = st.context.theme.type or "light"
    ink = st.get_option(f"theme.{theme}.backgroundColor")
    return go.Scatter(
        x=at[:1].round(3),
        y=at[1:].round(3),
        text=[str(place.number)],
        mode="markers+text",
        textposition="middle center",
        textfont={"size": 12, "color": ink, "weight": 700},
        marker={"size": 21, "color": colour, "symbol": "diamond"},
        hovertemplate=f"Channel {place.number}<extra></extra>",
        cliponaxis=False,
    )


def _arrow(start: np.ndarray, end: np.ndarray, colour: str) -> dict:
    """An annotation that points from one place to another, both [2]."""
    (ax, ay), (x, y) = start.tolist(), end.tolist()
    places = {"x": x, "y": y, "ax": ax, "ay": ay}
    references = {"xref": "x", "yref": "y", "axref": "x", "ayref": "y"}
    look = {"arrowhead": 2, "arrowwidth": 2, "arrowcolor": colour, "standoff": 4, "text": ""}
    return {**places, **references, **look, "startstandoff": 11}
