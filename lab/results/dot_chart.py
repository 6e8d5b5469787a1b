"""Scores of several runs as dots, with their means, in panels that share their axis of places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import pandas as pd
import streamlit as st

from lab.widgets.run_chart import colours

PANEL_HEIGHT, LINE_HEIGHT, BELOW = 170, 30, 58  # pixels of a panel, of a place, below a row
TITLE, LEGEND = 44, 24  # pixels of a panel's title, of the legend
SYMBOLS = ("circle", "square", "triangle-up", "x")
DASHES = ("solid", "dot", "dash", "dashdot")
GREY = "#8A979C"
MARGIN = 0.07  # of a panel's span, at either end
# Side by side, panels keep the width that their titles need: a narrow window scrolls sideways.
SCROLLED = """
<style>
[class*="st-key-panels_"] { overflow-x: auto; }
[class*="st-key-panels_"] > * { min-width: 50rem; }
</style>
"""


class Mark(NamedTuple):
    """A run's value, drawn as a dot, or a mean; from `low` to `high`, if given, runs a rule.

    `series`: a name in the chart's legend; any other is grey. A click on a dot gives `run`.
    """

    kind: Literal["run", "mean"]
    place: str
    series: str
    value: float | None
    text: str
    low: float | None = None
    high: float | None = None
    run: str = ""


class Panel(NamedTuple):
    """One score. `hollow`: for published figures. Without marks its place is left empty."""

    title: str
    marks: Sequence[Mark]
    hollow: bool = False
    span: tuple[float, float] | None = None  # the least and the greatest value


class Series(NamedTuple):
    """A name in the legend, with numbers for its colour and its symbol."""

    name: str
    colour: int = 0
    symbol: int = 0


NEUTRAL = Series("")


class Chart(NamedTuple):
    """Rows of as many panels each, the places they share, the series in the legend.

    `upright`: places along the horizontal axis, titled `along`, and means joined; otherwise places
    below each other and values from left to right.
    """

    rows: Sequence[Sequence[Panel]]
    places: Sequence[str]
    series: Sequence[Series]
    upright: bool
    along: str = ""

    @property
    def panel_height(self) -> int:
        """Pixels."""
        if self.upright:
            return PANEL_HEIGHT
        return round(LINE_HEIGHT * len(self.places) * (1 + 0.25 * (len(self.series) - 1)))

    @property
    def top(self) -> int:
        """Pixels above the panels."""
        return TITLE + (LEGEND if len(self.series) > 1 else 0)

    @property
    def height(self) -> int:
        """Pixels in all."""
        gaps = (len(self.rows) - 1) * (BELOW + TITLE)
        return self.top + len(self.rows) * self.panel_height + gaps + BELOW


def show(chart: Chart, *, key: str, alt: str) -> str | None:
    """Draw it; the name of the run whose dot was clicked last."""
    side_by_side = len(chart.rows[0]) > 1
    if side_by_side:
        st.html(SCROLLED)
    event = st.plotly_chart(
        figure(chart),
        height=chart.height,
        key=f"panels_{key}" if side_by_side else key,
        alt=alt,
        on_select="rerun",
        selection_mode="points",
        config={"displayModeBar": False},
    )
    return clicked(event)


def clicked(event: Any) -> str | None:
    """The run of the last dot in a chart's selection event."""
    points = event["selection"]["points"] if event else []
    named = [point.get("customdata") for point in points]
    found = [name[0] if isinstance(name, list | tuple) else name for name in named if name]
    return found[-1] if found else None


def figure(chart: Chart) -> dict[str, Any]:
    """A Plotly figure as plain data: as an object it takes ten times as long to make."""
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "margin": {"l": 8, "r": 8, "t": chart.top, "b": BELOW},
        "legend": {
            "orientation": "h", "yref": "container", "y": 1, "yanchor": "top", "x": 0,
            "itemclick": False, "itemdoubleclick": False,
        },
        "showlegend": len(chart.series) > 1,
        "dragmode": False,
        "hoverlabel": {"align": "left"},
        "annotations": [],
    }  # fmt: skip
    for r, row in enumerate(chart.rows):
        for c, panel in enumerate(row):
            if panel.marks:
                end = "" if (number := r * len(row) + c) == 0 else str(number + 1)
                marks = pd.DataFrame(panel.marks, columns=Mark._fields)
                layout |= _axes(chart, panel.span or _span(marks), r, c, end)
                layout["annotations"].append(_title(panel, end))
                data += _traces(chart, marks, panel.hollow, end)
    named = {""}
    for trace in data:  # each series stands in the legend once, by the first of its means
        trace["showlegend"] = trace["showlegend"] and trace["name"] not in named
        named |= {trace["name"]} if trace["showlegend"] else set()
    return {"data": data, "layout": layout}


def _axes(
    chart: Chart, span: tuple[float, float], row: int, column: int, end: str
) -> dict[str, Any]:
    """The two axes of a panel, each at its place in the figure."""
    columns, rows = len(chart.rows[0]), len(chart.rows)
    gap = 0.05 if chart.upright else 0.03
    width = (1 - gap * (columns - 1)) / columns
    left = column * (width + gap)
    whole = chart.height - chart.top - BELOW
    upper = 1 - row * (chart.panel_height + BELOW + TITLE) / whole
    lower = max(0.0, upper - chart.panel_height / whole)
    numbers = list(range(len(chart.places)))
    same = {"zeroline": False, "fixedrange": True}
    places = same | {
        "tickvals": numbers if chart.upright else numbers[::-1],
        "ticktext": list(chart.places),
        "range": [-0.6, len(chart.places) - 0.4],
        "showgrid": not chart.upright,
        "showticklabels": chart.upright or column == 0,
    }
    values = same | {"tickformat": "~g", "nticks": 6, "range": span, "showgrid": True}
    if chart.upright and row == rows - 1:
        places |= {"title": {"text": chart.along, "standoff": 4, "font": {"size": 12}}}
    x, y = (places, values) if chart.upright else (values, places)
    return {
        f"xaxis{end}": x | {"domain": [left, left + width], "anchor": f"y{end}"},
        f"yaxis{end}": y | {"domain": [lower, upper], "anchor": f"x{end}", "automargin": True},
    }


def _title(panel: Panel, end: str) -> dict[str, Any]:
    return {
        "text": panel.title, "showarrow": False, "font": {"size": 13},
        "xref": f"x{end} domain", "yref": f"y{end} domain", "x": 0.5, "y": 1,
        "xanchor": "center", "yanchor": "bottom", "yshift": 4,
    }  # fmt: skip


def _span(marks: pd.DataFrame) -> tuple[float, float]:
    """From a little below the least value to a little above the greatest."""
    values = marks[["value", "low", "high"]].astype(float)
    low, high = float(values.min(axis=None)), float(values.max(axis=None))
    pad = MARGIN * (high - low) or 0.1 * abs(high) or 0.1
    return low - pad, high + pad


def _traces(chart: Chart, marks: pd.DataFrame, hollow: bool, end: str) -> list[dict[str, Any]]:
    """A panel's rules, dots and means, series by series; the series stand beside each other."""
    names, palette, traces = [one.name for one in chart.series], colours(), []
    number = marks["series"].map(lambda name: names.index(name) if name in names else -1)
    place = marks["place"].map(list(chart.places).index)
    middle, step = (len(names) - 1) / 2, min(0.2, 0.5 / max(1, len(names)))
    at = place + ((number - middle) * step).where(number >= 0, 0.0)
    marks = marks.assign(at=at if chart.upright else len(chart.places) - 1 - at)
    marks = marks.iloc[place.argsort(kind="stable")]
    for index, own in marks.groupby(number):
        series = chart.series[index] if index >= 0 else NEUTRAL
        colour = palette[series.colour % len(palette)] if index >= 0 else GREY
        common = {
            "type": "scatter", "xaxis": f"x{end}", "yaxis": f"y{end}",
            "name": series.name, "legendgroup": series.name, "showlegend": False,
            "hovertemplate": "%{text}<extra></extra>",
        }  # fmt: skip
        dots = own[own["kind"] == "run"]
        means = own[(own["kind"] == "mean") & own["value"].notna()]
        for points, look in (
            (_rules(own), _rule_look(colour)),
            (dots[["at", "value"]], _dot_look(dots, series, colour)),
            (means[["at", "value"]], _mean_look(means, series, colour, chart.upright, hollow)),
        ):
            x, y = ("at", "value") if chart.upright else ("value", "at")
            places = {"x": points[x].tolist(), "y": points[y].tolist()}
            traces += [common | places | look] if len(points) else []
    return traces


def _rules(marks: pd.DataFrame) -> pd.DataFrame:
    """The ends of each mark's range; the None after them keeps the rules apart."""
    ranges = marks.dropna(subset=["low", "high"])[["at", "low", "high"]].itertuples(index=False)
    rows = [row for at, low, high in ranges for row in ((at, low), (at, high), (None, None))]
    return pd.DataFrame(rows, columns=["at", "value"], dtype=object)


def _rule_look(colour: str) -> dict[str, Any]:
    line = {"width": 1.5, "color": colour}
    return {"mode": "lines", "line": line, "hoverinfo": "skip", "opacity": 0.6}


def _dot_look(dots: pd.DataFrame, series: Series, colour: str) -> dict[str, Any]:
    symbol = SYMBOLS[series.symbol % len(SYMBOLS)]
    return {
        "mode": "markers",
        "marker": {"size": 8, "color": colour, "opacity": 0.75, "symbol": symbol},
        "customdata": dots["run"].tolist(),
        "text": dots["text"].tolist(),
        "unselected": {"marker": {"opacity": 0.75}},
        "selected": {"marker": {"opacity": 1, "size": 14}},
    }


def _mean_look(
    means: pd.DataFrame, series: Series, colour: str, upright: bool, hollow: bool
) -> dict[str, Any]:
    """A mark for each mean; upright, they are joined by a line."""
    symbol, size, width = ("diamond", 10, 0.0) if upright else ("line-ns", 15, 2.5)
    if hollow:
        symbol, size, width = "diamond-open", 10, 2.0
    dash = DASHES[series.symbol % len(DASHES)]
    return {
        "showlegend": True,
        "mode": "lines+markers" if upright else "markers",
        "line": {"width": 1.5, "color": colour, "dash": dash},
        "marker": {
            "size": size, "color": colour, "symbol": symbol,
            "line": {"width": width, "color": colour},
        },
        "text": means["text"].tolist(),
        "unselected": {"marker": {"opacity": 1}},
    }  # fmt: skip
