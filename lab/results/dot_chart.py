"""Scores of several runs as dots, with their means, in panels that share their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import streamlit as st

from lab.widgets.run_chart import colours

PANEL_HEIGHT, LINE_HEIGHT, BELOW = 170, 30, 58  # pixels of a panel, of a place, below a row
TITLE, LEGEND = 44, 24  # pixels of a panel's title, of the legend
SYMBOLS = ("circle", "square", "triangle-up", "x")
DASHES = ("solid", "dot", "dash", "dashdot")
NEUTRAL, GREY = -1, "#8A979C"  # the series of what belongs to none, and its colour
MARGIN = 0.07  # of a panel's span, at either end


class Dot(NamedTuple):
    """A run's value: what is said of it, and its name, which a click gives."""

    value: float
    says: str
    run: str = ""


class Group(NamedTuple):
    """What stands at one place of one series: dots, their mean, a range drawn as a rule."""

    place: int
    series: int
    dots: Sequence[Dot] = ()
    mean: float | None = None
    says: str = ""
    reach: tuple[float, float] | None = None


class Panel(NamedTuple):
    """One score. What is `published` is drawn hollow; without groups its place is left empty."""

    title: str
    groups: Sequence[Group]
    published: bool = False
    span: tuple[float, float] | None = None  # the least and the greatest value


class Series(NamedTuple):
    """A name in the legend, with numbers for its colour and its symbol."""

    name: str
    colour: int = 0
    symbol: int = 0


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
    event = st.plotly_chart(
        figure(chart),
        height=chart.height,
        key=key,
        alt=alt,
        on_select="rerun",
        selection_mode="points",
        config={"displayModeBar": False},
    )
    return clicked(event)


def clicked(event: Any) -> str | None:
    """The run behind the last dot that a chart's event tells of."""
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
            if panel.groups:
                end = "" if (number := r * len(row) + c) == 0 else str(number + 1)
                layout |= _axes(chart, panel, r, c, end)
                layout["annotations"].append(_title(panel, end))
                data += _traces(chart, panel, end)
    _name_once(data)
    return {"data": data, "layout": layout}


def _axes(chart: Chart, panel: Panel, row: int, column: int, end: str) -> dict[str, Any]:
    """The two axes of a panel, each at its place in the figure."""
    columns, rows = len(chart.rows[0]), len(chart.rows)
    gap = 0.05 if chart.upright else 0.03
    width = (1 - gap * (columns - 1)) / columns
    left = column * (width + gap)
    whole = chart.height - chart.top - BELOW
    upper = 1 - row * (chart.panel_height + BELOW + TITLE) / whole
    lower = max(0.0, upper - chart.panel_height / whole)
    numbers = list(range(len(chart.places)))
    places = {
        "tickvals": numbers if chart.upright else numbers[::-1],
        "ticktext": list(chart.places),
        "range": [-0.6, len(chart.places) - 0.4],
        "showgrid": not chart.upright,
        "showticklabels": chart.upright or column == 0,
    }
    span = panel.span or _span(panel)
    values = {"tickformat": "~g", "nticks": 6, "range": span, "showgrid": True}
    across, up = (places, values) if chart.upright else (values, places)
    if chart.upright and row == rows - 1:
        across = across | {"title": {"text": chart.along, "standoff": 4, "font": {"size": 12}}}
    same = {"zeroline": False, "fixedrange": True}
    return {
        f"xaxis{end}": across | same | {"domain": [left, left + width], "anchor": f"y{end}"},
        f"yaxis{end}": up
        | same
        | {"domain": [lower, upper], "anchor": f"x{end}", "automargin": True},
    }


def _title(panel: Panel, end: str) -> dict[str, Any]:
    return {
        "text": panel.title,
        "showarrow": False,
        "font": {"size": 13},
        "xref": f"x{end} domain",
        "yref": f"y{end} domain",
        "x": 0.5,
        "y": 1,
        "xanchor": "center",
        "yanchor": "bottom",
        "yshift": 4,
    }


def _span(panel: Panel) -> tuple[float, float]:
    """From a little below the least value to a little above the greatest."""
    values = [value for group in panel.groups for value in group.reach or ()]
    values += [group.mean for group in panel.groups if group.mean is not None]
    values += [dot.value for group in panel.groups for dot in group.dots]
    low, high = min(values), max(values)
    pad = MARGIN * (high - low) or 0.1 * abs(high) or 0.1
    return low - pad, high + pad


def _name_once(data: Sequence[dict[str, Any]]) -> None:
    """Each series stands in the legend once, by the first of its marks."""
    named = {""}
    for trace in data:
        if trace.pop("of_means", False) and trace["name"] not in named:
            named.add(trace["name"])
            trace["showlegend"] = True


def _traces(chart: Chart, panel: Panel, end: str) -> list[dict[str, Any]]:
    palette, traces = colours(), []
    for number in sorted({group.series for group in panel.groups}):
        about = Series("") if number == NEUTRAL else chart.series[number]
        colour = GREY if number == NEUTRAL else palette[about.colour % len(palette)]
        middle = number - (len(chart.series) - 1) / 2
        step = 0.0 if number == NEUTRAL else min(0.2, 0.5 / len(chart.series)) * middle
        look = _Look(chart, about, colour, step, panel.published, end)
        groups = sorted(
            (group for group in panel.groups if group.series == number), key=lambda g: g.place
        )
        traces += [look.ranges(groups), look.dots(groups), look.means(groups)]
    return [trace for trace in traces if trace["x"]]


class _Look(NamedTuple):
    """How a series is drawn in a panel."""

    chart: Chart
    about: Series
    colour: str
    step: float
    hollow: bool
    end: str

    def _at(self, place: int) -> float:
        if self.chart.upright:
            return place + self.step
        return len(self.chart.places) - 1 - place - self.step

    def _trace(self, places: list, values: list, **options: Any) -> dict[str, Any]:
        x, y = (places, values) if self.chart.upright else (values, places)
        return {
            "type": "scatter",
            "x": x,
            "y": y,
            "xaxis": f"x{self.end}",
            "yaxis": f"y{self.end}",
            "name": self.about.name,
            "legendgroup": self.about.name,
            "showlegend": False,
            "hovertemplate": "%{text}<extra></extra>",
            **options,
        }

    def ranges(self, groups: Sequence[Group]) -> dict[str, Any]:
        """A rule from end to end."""
        places: list[float | None] = []
        values: list[float | None] = []
        for group in groups:
            if group.reach:
                places += [self._at(group.place)] * 2 + [None]
                values += [*group.reach, None]
        line = {"width": 1.5, "color": self.colour}
        return self._trace(places, values, mode="lines", line=line, hoverinfo="skip", opacity=0.6)

    def dots(self, groups: Sequence[Group]) -> dict[str, Any]:
        """A dot for each run."""
        there = [(group, dot) for group in groups for dot in group.dots]
        symbol = SYMBOLS[self.about.symbol % len(SYMBOLS)]
        return self._trace(
            [self._at(group.place) for group, _ in there],
            [dot.value for _, dot in there],
            mode="markers",
            marker={"size": 8, "color": self.colour, "opacity": 0.75, "symbol": symbol},
            customdata=[dot.run for _, dot in there],
            text=[dot.says for _, dot in there],
            unselected={"marker": {"opacity": 0.75}},
            selected={"marker": {"opacity": 1, "size": 14}},
        )

    def means(self, groups: Sequence[Group]) -> dict[str, Any]:
        """A mark for each mean, joined along sizes."""
        there = [group for group in groups if group.mean is not None]
        symbol, size, width = ("diamond", 10, 0) if self.chart.upright else ("line-ns", 15, 2.5)
        if self.hollow:
            symbol, size, width = "diamond-open", 10, 2
        dash = DASHES[self.about.symbol % len(DASHES)]
        return self._trace(
            [self._at(group.place) for group in there],
            [group.mean for group in there],
            of_means=True,
            mode="lines+markers" if self.chart.upright else "markers",
            line={"width": 1.5, "color": self.colour, "dash": dash},
            marker={
                "size": size, "color": self.colour, "symbol": symbol,
                "line": {"width": width, "color": self.colour},
            },
            text=[group.says for group in there],
            unselected={"marker": {"opacity": 1}},
        )  # fmt: skip
