"""The points of the Map page: what lies behind each, and what it can be coloured by."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from core.checkpoints import Checkpoint
from lab import live, maps
from lab.widgets import latent_map
from lab.widgets.latent_map import Colour

if TYPE_CHECKING:
    from core.dsae.maps import StoreLatents
    from core.dsae.projection import Projection

EXCERPT = 0.6  # seconds played around a frame


class Shown(NamedTuple):
    """What lies behind the points of all maps of the page, the same clips in each."""

    view: maps.View
    of: StoreLatents
    labels: dict[str, np.ndarray]  # of each clip [N]
    clips: np.ndarray  # of each point [P], 0 to N - 1

    @property
    def seconds(self) -> np.ndarray | None:
        """When in its clip each point is, or None when points are whole clips."""
        from core.dsae.maps import HOP_SECONDS

        return self.of.frames.ravel() * HOP_SECONDS if self.view.space == "frames" else None

    def name(self, point: int) -> str:
        """What a point is called."""
        name, seconds = str(self.labels["name"][self.clips[point]]), self.seconds
        return name if seconds is None else f"{name} at {seconds[point]:.2f} s"

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


def colours(corpus: maps.Corpus, space: str, checkpoint: Checkpoint) -> list[str]:
    """What points can be coloured by: labels that differ, pitch, latent dimensions."""
    columns = maps.columns(corpus.store)
    some = columns["split"] == (corpus.split or columns["split"])
    found = [k for k, v in columns.items() if k != "name" and len(np.unique(v[some])) > 1]
    found.sort(key=lambda key: (key != "instrument", len(np.unique(columns[key])) > 12))
    if space == "frames":
        found += ["pitch (MIDI)"] if knows_pitch(corpus) else []
        found += ["time (s)"]
    sizes = checkpoint.config.get("model", {})
    kinds = ("v", "z") if space != "frames" else ("z", "v")
    dims = [f"{k} {i + 1}" for k in kinds for i in range(int(sizes.get(f"{k}_size", 16)))]
    return [*found, "loudest band (Hz)", *dims]


def knows_pitch(corpus: maps.Corpus) -> bool:
    """Whether the labels say every note: of dMelodies they do."""
    return {"melody", "tonic", "octave", "scale"} <= set(maps.columns(corpus.store))


def colour_of(name: str, shown: Shown) -> Colour:
    """The value of each point: numbers where a column holds many, else words."""
    of, clips = shown.of, shown.clips
    if name in shown.labels:
        values = shown.labels[name]
        if len(np.unique(values)) > latent_map.CATEGORIES:
            with suppress(ValueError):  # words stay words
                values = values.astype(float)
        return Colour(name, values[clips])
    frames = shown.view.space == "frames"
    if name.startswith("pitch"):
        from core.dsae.maps import known_pitch

        return Colour(name, known_pitch(shown.labels, of.frames).ravel())
    if name.startswith("time"):
        return Colour(name, shown.seconds.astype(float))
    if name.startswith("loudest"):
        return Colour(name, (of.frame_band.ravel() if frames else of.band).astype(float))
    kind, number = name.split()
    points = of.points("frames") if frames and kind == "z" else getattr(of, kind)[clips]
    if int(number) > points.shape[1]:
        return Colour(name, np.full(len(clips), np.nan))
    return Colour(name, points[:, int(number) - 1].astype(float))


def load(view: maps.View) -> Shown:
    """A view's latents, encoded with a progress bar the first time."""
    bar = st.empty()

    def told(done: int, of: int) -> None:
        bar.progress(done / of, f"{view.checkpoint.name}: {done:,} of {of:,} clips encoded")

    of = maps.latents(view, told)
    bar.empty()
    labels = {k: v[of.rows] for k, v in maps.columns(view.corpus.store).items()}
    return Shown(view, of, labels, of.clips(view.space))


@st.cache_data(max_entries=24, show_spinner=False)
def drawn(
    key: tuple,
    colour: str,
    axes: str,
    reach: float | None,
    _shown: Shown,
    _points: np.ndarray,
) -> str:
    """A map's figure as JSON."""
    names = _shown.labels["name"][_shown.clips]
    if _shown.seconds is not None:
        names = np.array([f"{n}, {s:.2f} s" for n, s in zip(names, _shown.seconds, strict=True)])
    return latent_map.figure(_points, colour_of(colour, _shown), names, axes, reach).to_json()


def reach(space: str, every: Sequence[Shown], found: Sequence[Projection]) -> float | None:
    """How far the axes of maps side by side reach, the same for all, or None for as far as each
    has points.

    Only PCA of v has a scale of its own: turned, but not stretched, and measured in standard
    deviations of the prior N(0, I). Where no dimension of any v is in use, next to nothing is
    shown as next to nothing.
    """
    if space != "v" or any(one.about["settings"]["method"] != "PCA" for one in found):
        return None
    least = 0.0 if any(map(in_use, every)) else 1.0
    return max(least, *(float(np.abs(one.points).max()) for one in found))


def in_use(shown: Shown) -> int:
    """How many dimensions of v carry something, by their KL to the prior."""
    return int((shown.of.v_kl.mean(0) > 0.02).sum())


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
    used = f"; {in_use(shown)} of {shown.of.v.shape[1]} dimensions of v in use"
    return f"{facts}, {trust}{used if shown.view.space == 'v' else ''}."
