"""The data behind the Find page: corpora, their indexes, queries and sounds.

Indexes are kept on disk in the folders of their stores and shared by all visitors. The caches here
are bounded and keyed by digests, never by samples. Torch is imported on first use.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from core.audio import clip as audio
from core.audio.clip import SAMPLE_RATE, Clip
from core.checkpoints.checkpoint import Checkpoint
from core.contrastive.maps import SOON
from core.errors import RavelError
from lab.map import data as maps
from lab.separate import data as separation
from lab.swap import data as live
from lab.widgets import mixture_slot
from lab.widgets.mixture_slot import Taken

if TYPE_CHECKING:
    import pandas as pd

    from core.contrastive.embed import Embedder
    from core.contrastive.index import Found, Index
    from core.jobs import Progress

BUNDLED = "Bundled examples"
MAX_VALUES = 500  # of a label to choose from
FIRST = ("label", maps.MULTI_LABEL, "instrument")  # the most informative columns
TOO_QUIET = 60.0  # dB below the whole sound: a channel this quiet is only rounding


class Corpus(NamedTuple):
    """Clips to search: those of a store, or without one the bundled examples."""

    name: str
    path: Path | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """Its path and the time it was built, as a cache key."""
        built = (self.path / "store.json").stat().st_mtime_ns if self.path else 0
        return self.name, str(self.path or ""), built


class Query(NamedTuple):
    """A sound to search for, at full level; for a channel, how many dB `below` the whole it was."""

    clip: Clip
    below: float | None = None


def corpora() -> dict[str, Corpus]:
    """The feature stores with audio by name; the bundled examples last."""
    stores = {name: path for name, path in maps.stores().items() if (path / "audio.npy").exists()}
    found = {name: Corpus(name, path) for name, path in stores.items()}
    return found | {BUNDLED: Corpus(BUNDLED)}


def labels(corpus: Corpus) -> dict[str, np.ndarray]:
    """The labels of each clip, `name` first: columns [N]."""
    if corpus.path:
        return maps.columns(corpus.path)
    rows = mixture_slot.sources()
    return {
        "name": np.array(list(rows)),
        "label": np.array([str(row["what"]) for row in rows.values()]),
        "title": np.array([str(row["title"]) for row in rows.values()]),
    }


def choices(corpus: Corpus) -> dict[str, list[str]]:
    """The columns that can restrict a search and their values, the most informative first."""
    return _choices(corpus.key, corpus)


@st.cache_data(max_entries=16, show_spinner=False)
def _choices(key: tuple[str, str, int], _corpus: Corpus) -> dict[str, list[str]]:
    found = {}
    for column, values in labels(_corpus).items():
        if column in ("name", "split"):
            continue
        different = sorted(
            {label for value in np.unique(values) for label in maps.labels_in(column, value)}
        )
        if 1 < len(different) <= MAX_VALUES:
            found[column] = different
    return dict(sorted(found.items(), key=lambda item: item[0] not in FIRST))


def allowed(
    corpus: Corpus, split: str | None, column: str | None, only: Iterable[str]
) -> np.ndarray:
    """Which clips [N] are in a split (None: any) and have one of the labels `only` (none: any)."""
    columns, wanted = labels(corpus), set(only)
    rows = np.ones(len(columns["name"]), bool)
    if split is not None:
        rows &= columns["split"] == split
    if column and wanted:
        values, where = np.unique(columns[column], return_inverse=True)
        rows &= np.array([bool(maps.labels_in(column, value) & wanted) for value in values])[where]
    return rows


# -- the index ---------------------------------------------------------------------------------


def index(corpus: Corpus, checkpoint: Checkpoint) -> Index:
    """A corpus's index, computed here if it is not on disk. Raises RavelError."""
    if corpus.path is None:
        return _bundled(checkpoint.digest, checkpoint)
    from core.contrastive import index as core

    store = maps.open_store(corpus.path)
    folder = core.folder_of(store, checkpoint)
    if not (folder / core.FILE).exists():
        live._torch()
        core.build(store, checkpoint)
    return _index(str(folder), (folder / core.FILE).stat().st_mtime_ns, len(store))


def is_ready(corpus: Corpus, checkpoint: Checkpoint) -> bool:
    """Whether the index exists, or the corpus is small enough to index while the page waits."""
    if corpus.path is None or len(labels(corpus)["name"]) <= SOON:
        return True
    return progress(corpus, checkpoint).state == "done"


def start(corpus: Corpus, checkpoint: Checkpoint) -> None:
    """Compute the index in a separate process. Raises RavelError."""
    from core.contrastive import indexing

    indexing.start(maps.open_store(corpus.path), checkpoint)


def progress(corpus: Corpus, checkpoint: Checkpoint) -> Progress:
    """How far that process is. Raises RavelError."""
    from core.contrastive import index as core
    from core.contrastive import indexing

    store = maps.open_store(corpus.path)
    return indexing.progress(core.folder_of(store, checkpoint), len(store))


@st.cache_resource(max_entries=4, show_spinner=False)
def _index(folder: str, changed: int, clips: int) -> Index:
    from core.contrastive import index as core

    found = core.read(Path(folder))
    if found is None or len(found) != clips:
        raise RavelError(f"{folder} is damaged: delete it, and it will be computed again.")
    return found


@st.cache_resource(max_entries=4, show_spinner=False)
def _bundled(digest: str, _checkpoint: Checkpoint) -> Index:
    from core.contrastive.index import Index

    names = labels(Corpus(BUNDLED))["name"]
    model = _model(digest, _checkpoint)
    return Index.of(model.embed_many(_example(name) for name in names).numpy())


# -- the query ---------------------------------------------------------------------------------


def channels_of(separator: Checkpoint) -> int:
    """How many channels a separator has, by its config."""
    return int(separator.config.get("model", {}).get("channels", 0))


def query(taken: Taken, separator: Checkpoint | None = None, channel: int = 0) -> Query:
    """A sound (channel 0) or one of its channels, normalised as clips are. Raises RavelError."""
    whole = separation.mixture(taken).clip
    if not channel:
        return Query(_at_full_level(whole.wave, taken.name))
    wave = separation.separate(separator, taken).waves[channel - 1]
    level = float(np.sqrt(np.mean(wave**2) / np.mean(whole.wave**2)))
    below = max(0.0, -20 * np.log10(max(level, 1e-9)))
    if below > TOO_QUIET:
        raise RavelError(f"Channel {channel} is silent: choose another one, or the whole sound.")
    return Query(_at_full_level(wave, f"{taken.name}-channel-{channel}"), below)


def _at_full_level(wave: np.ndarray, name: str) -> Clip:
    return audio.from_array(wave, SAMPLE_RATE, name=name)


def embedding(checkpoint: Checkpoint, clip: Clip) -> np.ndarray:
    """A clip's embedding [D]. Raises RavelError."""
    return _embedding((checkpoint.digest, clip.digest), checkpoint, clip)


@st.cache_resource(max_entries=2, show_spinner=False)
def _model(digest: str, _checkpoint: Checkpoint) -> Embedder:
    live._torch()
    from core.contrastive.embed import load

    return load(_checkpoint.path)


@st.cache_data(max_entries=128, show_spinner=False)
def _embedding(key: tuple[str, str], _checkpoint: Checkpoint, _clip: Clip) -> np.ndarray:
    return _model(_checkpoint.digest, _checkpoint).embed(_clip).numpy()


# -- clips of a corpus -------------------------------------------------------------------------


def reference(corpus: Corpus, row: int) -> str:
    """A clip's reference in an address: 'corpus/name'."""
    return f"{corpus.name}/{labels(corpus)['name'][row]}"


def find(reference: str) -> tuple[Corpus, int]:
    """The clip of a reference 'corpus/name'. Raises RavelError."""
    of, _, clip = reference.partition("/")
    corpus = corpora().get(of)
    if corpus is None:
        raise RavelError(f"There is no corpus called {of!r}: choose another sound.")
    rows = np.flatnonzero(labels(corpus)["name"] == clip)
    if not len(rows):
        raise RavelError(f"{of} has no clip called {clip!r}: choose another sound.")
    return corpus, int(rows[0])


def clip(corpus: Corpus, row: int) -> Clip:
    """A clip of a corpus as sound, with its labels."""
    if corpus.path:
        return maps.clip(corpus.path, row)
    return _example(str(labels(corpus)["name"][row]))


def same_recording(corpus: Corpus, row: int) -> np.ndarray:
    """A clip and the others from the same recording."""
    if corpus.path is None:
        return np.array([row])
    from core.contrastive import index as core

    return core.same_recording(maps.open_store(corpus.path), row)


def log_mel(corpus: Corpus, row: int) -> np.ndarray:
    """A clip's log-mel [T, 80]."""
    return maps.log_mel(corpus.path, row) if corpus.path else live.log_mel(clip(corpus, row))


@st.cache_data(max_entries=64, show_spinner=False)
def _example(name: str) -> Clip:
    row = mixture_slot.sources()[name]
    return audio.read(row["path"], name=name, labels={"label": str(row["what"])})


def table(corpus: Corpus, found: Found) -> pd.DataFrame:
    """The clips found: rank, distance and all labels."""
    import pandas as pd

    columns = {column: values[found.rows] for column, values in labels(corpus).items()}
    ranks = np.arange(1, len(found.rows) + 1)
    return pd.DataFrame({"rank": ranks, "distance": found.distances.round(6), **columns})


def to_csv(frame: pd.DataFrame) -> bytes:
    """The table as CSV in UTF-8."""
    return maps.to_csv(frame)


def map_address(corpus: Corpus, split: str | None, encoder: Checkpoint) -> dict[str, str]:
    """The Map page's address parameters for a corpus; the bundled scenes become a store first."""
    if corpus.path is None:
        maps.build_examples()
    store = corpus.path or maps.stores()[maps.BUNDLED[1]]
    clips = {f"map_clips_{store.name}": maps.split_label(store, split or maps.EVERYTHING)}
    return {"map_corpus": store.name, "map_model": encoder.name} | clips
