"""A whole store through an encoder: its clips' embeddings for a map, taken from the store's index.

N clips, D size of an embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.contrastive import index
from core.maps import points
from core.maps.points import MAX_POINTS, OnProgress, SystemMaps, sample_rows

if TYPE_CHECKING:
    from core.checkpoints.checkpoint import Checkpoint
    from core.data.store import FeatureStore
    from core.jobs import Progress

SPACES = {"Embedding h": "h"}
FORMAT = 1
SOON = 128  # clips that are embedded at once: starting a process takes as long


@dataclass(frozen=True, eq=False)
class StoreEmbeddings:
    """`rows` [N], the clips' numbers in the store, and `h` [N, D], each of length 1."""

    rows: np.ndarray
    h: np.ndarray

    @property
    def in_use(self) -> None:
        """An embedding has no prior to compare its dimensions with."""

    def points(self, space: str = "h") -> np.ndarray:
        """The points of a map, [N, D]."""
        return self.h

    def clips(self, space: str = "h") -> np.ndarray:
        """The clip of each point, [N]: every point is one."""
        return np.arange(len(self.rows))

    def seconds(self, space: str = "h") -> None:
        """Points are whole clips."""

    def values(self, name: str, space: str, labels: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """A dimension of h for each point [N], or None for another name."""
        kind, _, number = name.partition(" ")
        if kind != "h" or not number.isdigit() or int(number) > self.h.shape[1]:
            return None
        return self.h[:, int(number) - 1].astype(float)

    def arrays(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """Of some clips: rows, h."""
        return {"rows": self.rows[clips], "h": self.h[clips]}


def figures(config: Mapping[str, Any], columns: Mapping[str, Any], space: str) -> list[str]:
    """The figures of each point beside its labels: the dimensions of h."""
    size = int(config.get("model", {}).get("embedding", 128))
    return [f"h {i + 1}" for i in range(size)]


def folder_of(
    store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None = None
) -> Path:
    """Where in `cache` projections of these clips belong; the embeddings are the store's index."""
    return points.folder_of(store, checkpoint, cache, split, [FORMAT, MAX_POINTS])


def is_there(
    store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None = None
) -> bool:
    """Whether the store's index by this encoder is on disk."""
    return (index.folder_of(store, checkpoint) / index.FILE).exists()


def start(store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None) -> None:
    """Make the index in a process of its own. Raises RavelError where nothing can be written."""
    from core.contrastive import indexing

    indexing.start(store, checkpoint)


def progress(
    store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None
) -> Progress:
    """How far that process is."""
    from core.contrastive import indexing

    return indexing.progress(store, checkpoint)


def encode_store(
    store: FeatureStore,
    checkpoint: Checkpoint,
    cache: Path,
    split: str | None = None,
    on_progress: OnProgress | None = None,
) -> StoreEmbeddings:
    """The embeddings of a store's split (None: of all), from its index if that is there.

    Of more than MAX_POINTS clips a seeded sample is taken. RavelError as of `index.build`, and for
    an empty split.
    """
    rows = sample_rows(store, split)
    return StoreEmbeddings(rows, index.build(store, checkpoint, on_progress).h[rows])


if TYPE_CHECKING:  # what the registry hands out as a system's maps is checked to be one
    from core.contrastive import maps as _module

    _maps: SystemMaps = _module
