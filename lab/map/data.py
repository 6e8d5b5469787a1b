"""The data behind the Map page: stores, points, projections, sounds and exported files.

Everything slow to compute is kept on disk beside the stores and shared by all visitors; the caches
here are bounded. Torch is imported on first use, so that the page opens without it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import threading
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import streamlit as st

from core import registry
from core.audio import clip as audio
from core.audio.clip import Clip
from core.checkpoints.checkpoint import Checkpoint, list_checkpoints
from core.errors import RavelError
from core.maps import projection as projections
from core.vocoder.play import play, route_digest
from lab.swap import data as live

if TYPE_CHECKING:
    import pandas as pd

    from core.data.store import FeatureStore
    from core.jobs import Progress
    from core.maps.points import Points
    from core.maps.projection import Projection, Settings

DATA = Path(os.environ.get("RAVEL_DATA", Path(__file__).parents[2] / "data"))
EXAMPLES = Path(__file__).parents[1] / "examples"
BUNDLED = ("examples", "examples-scenes")  # stores of the recordings that come with the lab
EVERYTHING = "all"  # the splits of a store together
MULTI_LABEL = "labels"  # the column that holds several labels of a clip, joined by commas
LABEL_COLUMNS = ("instrument", "label", MULTI_LABEL)  # the most informative ones
SOON: int | None = None  # clips encoded while the page waits; None: as the system says
_ENCODING = threading.Lock()  # one at a time: two would write the same files


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
    def is_embedding(self) -> bool:
        """Whether the points are the embeddings of an encoder rather than latents."""
        return self.space == "h"

    @property
    def source(self) -> tuple[FeatureStore, Checkpoint, Path, str | None]:
        """The arguments that a system's maps take. Raises RavelError."""
        return open_store(self.subset.store), self.checkpoint, DATA / "maps", self.subset.split


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


def columns(store: Path) -> dict[str, np.ndarray]:
    """The label columns of a store, read without torch."""
    file = store / "clips.csv"
    return _columns(str(file), file.stat().st_mtime_ns)


@st.cache_resource(max_entries=16, show_spinner=False)
def _columns(path: str, changed: int) -> dict[str, np.ndarray]:
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    return {key: np.array([row[i] for row in rows]) for i, key in enumerate(header)}


def splits(store: Path) -> dict[str, int]:
    """How many clips each split of a store has, the ones held out first."""
    counts = dict(zip(*np.unique(columns(store)["split"], return_counts=True), strict=True))
    order = sorted(counts, key=lambda name: (name != "validation", name != "train", name))
    return {str(name): int(counts[name]) for name in order}


def split_label(store: Path, name: str) -> str:
    """A split or EVERYTHING with its number of clips, as offered and as written in addresses."""
    counts = splits(store)
    return f"{name} ({counts.get(name, sum(counts.values())):,})"


def labels_in(column: str, value: str) -> set[str]:
    """The labels of a clip in a column: one, or several in MULTI_LABEL."""
    labels = str(value).split(",") if column == MULTI_LABEL else [str(value)]
    return {label.strip() for label in labels} - {""}


def build_examples() -> None:
    """The bundled recordings as stores, instruments and scenes, in a second or two."""
    live._torch()
    from core.data import folder

    folders = {EXAMPLES: 4.0, EXAMPLES / "scenes": 5.0}
    for name, (path, seconds) in zip(BUNDLED, folders.items(), strict=True):
        folder.build(path, DATA / name, seconds=seconds, workers=1, progress=False)


def open_store(path: Path) -> FeatureStore:
    """A store, its log-mels and audio mapped and not read. Raises RavelError."""
    changed = (path / "store.json").stat().st_mtime_ns if (path / "store.json").exists() else 0
    return _open(str(path), changed)


@st.cache_resource(max_entries=4, show_spinner=False)
def _open(path: str, changed: int) -> FeatureStore:
    live._torch()
    from core.data.store import FeatureStore

    return FeatureStore.open(path)


def models() -> dict[str, Checkpoint]:
    """The checkpoints that can be mapped, by name."""
    with_maps = [name for name, system in registry.systems().items() if system.has_maps]
    every = [found for name in with_maps for found in list_checkpoints(name)]
    return {checkpoint.name: checkpoint for checkpoint in every}


def spaces(checkpoint: Checkpoint) -> dict[str, str]:
    """The spaces that a model's maps can show, by their titles."""
    return dict(registry.get(checkpoint.system).maps.SPACES)


def figures(spec: MapSpec) -> list[str]:
    """Names of the figures that a model gives of each point, besides the labels."""
    maps = registry.get(spec.checkpoint.system).maps
    return maps.figures(spec.checkpoint.config, columns(spec.subset.store), spec.space)


def folder(spec: MapSpec) -> Path:
    """Where a map's projections are kept."""
    return registry.get(spec.checkpoint.system).maps.folder_of(*spec.source)


def points(spec: MapSpec, on_progress: Callable[[int, int], Any] | None = None) -> Points:
    """All clips of a map through its model, encoded the first time. Raises RavelError."""
    maps = registry.get(spec.checkpoint.system).maps
    if not maps.is_there(*spec.source):
        live._torch()
        with _ENCODING:
            maps.encode_store(*spec.source, on_progress)
    return _points(str(folder(spec)), spec)


def is_encoded(spec: MapSpec) -> bool:
    """Whether the clips are encoded, or few enough to be encoded while the page waits."""
    maps = registry.get(spec.checkpoint.system).maps
    few = maps.SOON if SOON is None else SOON
    return _clips(spec) <= few or maps.is_there(*spec.source)


def start_encoding(spec: MapSpec) -> None:
    """Encode the clips in a separate process. Raises RavelError."""
    registry.get(spec.checkpoint.system).maps.start(*spec.source)


def encoding_progress(spec: MapSpec) -> Progress:
    """How far that process is."""
    return registry.get(spec.checkpoint.system).maps.progress(*spec.source)


def _clips(spec: MapSpec) -> int:
    """How many clips have to be encoded: an encoder's index always covers the whole store."""
    split = None if spec.is_embedding else spec.subset.split
    counts = splits(spec.subset.store)
    return sum(n for name, n in counts.items() if split in (None, name))


@st.cache_resource(max_entries=6, show_spinner=False)
def _points(folder: str, _spec: MapSpec) -> Points:
    return registry.get(_spec.checkpoint.system).maps.encode_store(*_spec.source)


def projection(spec: MapSpec, settings: Settings) -> Projection | None:
    """PCA at once; UMAP only after a process has computed it, None before. Raises RavelError."""
    where = folder(spec)
    if settings.method == "PCA":
        return projections.project(where, spec.space, points(spec).points(spec.space), settings)
    return projections.read(where, spec.space, settings)


def start_projection(spec: MapSpec, settings: Settings) -> None:
    """Compute a projection in a separate process. Raises RavelError."""
    projections.start(folder(spec), spec.space, points(spec).points(spec.space), settings)


def projection_progress(spec: MapSpec, settings: Settings) -> Progress:
    """How far that process is."""
    return projections.progress(folder(spec), spec.space, settings)


def log_mel(store: Path, row: int) -> np.ndarray:
    """A clip's log-mel as it is stored, [T, 80]."""
    opened = open_store(store)
    return np.asarray(opened.log_mel[row, : opened.lengths[row]], dtype=np.float32)


def clip(store: Path, row: int) -> Clip:
    """A clip as sound; resynthesised from its log-mel where the store holds no audio."""
    opened = open_store(store)
    if opened.has_audio:
        found = opened.clip(row)
        ends = (int(opened.lengths[row]) - 1) * audio.HOP  # what follows pads it to the longest
        return Clip(found.wave[: max(ends, 1)], found.name, found.labels)
    facts = {key: str(column[row]) for key, column in opened.labels.items()}
    changed = (store / "store.json").stat().st_mtime_ns
    wave = _resynthesised(str(store), row, (changed, route_digest()))
    return Clip(wave, facts.pop("name"), facts)


@st.cache_data(max_entries=128, show_spinner=False)
def _resynthesised(store: str, row: int, key: tuple[int, str]) -> np.ndarray:
    return play(log_mel(Path(store), row)).numpy()


def named(reference: str) -> Clip:
    """A clip by its reference 'store/name', as passed to other pages. Raises RavelError."""
    store, _, name = reference.partition("/")
    if store not in stores():
        raise RavelError(f"There is no store called {store!r}: choose a clip on the map again.")
    found = np.flatnonzero(open_store(stores()[store]).labels["name"] == name)
    if not len(found):
        raise RavelError(f"{store} has no clip called {name!r}: choose one on the map again.")
    return clip(stores()[store], int(found[0]))


# -- exported files ----------------------------------------------------------------------------


def table(
    labels: dict[str, np.ndarray], places: np.ndarray, extra: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Labels, further columns, and places [P, 2 or 3] on the map; one row per point."""
    import pandas as pd

    return pd.DataFrame({**labels, **extra, **dict(zip("xyz", places.T, strict=False))})


def to_csv(frame: pd.DataFrame) -> bytes:
    """The table as CSV in UTF-8."""
    return frame.to_csv(index=False).encode()


def to_parquet(frame: pd.DataFrame, vectors: np.ndarray) -> bytes:
    """The table with the latents in a column `vector`, as embedding-atlas reads it."""
    buffer = io.BytesIO()
    frame.assign(vector=list(vectors)).to_parquet(buffer, index=False)
    return buffer.getvalue()


def to_npz(names: np.ndarray, encoded: Points, clips: np.ndarray) -> bytes:
    """Some clips' names and the arrays that their model made of them."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, name=names[clips].astype(str), **encoded.arrays(clips))
    return buffer.getvalue()


def to_zip(store: Path, rows: Sequence[int]) -> bytes:
    """Clips as WAV files at their own level; resynthesised ones 6 dB lower, so they do not clip."""
    buffer, level = io.BytesIO(), 1.0 if open_store(store).has_audio else live.HEADROOM
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for row in rows:
            sound = clip(store, int(row))
            name = sound.name.replace("/", "-").replace("\\", "-").replace("..", "-")
            archive.writestr(f"{row:05d}-{name}.wav", audio.wav_bytes(level * sound.wave))
    return buffer.getvalue()
