"""What the Map page asks of core: stores, points, projections, sounds, files to take away.

Everything that is slow to make lies on disk, beside the stores, and is shared by all visitors;
what is remembered here is bounded. Torch is imported when something is asked for, not before.
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

from core import registry as systems
from core.audio import clip as audio
from core.audio.clip import Clip
from core.checkpoints.checkpoint import Checkpoint
from core.errors import RavelError
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
SEVERAL = "labels"  # the column that holds several labels of a clip, joined by commas
SOON: int | None = None  # clips that are encoded while the page waits; None: what the system says
_ENCODING = threading.Lock()  # one at a time: two would write the same files


class Corpus(NamedTuple):
    """Clips to map: a store, and one of its splits, or None for all."""

    store: Path
    split: str | None


class View(NamedTuple):
    """What one map shows: clips through a checkpoint, and which of the spaces it has."""

    corpus: Corpus
    checkpoint: Checkpoint
    space: str

    @property
    def asked(self) -> tuple[FeatureStore, Checkpoint, Path, str | None]:
        """What a system's `maps.py` is asked by. Raises RavelError."""
        return open_store(self.corpus.store), self.checkpoint, DATA / "maps", self.corpus.split


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


def counted(store: Path, name: str) -> str:
    """A split or EVERYTHING and how many clips it has: as it is offered, and in addresses."""
    counts = splits(store)
    return f"{name} ({counts.get(name, sum(counts.values())):,})"


def parts(column: str, value: str) -> set[str]:
    """The labels that a clip has in a column: one, or several in a column of several."""
    split = str(value).split(",") if column == SEVERAL else [str(value)]
    return {part.strip() for part in split} - {""}


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


def spaces(checkpoint: Checkpoint) -> dict[str, str]:
    """The spaces that a model's maps can show, by what they are called."""
    return dict(systems.maps_of(checkpoint.system).SPACES)


def figures(view: View) -> list[str]:
    """What is known of each point beside the labels."""
    known = systems.maps_of(view.checkpoint.system)
    return known.figures(view.checkpoint.config, columns(view.corpus.store), view.space)


def folder(view: View) -> Path:
    """Where a view's projections are kept."""
    return systems.maps_of(view.checkpoint.system).folder_of(*view.asked)


def points(view: View, told: Callable[[int, int], Any] | None = None) -> Points:
    """All clips of a view through its model, encoded the first time. Raises RavelError."""
    made = systems.maps_of(view.checkpoint.system)
    if not made.is_there(*view.asked):
        live._torch()
        with _ENCODING:
            made.encode_store(*view.asked, told)
    return _points(str(folder(view)), view)


def is_encoded(view: View) -> bool:
    """Whether what a view shows is there, or soon made: of few clips it is."""
    made = systems.maps_of(view.checkpoint.system)
    few = made.SOON if SOON is None else SOON
    return _clips(view) <= few or made.is_there(*view.asked)


def start_encoding(view: View) -> None:
    """Encode a view in a process of its own. Raises RavelError."""
    systems.maps_of(view.checkpoint.system).start(*view.asked)


def encoded(view: View) -> Progress:
    """How far that process is."""
    return systems.maps_of(view.checkpoint.system).progress(*view.asked)


def _clips(view: View) -> int:
    """How many clips are to be encoded: an encoder's index is of the whole store."""
    part = None if view.checkpoint.system == "contrastive" else view.corpus.split
    counts = splits(view.corpus.store)
    return sum(n for name, n in counts.items() if part in (None, name))


@st.cache_resource(max_entries=6, show_spinner=False)
def _points(where: str, _view: View) -> Points:
    return systems.maps_of(_view.checkpoint.system).encode_store(*_view.asked)


def projection(view: View, settings: Settings) -> Projection | None:
    """PCA at once; UMAP once a process has made it, None before. Raises RavelError."""
    from core.maps import projection

    where = folder(view)
    if settings.method == "PCA":
        return projection.project(where, view.space, points(view).points(view.space), settings)
    return projection.read(where, view.space, settings)


def start_projection(view: View, settings: Settings) -> None:
    """Make a projection in a process of its own. Raises RavelError."""
    from core.maps import projection

    projection.start(folder(view), view.space, points(view).points(view.space), settings)


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
    """A clip by 'store/name', as other pages are handed it. Raises RavelError."""
    store, _, name = reference.partition("/")
    if store not in stores():
        raise RavelError(f"There is no store called {store!r}: choose a clip on the map again.")
    found = np.flatnonzero(open_store(stores()[store]).labels["name"] == name)
    if not len(found):
        raise RavelError(f"{store} has no clip called {name!r}: choose one on the map again.")
    return clip(stores()[store], int(found[0]))


# -- files to take away ------------------------------------------------------------------------


def table(
    names: dict[str, np.ndarray], points: np.ndarray, extra: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Labels, what else is known, and places on the map, a row a point."""
    import pandas as pd

    places = dict(zip("xyz", points.T, strict=False))
    return pd.DataFrame({**names, **extra, **places})


def to_csv(frame: pd.DataFrame) -> bytes:
    """The table as CSV in UTF-8."""
    return frame.to_csv(index=False).encode()


def to_parquet(frame: pd.DataFrame, vectors: np.ndarray) -> bytes:
    """The table with a column `vector`, the latents, as embedding-atlas reads it."""
    buffer = io.BytesIO()
    frame.assign(vector=list(vectors)).to_parquet(buffer, index=False)
    return buffer.getvalue()


def to_npz(names: np.ndarray, of: Points, clips: np.ndarray) -> bytes:
    """What is known of some clips: their names, and the arrays that their model has of them."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, name=names[clips].astype(str), **of.arrays(clips))
    return buffer.getvalue()


def to_zip(store: Path, rows: Sequence[int]) -> bytes:
    """Clips as WAV files at their own level; resynthesised ones 6 dB lower, lest they clip."""
    buffer, level = io.BytesIO(), 1.0 if open_store(store).has_audio else live.HEADROOM
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for row in rows:
            sound = clip(store, int(row))
            name = sound.name.replace("/", "-").replace("\\", "-").replace("..", "-")
            archive.writestr(f"{row:05d}-{name}.wav", audio.wav_bytes(level * sound.wave))
    return buffer.getvalue()
