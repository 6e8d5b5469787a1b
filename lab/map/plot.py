"""Maps of latents in Plotly: points that can be clicked, boxed and lassoed, in 2-D and 3-D.

Streamlit's own Plotly chart redraws itself whenever a point is marked, and reports no clicks in
3-D; here the figure stays as it is and the marks are drawn over it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import streamlit as st

if TYPE_CHECKING:
    import plotly.graph_objects as go

CATEGORIES = 12  # as many colours as people can distinguish
OTHER, UNKNOWN = "other", "unknown"
SHORT = 4  # entries of a legend in one row
BELOW = 0.935  # share of the height at which the map's toolbar ends
FAINT = 0.35  # opacity of the other classes, so that they do not hide the coloured ones
CSS = """
.maps { display: flex; flex-wrap: wrap; gap: 1rem; }
.map { flex: 1 1 340px; min-width: 0; }
.map .title { font-weight: 600; min-height: 1.5rem; }
.map .title:empty { display: none; }
.map .plot { width: 100%; }
"""
_MAPS = st.components.v2.component(
    "ravel_latent_map",
    html="<div class='maps'></div>",
    css=CSS,
    js=(Path(__file__).parent / "plot.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)
_FIGURES = st.components.v2.component(  # separate from the marks, which change with every click
    "ravel_latent_figures",
    html="<span></span>",
    js="export default ({ data }) => {\n  window.ravelFigures = data;\n};",
)


class Colour(NamedTuple):
    """The quantity that colours the points: its name and `values` [P], numbers (NaN: unknown) or
    words. `hover` [P] is each point's text under the pointer where that is more than its class."""

    name: str
    values: np.ndarray
    hover: np.ndarray | None = None

    @property
    def is_number(self) -> bool:
        """Whether the values form a scale rather than a set of classes."""
        return self.values.dtype.kind == "f"


class Query(NamedTuple):
    """A sound that is not one of the points: its name and its `place` on the map, [2 or 3]."""

    name: str
    place: Sequence[float]


class Panel(NamedTuple):
    """One map: a title ('' for none), a figure from `figure` as JSON, and queries to mark."""

    title: str
    figure: str
    queries: Sequence[Query] = ()


class Marks(NamedTuple):
    """Points marked on every map: the one in focus, its neighbours, the selected ones."""

    focus: int | None
    near: Sequence[int]
    chosen: Sequence[int]


def figure(
    points: np.ndarray, colour: Colour, names: np.ndarray, axes: str, reach: float | None = None
) -> go.Figure:
    """Points [P, 2 or 3] with their numbers as customdata; one trace per class, with a legend.

    `names` [P] are shown under the pointer; `axes` is the name of the axes, before their number.
    All axes have one scale; where `reach` is given they include -`reach` and `reach`.
    """
    import plotly.graph_objects as go

    traces = (_scale if colour.is_number else _classes)(points, colour, names)
    title = {"text": f"{axes} 1"}, {"text": f"{axes} 2"}, {"text": f"{axes} 3"}
    ticks = {"showticklabels": axes != "UMAP"}  # whose numbers mean nothing
    legend = {"orientation": "h", "x": 0, "itemsizing": "constant", **_legend_position(len(traces))}
    layout: dict[str, Any] = {
        "template": "none",
        "margin": {"l": 40, "r": 8, "t": 36, "b": 40},
        "legend": legend,
        "uirevision": f"{axes}{points.shape[1]}",  # zoom and camera survive a change of colour
    }
    # No fixed range: Plotly would widen it at every change of the page's width.
    span = {"autorangeoptions": {"include": [-reach, reach]}} if reach else {}
    if points.shape[1] == 3:
        scene = {
            f"{k}axis": {"title": t, **ticks, **span} for k, t in zip("xyz", title, strict=True)
        }
        layout |= {"scene": scene | {"aspectmode": "data"}}
        layout["margin"] = {"l": 0, "r": 0, "t": 36, "b": 0}
    else:
        layout |= {"xaxis": {"title": title[0], **ticks, **span}}
        layout |= {"yaxis": {"title": title[1], "scaleanchor": "x", "scaleratio": 1}}
        layout["yaxis"] |= ticks | span
    return go.Figure(traces, layout)


def _legend_position(entries: int) -> dict[str, Any]:
    """A short legend stands beside the map's toolbar, a long one of several rows below it."""
    if entries <= SHORT:
        return {"y": 1, "yanchor": "bottom"}
    return {"y": BELOW, "yanchor": "top", "yref": "container"}


def _classes(points: np.ndarray, colour: Colour, names: np.ndarray) -> list[dict[str, Any]]:
    """One trace per class; OTHER and clips without a label come last in the legend, and OTHER is
    drawn beneath the others."""
    values = colour.values.astype(str)
    found = sorted(np.unique(values).tolist(), key=lambda value: (value == "", value == OTHER))
    traces = []
    for number, value in enumerate(found):
        some = np.flatnonzero(values == value)
        trace = _trace(points, some, names, f"{colour.name}: {value}" if value else UNKNOWN)
        if colour.hover is not None:  # under the pointer, points of OTHER show their own label
            trace["hovertext"] = colour.hover[some].tolist()
            trace["hovertemplate"] = f"%{{text}}<br>{colour.name}: %{{hovertext}}<extra></extra>"
        has_colour = value not in ("", OTHER)
        if value == OTHER:
            trace["opacity"] = FAINT
        traces.append(trace | {"name": value or UNKNOWN, "showlegend": True})
        traces[-1]["meta"] = {"category": number} if has_colour else {"faded": True}
        traces[-1]["legendrank"] = 1000 + number
    return sorted(traces, key=lambda trace: trace["name"] != OTHER)


def _scale(points: np.ndarray, colour: Colour, names: np.ndarray) -> list[dict[str, Any]]:
    """The points on a colour scale; those of unknown value in grey beneath."""
    finite = np.isfinite(colour.values)
    traces = []
    if not finite.all():
        trace = _trace(points, np.flatnonzero(~finite), names, f"{colour.name}: {UNKNOWN}")
        traces.append(trace | {"meta": {"faded": True}, "showlegend": False})
    some = np.flatnonzero(finite)
    values = colour.values[some]
    trace = _trace(points, some, names, colour.name + ": %{marker.color:.4g}")
    low, high = np.percentile(values, [1, 99]) if len(values) else (0, 1)
    trace["marker"] |= {
        "color": values.astype(np.float32).tolist(),
        "colorscale": "Viridis",
        "cmin": float(low),
        "cmax": float(high) if high > low else float(low) + 1,
        "colorbar": {"title": {"text": colour.name}, "thickness": 10, "outlinewidth": 0},
    }
    return [*traces, trace | {"showlegend": False}]


def _trace(points: np.ndarray, some: np.ndarray, names: np.ndarray, value: str) -> dict[str, Any]:
    places = {
        axis: points[some, i].round(4).tolist() for i, axis in enumerate("xyz"[: points.shape[1]])
    }
    solid = points.shape[1] == 3
    size = 3 if solid else 5 if len(points) > 2000 else 7
    return {
        "type": "scatter3d" if solid else "scattergl",
        "mode": "markers",
        **places,
        "customdata": some.tolist(),
        "text": names[some].tolist(),
        "hovertemplate": f"%{{text}}<br>{value}<extra></extra>",
        "opacity": 0.85,
        "marker": {"size": size},
        **({} if solid else {"unselected": {"marker": {"opacity": 0.08}}}),
    }


def show(
    panels: Sequence[Panel], marks: Marks, *, key: str, height: int, on_event: Callable[[], None]
) -> None:
    """Draw maps of the same points, side by side where there is room.

    A click, box or lasso calls `on_event`; `event` then returns {"focus": point},
    {"query": number} or {"chosen": [points]}.
    """
    digests = [_digest(panel.figure) for panel in panels]
    titles = [panel.title for panel in panels]
    places = [[[q.name, *map(float, q.place)] for q in panel.queries] for panel in panels]
    each = zip(titles, digests, places, strict=True)
    sent = [{"title": title, "digest": digest, "queries": q} for title, digest, q in each]
    data = {"panels": sent, "height": height, "focus": marks.focus}
    data |= {"near": list(map(int, marks.near)), "chosen": list(map(int, marks.chosen))}
    figures = dict(zip(digests, (panel.figure for panel in panels), strict=True))
    with st.container(gap=None):  # the last two are invisible
        _MAPS(key=key, data=data, on_event_change=on_event)
        _FIGURES(key=f"{key}_figures", data=figures)
        _plotly()(key=f"{key}_plotly")


def event(key: str) -> Mapping[str, Any]:
    """In `on_event`: the point clicked or the points selected."""
    return dict(st.session_state[key]["event"] or {})


@cache
def _plotly() -> Callable[..., Any]:
    """plotly.js from the installed package; a browser receives it once, as it never changes."""
    from plotly.offline import get_plotlyjs

    # Loaded once: a second copy would not have the listeners registered with the first.
    js = f"if (!window.Plotly) (() => {{\n{get_plotlyjs()}\n}})();\nexport default () => {{}};\n"
    return st.components.v2.component("ravel_plotly", html="<span></span>", js=js)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
