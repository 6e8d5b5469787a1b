"""Feature stores in the data folder and their clips; kept as in `core.service`.

Stores are opened once, and again when they were rebuilt; their log-mels and audio stay mapped from
disk. Indexes and maps lie in the stores' folders, which all visitors share.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.audio.clip import HOP, Clip
from core.errors import RavelError
from core.service import keep, waveform, with_torch
from core.vocoder.play import check_route, route_digest

if TYPE_CHECKING:
    from core.data.store import FeatureStore

DATA = Path(os.environ.get("RAVEL_DATA", Path(__file__).parents[2] / "data"))


# -- stores ------------------------------------------------------------------------------------


def stores() -> dict[str, Path]:
    """The finished feature stores by name."""
    found = {}
    for file in sorted(DATA.glob("*/store.json")):
        try:
            if json.loads(file.read_text(encoding="utf-8")).get("finished"):
                found[file.parent.name] = file.parent
        except (OSError, ValueError, AttributeError):
            continue  # a damaged one is not offered
    return found


def changed(file: Path) -> int:
    """When a file was last written, in ns, 0 without one: part of a key, so that what is kept of
    a store is dropped once the store is rebuilt."""
    return file.stat().st_mtime_ns if file.exists() else 0


def columns(store: Path) -> dict[str, np.ndarray]:
    """The label columns of a store, each [N], read without torch."""
    return _columns(store / "clips.csv", changed(store / "clips.csv"))


@keep(16)
def _columns(file: Path, changed: int) -> dict[str, np.ndarray]:
    with file.open(newline="", encoding="utf-8") as text:
        header, *rows = list(csv.reader(text))
    return {key: np.array([row[i] for row in rows]) for i, key in enumerate(header)}


def splits(store: Path) -> dict[str, int]:
    """How many clips each split of a store has, the held-out ones first."""
    counts = dict(zip(*np.unique(columns(store)["split"], return_counts=True), strict=True))
    order = sorted(counts, key=lambda name: (name != "validation", name != "train", name))
    return {str(name): int(counts[name]) for name in order}


def open_store(path: Path) -> FeatureStore:
    """A store, its log-mels and audio mapped and not read. Raises RavelError."""
    return _open(path, changed(path / "store.json"))


@keep(4)
def _open(path: Path, changed: int) -> FeatureStore:
    with_torch()
    from core.data.store import FeatureStore

    return FeatureStore.open(path)


# -- their clips -------------------------------------------------------------------------------


def log_mel(store: Path, row: int) -> np.ndarray:
    """A clip's log-mel as it is stored, float32 [T, 80]."""
    opened = open_store(store)
    return np.asarray(opened.log_mel[row, : opened.lengths[row]], dtype=np.float32)


def clip(store: Path, row: int, route: str | None = None) -> Clip:
    """A clip as sound; resynthesised from its log-mel where the store holds no audio."""
    opened = open_store(store)
    if opened.has_audio:
        found = opened.clip(row)
        end = (int(opened.lengths[row]) - 1) * HOP  # zeros follow, up to the longest clip's length
        return Clip(found.wave[: max(end, 1)], found.name, found.labels)
    labels = {key: str(column[row]) for key, column in opened.labels.items()}
    stamp = changed(store / "store.json")
    wave = _resynthesised(store, row, stamp, check_route(route), route_digest(route))
    return Clip(wave, labels.pop("name"), labels)


@keep(128)
def _resynthesised(store: Path, row: int, changed: int, route: str, digest: str) -> np.ndarray:
    return waveform(log_mel(store, row), route)


def clip_by_reference(reference: str) -> Clip:
    """A clip by 'store/name', as pages hand it to one another. Raises RavelError."""
    store, _, name = reference.partition("/")
    if store not in stores():
        raise RavelError(f"There is no store called {store!r}: choose a clip on the map again.")
    rows = np.flatnonzero(open_store(stores()[store]).labels["name"] == name)
    if not len(rows):
        raise RavelError(f"{store} has no clip called {name!r}: choose one on the map again.")
    return clip(stores()[store], int(rows[0]))


# -- maps and indexes: points, projections, an encoder's index of a store ----------------------
