"""A remix's latents as pictures: a map of instruments and channels by v, and melodies z."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from core.dsae.instruments import InstrumentTable
from lab.widgets import heatmap
from lab.widgets.run_chart import colours

if TYPE_CHECKING:
    import plotly.graph_objects as go

MAP_HEIGHT = 330
TRACK_HEIGHT = 150
ASPECT = (2.0, 1.0)  # of the map's sides, about
WIDE, NARROW = (600.0, 270.0), (270.0, 270.0)  # pixels of the map at a desk and on a phone, about
# The second trace has the names that fit on a wide page only.
FEWER_NAMES = """<style>
@media (max-width: 640px) {
  .st-key-remix_map .scatterlayer > .trace:nth-child(2) { display: none; }
}
</style>"""
LETTER = (6.0, 13.0)  # pixels: width and height
MARGIN = 0.12  # of the map's width, left free for names
GREY = "rgba(128, 128, 128, 0.9)"
MAP_HELP = (
    "Each grey dot is one of the model's instruments: the mean global latent **v** of its clips. A "
    "numbered diamond is a channel at its own v; an arrow points to the v it is given. Names that "
    "would overlap appear under the pointer. "
    "Axes: the two directions in which the instruments lie furthest apart (linear discriminant "
    "analysis), in standard deviations within an instrument. The likeness of a channel is "
    "computed from all dimensions of v, so the nearest dot here need not be the most alike."
)
TRACK_HELP = (
    "The local latents **z** of the channel's melody, its own or the one it is given: a row for "
    "each dimension, a column every 16 ms."
)


class Place(NamedTuple):
    """A channel on the map: its v [V], and the v it is given, if any."""

    number: int
    v: np.ndarray
    given: np.ndarray | None


def draw_map(table: InstrumentTable, places: list[Place]) -> None:
    """The map of the instruments, with the channels and the v they are given."""
    st.markdown("**Instrument** :gray[global latent v]", help=MAP_HELP)
    st.html(FEWER_NAMES)
    st.plotly_chart(
        map_figure(table, places),
        height=MAP_HEIGHT,
        key="remix_map",
        alt="Map of instruments by their global latents, with the channels among them",
        config={"displayModeBar": False},
    )


def draw_melody(number: int, detail: str, z: np.ndarray, seconds: float) -> None:
    """The melody z [T, Z] of a channel."""
    title = f"Channel {number}: melody"
    st.markdown(f"**{title}** :gray[{detail}]", help=TRACK_HELP)
    limit, key = heatmap.limit_of(z), f"remix_track_{number}"
    heatmap.draw(z, limit, seconds, key=key, name=title, height=TRACK_HEIGHT)


def map_figure(table: InstrumentTable, places: list[Place]) -> go.Figure:
    """Instruments as grey dots with names, channels in colours, arrows to the v they are given."""
    import plotly.graph_objects as go

    every = [place.v for place in places]
    every += [place.v if place.given is None else place.given for place in places]
    means, at = table.plane(np.stack(every) if every else table.means[:0])
    owns, ends = at[: len(places)], at[len(places) :]
    sides = _free_sides(np.concatenate([means, owns]))[: len(means)]
    every_name, marks = list(table.names), np.concatenate([owns, ends])
    always = _readable(every_name, means, sides, marks, NARROW)
    wide = _readable(every_name, means, sides, marks, WIDE, always)
    more = ["" if name in always else name for name in wide]
    traces = [_dots(means, every_name, always, sides)]
    traces.append(_dots(means, every_name, more, sides).update(mode="text", hoverinfo="skip"))
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
    """Positions of the names of points [N, 2]: above, or below if the nearest point is above."""
    ahead = at[None] - at[:, None]
    far = np.square(ahead / np.maximum(np.ptp(at, axis=0), 1e-6) * ASPECT).sum(-1)
    np.fill_diagonal(far, np.inf)
    above = ahead[np.arange(len(at)), far.argmin(1), 1] > 0
    return ["bottom center" if up else "top center" for up in above]


def _readable(
    names: list[str],
    at: np.ndarray,
    sides: list[str],
    marks: np.ndarray,
    size: tuple[float, float],
    first: Sequence[str] = (),
) -> list[str]:
    """The names of points [N, 2], '' for those that would cover another name or a mark [M, 2] on a
    map of some `size` in pixels.

    Those in `first` come first, then those nearer to a mark, and so of more interest.
    """
    span = np.maximum(np.ptp(np.concatenate([at, marks]), axis=0) * (1 + 2 * MARGIN), 1e-6)
    pixels = at / span * size
    others = marks / span * size
    up = np.array([LETTER[1] if side.startswith("top") else -LETTER[1] for side in sides])
    centres = pixels + np.stack([np.zeros(len(at)), up], 1)
    near = np.linalg.norm(pixels[:, None] - others[None], axis=2).min(1, initial=np.inf)
    boxes = [(centre, 14.0, 12.0) for centre in others]
    shown = [""] * len(names)
    later = np.array([name not in first for name in names])
    for i in np.lexsort((near, later)):
        half = LETTER[0] * len(names[i]) / 2
        if all(
            abs(centres[i][0] - box[0]) > half + wide or abs(centres[i][1] - box[1]) > high
            for box, wide, high in boxes
        ):
            shown[i] = names[i]
            boxes.append((centres[i], half, LETTER[1]))
    return shown


def _dots(at: np.ndarray, names: list[str], shown: list[str], sides: list[str]) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=at[:, 0].round(3),
        y=at[:, 1].round(3),
        text=shown,
        hovertext=names,
        mode="markers+text",
        textposition=sides,
        textfont={"size": 11, "color": GREY},
        marker={"size": 7, "color": GREY},
        hovertemplate="%{hovertext}<extra></extra>",
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
