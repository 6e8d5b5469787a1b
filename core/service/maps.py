"""Maps of a store's clips: points in a model's space and projections of them.

Encoded clips and projections lie on disk, shared by all visitors; what is slow runs in a process of
its own. What is kept in memory is kept as in `core.service`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from core import registry
from core.checkpoints.checkpoint import Checkpoint, list_checkpoints
from core.maps import projection as projections
from core.service import corpora, keep, with_torch

if TYPE_CHECKING:
    from core.data.store import FeatureStore
    from core.jobs import Progress
    from core.maps.points import Points
    from core.maps.projection import Projection, Settings

SOON: int | None = None  # clips that are encoded while one waits; None: what the system says
_encoding = threading.Lock()  # one at a time: two would write the same files


class Subset(NamedTuple):
    """The clips to map: those of a store, or of one of its splits."""

    store: Path
    split: str | None


class MapSpec(NamedTuple):
    """What one map shows: some clips, by which model, in which of its spaces."""

    subset: Subset
    checkpoint: Checkpoint
    space: str

    @property
    def key(self) -> tuple[str, str | None, str, str]:
        """Paths and digests, for caches."""
        return str(self.subset.store), self.subset.split, self.checkpoint.digest, self.space

    @property
    def is_embedding(self) -> bool:
        """Whether the points are the embeddings of an encoder rather than latents."""
        return self.space == "h"

    @property
    def source(self) -> tuple[FeatureStore, Checkpoint, Path, str | None]:
        """The arguments that a system's maps take. Raises RavelError."""
        store = corpora.open_store(self.subset.store)
        return store, self.checkpoint, corpora.DATA / "maps", self.subset.split


def warm_up() -> None:
    """Start the process that makes projections, so that the first UMAP need not wait for it."""
    projections.warm_up()


def mappable() -> dict[str, Checkpoint]:
    """The checkpoints that have maps, by name."""
    with_maps = [name for name, system in registry.systems().items() if system.has_maps]
    every = [found for name in with_maps for found in list_checkpoints(name)]
    return {checkpoint.name: checkpoint for checkpoint in every}


def spaces(checkpoint: Checkpoint) -> dict[str, str]:
    """The spaces that a model's maps can show, by their titles."""
    return dict(_maps(checkpoint).SPACES)


def figures(spec: MapSpec) -> list[str]:
    """Names of the figures that a model gives of each point, besides the labels."""
    config, columns = spec.checkpoint.config, corpora.columns(spec.subset.store)
    return _maps(spec.checkpoint).figures(config, columns, spec.space)


def folder(spec: MapSpec) -> Path:
    """Where a map's projections are kept. Raises RavelError."""
    return _maps(spec.checkpoint).folder_of(*spec.source)


# -- points ------------------------------------------------------------------------------------


def points(spec: MapSpec, on_progress: Callable[[int, int], Any] | None = None) -> Points:
    """The clips of a map in its model's space, encoded the first time. Raises RavelError."""
    maps = _maps(spec.checkpoint)
    if not maps.is_there(*spec.source):
        with_torch()
        with _encoding:
            maps.encode_store(*spec.source, on_progress)
    return _points(folder(spec), spec)


@keep(6)
def _points(folder: Path, spec: MapSpec) -> Points:
    return _maps(spec.checkpoint).encode_store(*spec.source)


def is_encoded(spec: MapSpec) -> bool:
    """Whether the clips are encoded, or so few that one can wait for it. Raises RavelError."""
    maps = _maps(spec.checkpoint)
    few = maps.SOON if SOON is None else SOON
    split = None if spec.is_embedding else spec.subset.split  # an index is of the whole store
    counts = corpora.splits(spec.subset.store)
    clips = sum(count for name, count in counts.items() if split in (None, name))
    at_once = clips <= few or not corpora.embeds_sounds(spec.checkpoint)
    return at_once or maps.is_there(*spec.source)


def start_encoding(spec: MapSpec) -> None:
    """Encode the clips in a process of its own. Raises RavelError."""
    _maps(spec.checkpoint).start(*spec.source)


def encoding_progress(spec: MapSpec) -> Progress:
    """How far that process is. Raises RavelError."""
    return _maps(spec.checkpoint).progress(*spec.source)


# -- projections -------------------------------------------------------------------------------


def projection(spec: MapSpec, settings: Settings) -> Projection | None:
    """PCA at once; UMAP only after a process has computed it, None before. Raises RavelError."""
    if settings.method == "PCA":
        x = points(spec).points(spec.space)
        return projections.project(folder(spec), spec.space, x, settings)
    return projections.read(folder(spec), spec.space, settings)


def start_projection(spec: MapSpec, settings: Settings) -> None:
    """Compute a projection in a process of its own. Raises RavelError."""
    projections.start(folder(spec), spec.space, points(spec).points(spec.space), settings)


def projection_progress(spec: MapSpec, settings: Settings) -> Progress:
    """How far that process is. Raises RavelError."""
    return projections.progress(folder(spec), spec.space, settings)


def _maps(checkpoint: Checkpoint) -> Any:
    return registry.get(checkpoint.system).maps
