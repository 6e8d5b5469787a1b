"""Feature stores in the data folder and their clips; kept as in `core.service`.

Stores are opened once, and again when they were rebuilt; their log-mels and audio stay mapped from
disk. Their indexes lie in the stores' folders, which all visitors share.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from core.audio.clip import HOP, Clip
from core.checkpoints.checkpoint import Checkpoint
from core.contrastive.maps import SOON
from core.errors import RavelError
from core.service import encoder, keep, waveform, with_torch
from core.vocoder.play import check_route, route_digest

if TYPE_CHECKING:
    from core.contrastive.index import Index
    from core.data.store import FeatureStore
    from core.jobs import Progress

DATA = Path(os.environ.get("RAVEL_DATA", Path(__file__).parents[2] / "data"))
MULTI_LABEL = "labels"  # the column that holds several labels of a clip, joined by commas
LABEL_COLUMNS = ("instrument", "label", MULTI_LABEL)  # the most informative ones
ABOUT = ("name", "split", "title", "credit")  # columns that say what a clip is, not of which kind
MAX_VALUES = 500  # of a label to choose from
EVERYTHING = "all"  # the splits of a store together


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


def split_label(store: Path, name: str) -> str:
    """A split or EVERYTHING with its number of clips, as offered and as written in addresses."""
    counts = splits(store)
    return f"{name} ({counts.get(name, sum(counts.values())):,})"


def open_store(path: Path) -> FeatureStore:
    """A store, its log-mels and audio mapped and not read. Raises RavelError."""
    return _open(path, changed(path / "store.json"))


@keep(4)
def _open(path: Path, changed: int) -> FeatureStore:
    with_torch()
    from core.data.store import FeatureStore

    return FeatureStore.open(path)


def build(folder: Path, name: str, *, seconds: float) -> None:
    """Build a store called `name` of a folder of recordings, in clips of `seconds`. RavelError."""
    with_torch()
    from core.data import folder as folders

    folders.build(folder, DATA / name, seconds=seconds, workers=1, progress=False)


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


# -- labels ------------------------------------------------------------------------------------


def labels_in(column: str, value: str) -> set[str]:
    """The labels of a clip in a column: one, or several in MULTI_LABEL."""
    labels = str(value).split(",") if column == MULTI_LABEL else [str(value)]
    return {label.strip() for label in labels} - {""}


def label_values(columns: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
    """The label columns with more than one value, and their values; LABEL_COLUMNS come first."""
    found = {}
    for column, values in columns.items():
        if column not in ABOUT:
            labels = (labels_in(column, value) for value in np.unique(values))
            different = sorted(set[str]().union(*labels))
            if 1 < len(different) <= MAX_VALUES:
                found[column] = different
    return dict(sorted(found.items(), key=lambda item: item[0] not in LABEL_COLUMNS))


def label_values_of(store: Path) -> dict[str, list[str]]:
    """`label_values` of a store, kept: of a large one they take a while."""
    return _label_values(store, changed(store / "clips.csv"))


@keep(16)
def _label_values(store: Path, changed: int) -> dict[str, list[str]]:
    return label_values(columns(store))


# -- indexes: a corpus's clips by their embeddings ---------------------------------------------


class Clips(NamedTuple):
    """Clips to index together."""

    clips: tuple[Clip, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """Their digests, for caches."""
        return tuple(clip.digest for clip in self.clips)


def index(store: Path, checkpoint: Checkpoint) -> Index:
    """A store's index by an encoder, made first if it is not on disk. Raises RavelError."""
    from core.contrastive import index as indexes

    opened = open_store(store)
    folder = indexes.folder_of(opened, checkpoint)
    if not (folder / indexes.FILE).exists():
        with_torch()
        indexes.build(opened, checkpoint)
    return _index(folder, changed(folder / indexes.FILE), len(opened))


@keep(4)
def _index(folder: Path, changed: int, clips: int) -> Index:
    from core.contrastive.index import read

    found = read(folder)
    if found is None or len(found) != clips:
        raise RavelError(f"{folder} is damaged: delete it, and it will be made again.")
    return found


@keep(4)
def index_of(clips: Clips, checkpoint: Checkpoint) -> Index:
    """The index of some clips by an encoder. Raises RavelError."""
    embedded = encoder(checkpoint).embed_many(clips.clips).numpy()
    from core.contrastive.index import Index

    return Index.of(embedded)


def embeds_sounds(checkpoint: Checkpoint) -> bool:
    """Whether an encoder can embed any sound; a table of embeddings only knows its own clips."""
    external = checkpoint.external
    return not (isinstance(external, Mapping) and external.get("kind") == "table")


def embedding(store: Path, row: int, checkpoint: Checkpoint) -> np.ndarray:
    """The embedding [D] of a clip of a store, which a table has too. Raises RavelError."""
    return _embedding(store, row, checkpoint, changed(store / "store.json"))


@keep(128)
def _embedding(store: Path, row: int, checkpoint: Checkpoint, changed: int) -> np.ndarray:
    return encoder(checkpoint).clips(open_store(store), [row]).numpy()[0]


def is_indexed(store: Path, checkpoint: Checkpoint) -> bool:
    """Whether a store's index is on disk, or so small that one can wait for it. RavelError."""
    few = len(columns(store)["name"]) <= SOON or not embeds_sounds(checkpoint)
    return few or indexing_progress(store, checkpoint).state == "done"


def start_indexing(store: Path, checkpoint: Checkpoint) -> None:
    """Make the index in a process of its own. Raises RavelError."""
    from core.contrastive import indexing

    indexing.start(open_store(store), checkpoint)


def indexing_progress(store: Path, checkpoint: Checkpoint) -> Progress:
    """How far that process is. Raises RavelError."""
    from core.contrastive import indexing

    return indexing.progress(open_store(store), checkpoint)


def same_recording(store: Path, row: int) -> np.ndarray:
    """A clip and the others from the same recording, by their numbers. Raises RavelError."""
    from core.contrastive.index import same_recording

    return same_recording(open_store(store), row)
