"""Curves over training steps: several of one run, or one of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

if TYPE_CHECKING:
    import plotly.graph_objects as go

HEIGHT = 230
EMPTY = {"xaxis": {"visible": False}, "yaxis": {"visible": False}}
DASHES = ("solid", "dash", "dot", "dashdot")


class Line(NamedTuple):
    """A curve: its name in the legend, steps [N] and values [N]."""

    name: str
    x: np.ndarray
    y: np.ndarray
    marked: bool = False  # few points, each of which is shown


def figure(
    lines: Sequence[Line],
    *,
    logarithmic: bool = False,
    stages: Sequence[tuple[int, str]] = (),
    span: tuple[float, float] | None = None,
    same: str = "",
) -> go.Figure:
    """The curves, with a rule where each stage begins. `span`: fixed least and greatest value.

    A reader's zoom is kept for as long as `same` is the same.
    """
    import plotly.graph_objects as go

    palette = colours()
    drawn = go.Figure(
        [
            _trace(line, *_look(number, palette), size=3 + 2 * (len(lines) - number))
            for number, line in enumerate(lines)
        ],
        {
            "margin": {"l": 46, "r": 8, "t": 22, "b": 36},
            "hovermode": "x unified",
            "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "title": ""},
            "showlegend": True,
            "uirevision": same,
            **(_axes(lines, logarithmic, span) if any(len(line.x) for line in lines) else EMPTY),
        },
    )
    for step, name in stages[1:]:  # the first begins where the curves do
        drawn.add_vline(
            step,
            line={"width": 1, "dash": "dot", "color": "#888"},
            annotation={"text": name, "font": {"size": 11}, "yanchor": "top"},
            annotation_position="top right",
        )
    return drawn


def chart(title: str, drawn: go.Figure, *, key: str, help: str, alt: str = "") -> None:
    """A titled figure whose place stays as high as it is, whatever it shows."""
    with st.container(gap="xsmall"):
        st.markdown(f"**{title}**", help=help)
        st.plotly_chart(
            drawn, height=HEIGHT, key=key, alt=alt or title, config={"displayModeBar": False}
        )


def colours() -> list[str]:
    """The theme's colours for lines, of the light page or of the dark one."""
    theme = st.context.theme.type or "light"
    return st.get_option(f"theme.{theme}.chartCategoricalColors")


def _look(number: int, colours: Sequence[str]) -> tuple[str, str]:
    """Colour and dash of a line: when the colours are used up they come again, dashed."""
    again, place = divmod(number, len(colours))
    return colours[place], DASHES[again % len(DASHES)]


def _trace(line: Line, colour: str, dash: str, size: int) -> go.Scatter:
    """Marks shrink from line to line, so that lines in the same place are all seen."""
    import plotly.graph_objects as go

    return go.Scatter(
        x=line.x,
        y=line.y.astype(np.float32),
        name=line.name,
        mode="lines+markers" if line.marked and len(line.x) <= 60 else "lines",
        line={"width": 1.7, "dash": dash, "color": colour},
        marker={"size": min(size, 9)},
        hovertemplate="%{y:.4g}",
    )


def _axes(
    lines: Sequence[Line], logarithmic: bool, span: tuple[float, float] | None
) -> dict[str, dict]:
    values = {"zeroline": False, "tickformat": "~g", "nticks": 6, "rangemode": "tozero"}
    if logarithmic and all((line.y > 0).all() for line in lines):
        values |= {"type": "log", "dtick": "D2" if _narrow(lines) else 1, "rangemode": "normal"}
    if span:
        values["range"] = span
    steps = {"rangemode": "tozero", "showgrid": False, "tickformat": ",d"}
    steps["title"] = {"text": "step", "standoff": 4, "font": {"size": 12}}
    return {"xaxis": steps, "yaxis": values}


def _narrow(lines: Sequence[Line]) -> bool:
    values = np.concatenate([line.y for line in lines] or [np.ones(1)])
    return len(values) == 0 or values.max() / values.min() < 20
