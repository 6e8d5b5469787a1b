"""What the maps of all systems have in common: which clips, where they are kept, who is near.

A system's own `maps.py` says which spaces it has and how a store's clips get there.
Letters: N clips, P points, D dimensions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from core.errors import RavelError
from core.maps.projection import Metric, nearest

if TYPE_CHECKING:
    from core.checkpoints.checkpoint import Checkpoint
    from core.data.store import FeatureStore

MAX_POINTS = 10_000  # more are neither fluid in a browser nor told apart by eye


class Points(Protocol):
    """N clips of a store through a model. `rows` [N]: their numbers in the store."""

    @property
    def rows(self) -> np.ndarray: ...

    def points(self, space: str) -> np.ndarray:
        """What a map of that space shows, [P, D]."""

    def clips(self, space: str) -> np.ndarray:
        """The clip of each point, numbers from 0 to N - 1, [P]."""

    def seconds(self, space: str) -> np.ndarray | None:
        """When in its clip each point is [P], or None when points are whole clips."""

    def values(self, name: str, space: str) -> np.ndarray | None:
        """A figure about each point [P], one of those that `figures` names; None if not known."""

    def arrays(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """All that is known of some clips, to be taken away."""


def sample_rows(store: FeatureStore, split: str | None) -> np.ndarray:
    """Which clips of a split are shown: all of them up to MAX_POINTS, then a seeded sample.

    RavelError for a split without clips.
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
    """Where in `cache` the projections of these clips belong; `facts`: what else they hang on."""
    known = [*facts, _fingerprint(store), checkpoint.digest, split]
    key = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
    return cache / f"{store.path.name}-{checkpoint.name}-{split or 'all'}-{key}"


def neighbours(
    x: np.ndarray, index: int, *, count: int = 8, metric: Metric, clips: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The points nearest to one of x [P, D]: their indices and distances, nearest first.

    With `clips` [P] the other points of the same clip are left out.
    """
    own = np.arange(len(x)) == index if clips is None else clips == clips[index]
    others = np.flatnonzero(~own)
    found, distances = nearest(x[others], x[index], count=count, metric=metric)
    return others[found], distances


def _fingerprint(store: FeatureStore) -> list[Any]:
    mel = (store.path / "log_mel.npy").stat()
    texts = [(store.path / name).read_bytes() for name in ("store.json", "clips.csv")]
    return [hashlib.sha256(b"".join(texts)).hexdigest(), mel.st_size, mel.st_mtime_ns]
