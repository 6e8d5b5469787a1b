"""The points of the Map page: what lies behind each, and what it can be coloured by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from lab.map import data as maps
from lab.map import plot as latent_map
from lab.map.plot import CATEGORIES, OTHER, Colour
from lab.swap import data as live

if TYPE_CHECKING:
    from core.maps.points import Points
    from core.maps.projection import Projection

EXCERPT = 0.6  # seconds played around a frame
FIRST = ("instrument", "label", maps.SEVERAL)  # the columns that say most of a clip


class Shown(NamedTuple):
    """What lies behind the points of all maps of the page, the same clips in each."""

    view: maps.View
    of: Points
    labels: dict[str, np.ndarray]  # of each clip [N]
    clips: np.ndarray  # of each point [P], 0 to N - 1

    @property
    def seconds(self) -> np.ndarray | None:
        """When in its clip each point is, or None when points are whole clips."""
        return self.of.seconds(self.view.space)

    @property
    def vectors(self) -> np.ndarray:
        """The points as they are, [P, D]."""
        return self.of.points(self.view.space)

    def name(self, point: int) -> str:
        """What a point is called."""
        name, seconds = str(self.labels["name"][self.clips[point]]), self.seconds
        return name if seconds is None else f"{name} at {seconds[point]:.2f} s"

    def what(self, point: int) -> str:
        """What a point is, by its most telling label, and what it is called."""
        said = (str(self.labels[key][self.clips[point]]) for key in FIRST if key in self.labels)
        return " · ".join(part for part in (next(said, ""), self.name(point)) if part)

    def facts(self, point: int) -> str:
        """A point's labels in one line."""
        clip = self.clips[point]
        found = {k: str(v[clip]) for k, v in self.labels.items() if k not in ("name", "split")}
        return ", ".join(value for value in found.values() if value)

    def wav(self, point: int) -> bytes:
        """A clip's sound, or some of it around a frame."""
        clip = maps.clip(self.view.corpus.store, int(self.of.rows[self.clips[point]]))
        if self.seconds is not None:
            first = max(0.0, float(self.seconds[point]) - EXCERPT / 2)
            clip = clip.segment(min(first, clip.seconds - EXCERPT / 2), EXCERPT)
        return live.wav(clip)


def colours(view: maps.View) -> list[str]:
    """What points can be coloured by: labels that differ, then what the model knows of them."""
    columns, corpus = maps.columns(view.corpus.store), view.corpus
    some = columns["split"] == (corpus.split or columns["split"])
    found = [k for k, v in columns.items() if k != "name" and len(np.unique(v[some])) > 1]
    found.sort(key=lambda key: (key not in FIRST, len(np.unique(columns[key])) > CATEGORIES))
    return [*found, *maps.figures(view)]


def classes(corpus: maps.Corpus, column: str) -> list[str]:
    """The labels of a column among which some have to be chosen, as they are too many to be told
    apart by colour; none of other columns."""
    columns = maps.columns(corpus.store)
    if column not in columns or _numbers(columns[column]) is not None:
        return []
    some = columns["split"] == (corpus.split or columns["split"])
    different = np.unique(columns[column][some])
    found = {part for value in different for part in maps.parts(column, value)}
    return sorted(found) if len(found) > CATEGORIES or column == maps.SEVERAL else []


def colour_of(name: str, shown: Shown, wanted: Collection[str] = ()) -> Colour:
    """The value of each point: numbers where a column holds many, else words.

    Of a column of `classes` those `wanted` keep their names, or without any the frequent ones; the
    rest are OTHER.
    """
    if name in shown.labels:
        values = shown.labels[name]
        numbers = _numbers(values)
        if numbers is not None:
            return Colour(name, numbers[shown.clips])
        if classes(shown.view.corpus, name):
            return Colour(name, _named(name, values, wanted)[shown.clips], values[shown.clips])
        return Colour(name, values[shown.clips])
    found = shown.of.values(name, shown.view.space, shown.labels)
    return Colour(name, np.full(len(shown.clips), np.nan) if found is None else found)


def _numbers(values: np.ndarray) -> np.ndarray | None:
    """A column as numbers, where it holds more than can be told apart as classes."""
    if len(np.unique(values)) > CATEGORIES:
        with suppress(ValueError):  # words stay words
            return values.astype(float)
    return None


def _named(column: str, values: np.ndarray, wanted: Collection[str]) -> np.ndarray:
    """The class as which each value [N] is shown: a clip of several labels by the first kept."""
    each = [maps.parts(column, value) for value in values]
    counts = Counter(part for parts in each for part in sorted(parts))
    frequent = [name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    kept = [name for name in wanted if name in counts] or frequent[: CATEGORIES - 1]
    return np.array([next((name for name in kept if name in own), OTHER) for own in each])


def load(view: maps.View) -> Shown:
    """A view's points, encoded with a progress bar the first time."""
    bar = st.empty()

    def told(done: int, of: int) -> None:
        bar.progress(done / of, f"{view.checkpoint.name}: {done:,} of {of:,} clips encoded")

    of = maps.points(view, told)
    bar.empty()
    labels = {k: v[of.rows] for k, v in maps.columns(view.corpus.store).items()}
    return Shown(view, of, labels, of.clips(view.space))


@st.cache_data(max_entries=24, show_spinner=False)
def drawn(
    key: tuple,
    colour: str,
    wanted: Sequence[str],
    axes: str,
    reach: float | None,
    _shown: Shown,
    _points: np.ndarray,
) -> str:
    """A map's figure as JSON."""
    names = _shown.labels["name"][_shown.clips]
    if _shown.seconds is not None:
        names = np.array([f"{n}, {s:.2f} s" for n, s in zip(names, _shown.seconds, strict=True)])
    coloured = colour_of(colour, _shown, wanted)
    return latent_map.figure(_points, coloured, names, axes, reach).to_json()


def reach(every: Sequence[Shown], found: Sequence[Projection]) -> float | None:
    """How far the axes of maps side by side reach, the same for all, or None for as far as each
    has points.

    Only PCA of v has a scale of its own: turned, but not stretched, and measured in standard
    deviations of the prior N(0, I). Where no dimension of any v is in use, next to nothing is
    shown as next to nothing.
    """
    methods = {one.about["settings"]["method"] for one in found}
    if methods != {"PCA"} or any(one.view.space != "v" for one in every):
        return None
    least = 0.0 if any(one.of.in_use for one in every) else 1.0
    return max(least, *(float(np.abs(one.points).max()) for one in found))


def told_of(found: Projection, shown: Shown) -> str:
    """What a projection is and how far to trust it, in a line."""
    about, settings = found.about, found.about["settings"]
    judged = "" if found.judged == about["points"] else f" (judged on {found.judged:,} points)"
    trust = f"trustworthiness {found.trustworthiness:.3f}{judged}"
    if settings["method"] == "PCA":
        facts = f"PCA: {sum(about['explained']):.0%} of the variance"
    else:
        facts = (
            f"UMAP: {settings['neighbours']} neighbours, minimum distance "
            f"{settings['min_dist']:g}, {settings['metric']}, seed {settings['seed']}"
        )
    used = ""
    if shown.view.space == "v":
        used = f"; {shown.of.in_use} of {shown.vectors.shape[1]} dimensions of v in use"
    return f"{facts}, {trust}{used}."


def placed(made: Projection) -> str:
    """How a query got its place on a map that was made without it."""
    if made.about["settings"]["method"] == "PCA":
        return "The query lies where its own principal components put it."
    return "UMAP has no place for the query: it is marked amid its five nearest clips."
