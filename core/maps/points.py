"""What the maps of all systems have in common: their protocol, their clips, folders, neighbours.

A system's own `maps.py` defines its spaces and how a store's clips get there.
Letters: N clips, P points, D dimensions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from core.errors import RavelError
from core.maps.projection import Metric, nearest

if TYPE_CHECKING:
    from core.checkpoints.checkpoint import Checkpoint
    from core.data.store import FeatureStore
    from core.jobs import Progress

MAX_POINTS = 10_000  # a browser is slow with more, and the eye cannot separate them

OnProgress = Callable[[int, int], Any]  # takes how many clips are done, and how many there are


class Points(Protocol):
    """N clips of a store as a model sees them."""

    @property
    def rows(self) -> np.ndarray:
        """The clips' numbers in the store, [N]."""

    @property
    def in_use(self) -> int | None:
        """How many dimensions of v carry information; None for a model without v."""

    def points(self, space: str) -> np.ndarray:
        """The points of a map of that space, [P, D]."""

    def clips(self, space: str) -> np.ndarray:
        """The clip of each point, numbers from 0 to N - 1, [P]."""

    def seconds(self, space: str) -> np.ndarray | None:
        """When in its clip each point is [P], or None when points are whole clips."""

    def values(self, name: str, space: str, labels: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """One of `figures` for each point [P], NaN where it is not defined, or None for another
        name; `labels` are those of the clips, [N]."""

    def arrays(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """Everything computed for some clips, for download."""


class SystemMaps(Protocol):
    """What a system's `maps.py` offers: how its models lay out the clips of a store.

    `cache` is a folder, `split` one of the store's splits or None for all. `SPACES`: the spaces by
    title; `SOON`: so many clips are encoded at once, because starting a process takes as long.
    """

    SPACES: dict[str, str]
    SOON: int

    def figures(
        self, config: Mapping[str, Any], columns: Mapping[str, Any], space: str
    ) -> list[str]:
        """The names that `Points.values` takes; `columns` are the store's labels."""

    def folder_of(
        self, store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None = None
    ) -> Path:
        """Where the projections of these clips are kept."""

    def is_there(
        self, store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None = None
    ) -> bool:
        """Whether these clips are encoded already."""

    def start(
        self, store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None
    ) -> None:
        """Encode in a process of its own. Raises RavelError where nothing can be written."""

    def progress(
        self, store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None
    ) -> Progress:
        """How far that process is."""

    def encode_store(
        self,
        store: FeatureStore,
        checkpoint: Checkpoint,
        cache: Path,
        split: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Points:
        """The clips encoded, from disk if they are there. Raises RavelError."""


def sample_rows(store: FeatureStore, split: str | None) -> np.ndarray:
    """The clips of a split that are shown: all up to MAX_POINTS, otherwise a seeded sample.

    Raises RavelError for a split without clips.
    """
    rows = store.indices(split)
    if not len(rows):
        raise RavelError(f"{store.path} has no clips in its split {split!r}: choose another.")
    if len(rows) > MAX_POINTS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MAX_POINTS, replace=False))
    return rows


def folder_of(
    store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None, facts: Sequence
) -> Path:
    """Where in `cache` the projections of these clips are kept; `facts`: other inputs."""
    everything = [*facts, _fingerprint(store), checkpoint.digest, split]
    key = hashlib.sha256(json.dumps(everything).encode()).hexdigest()[:16]
    return cache / f"{store.path.name}-{checkpoint.name}-{split or 'all'}-{key}"


def neighbours(
    x: np.ndarray, index: int, *, count: int = 8, metric: Metric, clips: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The points nearest to one of x [P, D]: their indices and distances, nearest first.

    With `clips` [P] the other points of the same clip are left out.
    """
    own = np.arange(len(x)) == index if clips is None else clips == clips[index]
    others = np.flatnonzero(~own)
    indices, distances = nearest(x[others], x[index], count=count, metric=metric)
    return others[indices], distances


def _fingerprint(store: FeatureStore) -> list[Any]:
    mels = [file.stat() for file in store.files]
    texts = [(store.path / name).read_bytes() for name in ("store.json", "clips.csv")]
    stamps = [stamp for mel in mels for stamp in (mel.st_size, mel.st_mtime_ns)]
    return [hashlib.sha256(b"".join(texts)).hexdigest(), *stamps]
