"""The points of the Map page: the clip or frame behind each, and the colours they can have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from core.maps.projection import place
from core.service import corpora, included, maps, wav
from core.service.corpora import ABOUT, LABEL_COLUMNS, MULTI_LABEL, labels_in
from core.service.maps import MapSpec, Subset
from lab.map import plot
from lab.map.plot import CATEGORIES, OTHER, Colour

if TYPE_CHECKING:
    from core.maps.points import Points
    from core.maps.projection import Projection
    from lab.find.query_on_map import MapQuery

EXCERPT = 0.6  # seconds played around a frame
FIRST = (*LABEL_COLUMNS, "source", "recording")  # what points are coloured by, if there is one
READ = {  # how a map is to be read
    "UMAP": "Near points are alike to the model. The axes, the distances between groups and their "
    "sizes have no meaning.",
    "PCA": "Distances are true along these axes, the directions of largest variance; what differs "
    "in other directions only does not show.",
}


class MapPoints(NamedTuple):
    """The points of one map and the clips behind them; maps side by side show the same clips."""

    spec: MapSpec
    encoded: Points
    labels: dict[str, np.ndarray]  # of each clip [N]
    clips: np.ndarray  # the clip of each point [P], 0 to N - 1

    @property
    def seconds(self) -> np.ndarray | None:
        """The time of each point within its clip, or None when points are whole clips."""
        return self.encoded.seconds(self.spec.space)

    @property
    def vectors(self) -> np.ndarray:
        """The points in the model's own space, [P, D]."""
        return self.encoded.points(self.spec.space)

    def row(self, point: int) -> int:
        """The number of a point's clip in the store."""
        return int(self.encoded.rows[self.clips[point]])

    def clip_name(self, point: int) -> str:
        """The name of a point's clip."""
        return str(self.labels["name"][self.clips[point]])

    def name(self, point: int) -> str:
        """A point's name: its clip's, with the time if the point is a frame."""
        name, seconds = self.clip_name(point), self.seconds
        return name if seconds is None else f"{name} at {seconds[point]:.2f} s"

    def title(self, point: int) -> str:
        """A point's most informative label and its name; of the corpus that ships, its title."""
        clip = self.clips[point]
        if self.spec.subset.store.name == included.NAME and self.seconds is None:
            return str(self.labels["title"][clip])
        label = next((str(self.labels[k][clip]) for k in LABEL_COLUMNS if k in self.labels), "")
        return " · ".join(part for part in (label, self.name(point)) if part)

    def facts(self, point: int) -> str:
        """A point's labels in one line."""
        clip = self.clips[point]
        values = {k: str(v[clip]) for k, v in self.labels.items() if k not in ("name", "split")}
        return ", ".join(f"{name} {value}" for name, value in values.items() if value)

    def wav(self, point: int) -> bytes:
        """The sound of a point's clip, or an excerpt around its frame."""
        clip = corpora.clip(self.spec.subset.store, self.row(point))
        if self.seconds is not None:
            first = max(0.0, float(self.seconds[point]) - EXCERPT / 2)
            clip = clip.segment(min(first, clip.seconds - EXCERPT / 2), EXCERPT)
        return wav(clip)


def colour_names(spec: MapSpec) -> list[str]:
    """Names of the possible colours: labels that differ, then figures that the model gives."""
    columns, subset = corpora.columns(spec.subset.store), spec.subset
    some = columns["split"] == (subset.split or columns["split"])
    names = [
        name
        for name, values in columns.items()
        if (name == "split" or name not in ABOUT) and len(np.unique(values[some])) > 1
    ]
    names.sort(
        key=lambda name: (
            FIRST.index(name) if name in FIRST else len(FIRST),
            len(np.unique(columns[name])) > CATEGORIES,
        )
    )
    return [*names, *maps.figures(spec)]


def classes(subset: Subset, column: str) -> list[str]:
    """The labels of a column that has too many for a colour each; [] for any other column."""
    columns = corpora.columns(subset.store)
    if column not in columns or _numbers(columns[column]) is not None:
        return []
    some = columns["split"] == (subset.split or columns["split"])
    different = np.unique(columns[column][some])
    labels = {label for value in different for label in labels_in(column, value)}
    return sorted(labels) if len(labels) > CATEGORIES or column == MULTI_LABEL else []


def colour(name: str, points: MapPoints, highlighted: Collection[str] = ()) -> Colour:
    """The value of each point: numbers where a column holds many, otherwise words.

    In a column of `classes` the `highlighted` labels keep their names, or without any the most
    frequent ones; the rest become OTHER.
    """
    if name in points.labels:
        values = points.labels[name]
        numbers = _numbers(values)
        if numbers is not None:
            return Colour(name, numbers[points.clips])
        if classes(points.spec.subset, name):
            kept = _kept(name, values, highlighted)
            return Colour(name, kept[points.clips], values[points.clips])
        return Colour(name, values[points.clips])
    figures = points.encoded.values(name, points.spec.space, points.labels)
    return Colour(name, np.full(len(points.clips), np.nan) if figures is None else figures)


def _numbers(values: np.ndarray) -> np.ndarray | None:
    """A column as numbers, where it holds more than can be distinguished as classes."""
    if len(np.unique(values)) > CATEGORIES:
        with suppress(ValueError):  # words stay words
            return values.astype(float)
    return None


def _kept(column: str, values: np.ndarray, highlighted: Collection[str]) -> np.ndarray:
    """The class of each value [N]; a clip of several labels takes the first one kept."""
    each = [labels_in(column, value) for value in values]
    counts = Counter(label for labels in each for label in sorted(labels))
    frequent = [name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    kept = [name for name in highlighted if name in counts] or frequent[: CATEGORIES - 1]
    return np.array([next((name for name in kept if name in labels), OTHER) for labels in each])


def load(spec: MapSpec) -> MapPoints:
    """The points of a map, encoded with a progress bar the first time. Raises RavelError."""
    bar = st.empty()

    def on_progress(done: int, of: int) -> None:
        bar.progress(done / of, f"{spec.checkpoint.name}: {done:,} of {of:,} clips encoded")

    try:
        encoded = maps.points(spec, on_progress)
    finally:
        bar.empty()
    labels = {k: v[encoded.rows] for k, v in corpora.columns(spec.subset.store).items()}
    return MapPoints(spec, encoded, labels, encoded.clips(spec.space))


@st.cache_data(max_entries=24, show_spinner=False)
def figure(
    key: tuple,
    colour_name: str,
    highlighted: Sequence[str],
    axes: str,
    reach: float | None,
    _points: MapPoints,
    _places: np.ndarray,
) -> str:
    """A map's figure as JSON; `key` stands for the points and their places [P, 2 or 3]."""
    names = _points.labels["name"][_points.clips]
    if _points.seconds is not None:
        names = np.array([f"{n}, {s:.2f} s" for n, s in zip(names, _points.seconds, strict=True)])
    coloured = colour(colour_name, _points, highlighted)
    return plot.figure(_places, coloured, names, axes, reach).to_json()


def common_reach(every: Sequence[MapPoints], projections: Sequence[Projection]) -> float | None:
    """The largest coordinate that the axes of maps side by side show, or None for each its own.

    Only PCA of v has a unit: it rotates without stretching, and v is measured in standard
    deviations of the prior N(0, I). Where no dimension of any v is in use the reach is at least 1,
    so that a collapsed v appears as a dot.
    """
    methods = {one.about["settings"]["method"] for one in projections}
    if methods != {"PCA"} or any(one.spec.space != "v" for one in every):
        return None
    least = 0.0 if any(one.encoded.in_use for one in every) else 1.0
    return max(least, *(float(np.abs(one.points).max()) for one in projections))


def quality(projection: Projection, points: MapPoints) -> str:
    """How to read a projection, how far to trust it and how it was made, in two lines."""
    about, settings = projection.about, projection.about["settings"]
    sample = projection.judged
    measured = "" if sample == about["points"] else f" (measured on {sample:,} points)"
    trust = f"trustworthiness {projection.trustworthiness:.3f}{measured}"
    if settings["method"] == "PCA":
        facts = f"PCA: {sum(about['explained']):.0%} of the variance"
    else:
        facts = (
            f"UMAP: {settings['neighbours']} neighbours, minimum distance "
            f"{settings['min_dist']:g}, {settings['metric']}, seed {settings['seed']}"
        )
    used = ""
    if points.spec.space == "v":
        used = f"; {points.encoded.in_use} of {points.vectors.shape[1]} dimensions of v in use"
    return f"{READ[settings['method']]}  \n{facts}, {trust}{used}."


def place_query(query: MapQuery, points: MapPoints, projection: Projection) -> list[plot.Query]:
    """The places of a query on a map; none on a map of latents. Raises RavelError."""
    if not points.spec.is_embedding:
        return []
    places = place(points.vectors, projection, query.vectors(points.spec.checkpoint))
    return [plot.Query(*pair) for pair in zip(query.queries, places, strict=True)]


def query_placement(projection: Projection) -> str:
    """How a query was placed on a map that was made without it."""
    if projection.about["settings"]["method"] == "PCA":
        return "The query is projected onto the same principal components."
    return "UMAP cannot place new points: the query is marked between its five nearest clips."
