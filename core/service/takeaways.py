"""A map with some of its clips and their swaps as one HTML file, to show where there is no lab."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core import service
from core.audio.clip import CLIP_SECONDS, Clip
from core.errors import RavelError
from core.service import HEADROOM, Pair, corpora, maps
from core.takeaway.page import MAX_BYTES, Layout, Sample, TakeAway, Writer, fill

if TYPE_CHECKING:
    from core.maps.projection import Projection
    from core.service.maps import MapSpec

EXAMPLES = 10  # clips where none are chosen
MOST = 12  # clips of which swaps are made: the number of swaps is its square
SECONDS = 10.0  # of a clip
CLASSES = 12  # groups of points
OTHER = "other"
HIDDEN = ("name", "split", "samples")  # columns that are no facts about a clip
FIRST = (*corpora.LABEL_COLUMNS, "source", "recording")  # what points are grouped by


class Groups(NamedTuple):
    """What colours the points: the name of it, and the group of each point [P]."""

    column: str
    values: np.ndarray


def make(
    spec: MapSpec,
    projection: Projection,
    chosen: Sequence[int] = (),
    groups: Groups | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    on_progress: Callable[[float], Any] = lambda part: None,
) -> TakeAway:
    """A map, the clips of the `chosen` points, and their swaps by the map's model.

    `projection`: where the points lie; of three dimensions two are shown. Without chosen points a
    few from each group are taken. An encoder swaps nothing: its file has the clips only.
    RavelError where the map alone is larger than `max_bytes`.
    """
    encoded, store = maps.points(spec), spec.subset.store
    clips = encoded.clips(spec.space)
    groups = groups or by_column(spec)
    picked = list(chosen) or examples(groups.values, projection.points)
    picked = [picked[i] for i in sorted(np.unique(clips[picked], return_index=True)[1])]
    labels = {k: v[encoded.rows][clips] for k, v in corpora.columns(store).items()}
    names = labels["title"] if "title" in labels else labels["name"]
    layout = Layout(
        projection.points, names.tolist(), groups.values.tolist(), groups.column, _how(projection)
    )
    sounds = [corpora.clip(store, int(encoded.rows[clips[point]])) for point in picked]
    samples = [
        Sample(point, str(names[point]), _facts(labels, point), HEADROOM * _cut(clip).wave)
        for point, clip in zip(picked, sounds, strict=True)
    ]
    swaps = not spec.is_embedding and len(samples) <= MOST
    title = f"{store.name}, by {spec.checkpoint.name}"
    writer = Writer(title, _about(spec, len(clips), swaps), layout, max_bytes)
    if len(samples) > MOST and not spec.is_embedding:
        writer.left_out.append(f"Swaps: they are included for up to {MOST} chosen clips.")
    swap = _swaps(spec, sounds) if swaps else None
    return fill(writer, samples, swap, on_progress)


def by_column(spec: MapSpec, column: str = "") -> Groups:
    """The points grouped by a column of labels, by default the most informative one. RavelError."""
    columns, encoded = corpora.columns(spec.subset.store), maps.points(spec)
    offered = [name for name in columns if name not in corpora.ABOUT]
    several = (name for name in FIRST if name in columns and len(np.unique(columns[name])) > 1)
    name = column or next(several, "")
    if name and name not in offered:
        raise RavelError(f"There is no column {name!r}: choose from {', '.join(offered)}.")
    clips = encoded.clips(spec.space)
    if not name:
        return Groups("", np.full(len(clips), ""))
    return Groups(name, grouped(columns[name][encoded.rows][clips]))


def grouped(values: np.ndarray) -> np.ndarray:
    """Values [P] as at most CLASSES groups: numbers by fifths, the rarest words as OTHER."""
    different = np.unique(values)
    if values.dtype.kind == "f":
        known = values[np.isfinite(values)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, 6))) if len(known) else np.zeros(2)
        at = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, max(len(edges) - 2, 0))
        words = np.array([f"{a:.3g} to {b:.3g}" for a, b in itertools.pairwise(edges)])
        words = words if len(words) else np.array([f"{edges[0]:.3g}"])
        return np.where(np.isfinite(values), words[at], "")
    if len(different) <= CLASSES:
        return values.astype(str)
    counts = dict(zip(*np.unique(values, return_counts=True), strict=True))
    kept = sorted(counts, key=lambda name: (-counts[name], name))[: CLASSES - 1]
    return np.where(np.isin(values, kept), values, OTHER).astype(str)


def examples(groups: np.ndarray, places: np.ndarray, count: int = EXAMPLES) -> list[int]:
    """Points from each group in turn, from the middle of each outwards; `places` [P, 2 or 3]."""
    order = []
    for name in sorted(set(groups.tolist()), key=lambda name: (name in ("", OTHER), name)):
        some = np.flatnonzero(groups == name)
        far = np.linalg.norm(places[some] - np.median(places[some], axis=0), axis=1)
        order.append(some[np.argsort(far, kind="stable")].tolist())
    turns = max(map(len, order), default=0)
    every = [group[turn] for turn in range(turns) for group in order if turn < len(group)]
    return every[:count]


def _swaps(spec: MapSpec, sounds: Sequence[Clip]) -> Callable[[int, int], np.ndarray]:
    cut = [clip.segment(0, min(CLIP_SECONDS, clip.seconds)) for clip in sounds]

    def swap(melody: int, instrument: int) -> np.ndarray:
        pair = Pair(spec.checkpoint, cut[melody], cut[instrument])
        part = "source_reconstruction" if melody == instrument else "swapped"
        return HEADROOM * service.waveform(service.decoded(pair, part))

    return swap


def _cut(clip: Clip) -> Clip:
    return clip.segment(0, min(SECONDS, clip.seconds))


def _facts(labels: dict[str, np.ndarray], point: int) -> dict[str, str]:
    facts = {name: str(values[point]) for name, values in labels.items() if name not in HIDDEN}
    return {name: value for name, value in facts.items() if value and name != "title"}


def _about(spec: MapSpec, points: int, swaps: bool) -> str:
    what = {
        "v": "global latent, which holds what stays the same, such as the instrument",
        "z": "local latents, averaged over time, which hold what changes, such as the melody",
        "frames": "local latents of single frames, which hold what changes, such as the melody",
        "h": "embedding",
    }.get(spec.space, spec.space)
    kind = "frames of clips" if spec.space == "frames" else "clips"
    also = " Some can be played, and swapped with one another." if swaps else " Some can be played."
    return (
        f"{points:,} {kind} of the corpus {spec.subset.store.name}, placed by the model "
        f"{spec.checkpoint.name}: by their {what}.{also} Made with Ravel."
    )


def _how(projection: Projection) -> str:
    settings = projection.about["settings"]
    trust = f"trustworthiness {projection.trustworthiness:.3f}"
    if settings["method"] == "UMAP":
        return (
            "UMAP: near points are alike to the model; the axes, the distances between groups and "
            f"their sizes have no meaning. {trust.capitalize()}."
        )
    shares = projection.about["explained"][:2]
    return f"PCA: the two directions of largest variance, {sum(shares):.0%} of it; {trust}."
