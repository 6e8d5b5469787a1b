"""The corpora of the Find page, their clips, and the sound that is searched for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from core import service
from core.audio.clip import SAMPLE_RATE, Clip, from_array
from core.checkpoints.checkpoint import Checkpoint
from core.errors import RavelError
from core.service import corpora as stores
from core.service import included, mixtures
from core.service.mixtures import MixtureSource
from lab.bundled import SCENES_STORE, build_stores, sources
from lab.widgets import mixture_slot

if TYPE_CHECKING:
    import pandas as pd

    from core.contrastive.index import Found, Index

BUNDLED = "Bundled examples"
TOO_QUIET = 60.0  # dB below the whole sound: a channel this quiet is only rounding


class Corpus(NamedTuple):
    """Clips to search: those of a store, or without one the bundled examples."""

    name: str
    path: Path | None = None


class Query(NamedTuple):
    """A sound to search for, at full level; for a channel, how many dB `below` the whole it was;
    for a whole clip of a corpus, its place there."""

    clip: Clip
    below: float | None = None
    place: tuple[Corpus, int] | None = None


def corpora() -> dict[str, Corpus]:
    """The feature stores with audio by name; the bundled examples last."""
    found = {
        name: Corpus(name, path)
        for name, path in stores.stores().items()
        if (path / "audio.npy").exists()
    }
    return found | {BUNDLED: Corpus(BUNDLED)}


def offered() -> dict[str, Corpus]:
    """The corpora to choose from: the bundled examples only until all that ships is unpacked."""
    found = corpora()
    if included.NAME in found:
        del found[BUNDLED]
    return found


def labels(corpus: Corpus) -> dict[str, np.ndarray]:
    """The labels of each clip, `name` first: columns [N]."""
    if corpus.path:
        return stores.columns(corpus.path)
    rows = sources()
    return {
        "name": np.array(list(rows)),
        "label": np.array([str(row["what"]) for row in rows.values()]),
        "title": np.array([str(row["title"]) for row in rows.values()]),
    }


def is_music(corpus: Corpus) -> bool:
    """Whether every clip of a corpus is of a named instrument."""
    found = labels(corpus).get("instrument")
    return found is not None and bool(np.all(found != ""))


def fullest(corpus: Corpus, columns: list[str]) -> str:
    """The first of some columns of labels that most clips have a value in."""
    found = labels(corpus)
    return max(columns, key=lambda column: int(np.sum(found[column] != "")))


def filters(corpus: Corpus) -> dict[str, list[str]]:
    """The columns that can restrict a search and their values, the most informative first."""
    if corpus.path:
        return stores.label_values_of(corpus.path)
    return stores.label_values(labels(corpus))


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
        matches = [bool(stores.labels_in(column, value) & wanted) for value in values]
        rows &= np.array(matches)[where]
    return rows


def index(corpus: Corpus, encoder: Checkpoint) -> Index:
    """A corpus's index, made first if it is not on disk. Raises RavelError."""
    if corpus.path:
        return stores.index(corpus.path, encoder)
    return stores.index_of(stores.Clips(tuple(map(_example, sources()))), encoder)


# -- the query ---------------------------------------------------------------------------------


def channels_of(separator: Checkpoint) -> int:
    """How many channels a separator has, by its config."""
    return int(separator.config.get("model", {}).get("channels", 0))


def query(
    taken: MixtureSource,
    separator: Checkpoint | None = None,
    channel: int = 0,
    place: tuple[Corpus, int] | None = None,
) -> Query:
    """A sound, or channel 1, 2, ... of it, normalised as clips are. `place`: where it is from, if
    it is a clip of a corpus. Raises RavelError."""
    whole = mixtures.mixture(taken).clip
    if not separator or not channel:
        return Query(_at_full_level(whole.wave, taken.name), place=place)
    wave = mixtures.separate(separator, taken).waves[channel - 1]
    level = float(np.sqrt(np.mean(wave**2) / np.mean(whole.wave**2)))
    below = max(0.0, -20 * np.log10(max(level, 1e-9)))
    if below > TOO_QUIET:
        raise RavelError(f"Channel {channel} is silent: choose another one, or the whole sound.")
    return Query(_at_full_level(wave, f"{taken.name}-channel-{channel}"), below)


def embedding(query: Query, encoder: Checkpoint) -> np.ndarray:
    """A query's embedding [D]. Raises RavelError, as for a table that has no such clip."""
    if query.place and query.place[0].path:
        return stores.embedding(query.place[0].path, query.place[1], encoder)
    return service.embedding(encoder, query.clip)


def _at_full_level(wave: np.ndarray, name: str) -> Clip:
    return from_array(wave, SAMPLE_RATE, name=name)


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
        return stores.clip(corpus.path, row)
    return _example(str(labels(corpus)["name"][row]))


def log_mel(corpus: Corpus, row: int) -> np.ndarray:
    """A clip's log-mel [T, 80]."""
    if corpus.path:
        return stores.log_mel(corpus.path, row)
    return service.log_mel(clip(corpus, row))


def same_recording(corpus: Corpus, row: int) -> np.ndarray:
    """A clip and the others from the same recording, by their numbers."""
    return stores.same_recording(corpus.path, row) if corpus.path else np.array([row])


def _example(name: str) -> Clip:
    return mixture_slot.bundled((name,)).clips[0]


# -- results -----------------------------------------------------------------------------------


def table(corpus: Corpus, found: Found) -> pd.DataFrame:
    """The clips found: rank, distance and all labels."""
    import pandas as pd

    columns = {column: values[found.rows] for column, values in labels(corpus).items()}
    ranks = np.arange(1, len(found.rows) + 1)
    return pd.DataFrame({"rank": ranks, "distance": found.distances.round(6), **columns})


def map_address(corpus: Corpus, split: str | None, encoder: Checkpoint) -> dict[str, str]:
    """The Map page's address parameters for a corpus; the bundled scenes become a store first."""
    if corpus.path is None:
        build_stores()
    store = corpus.path or stores.stores()[SCENES_STORE]
    clips = {f"map_clips_{store.name}": stores.split_label(store, split or stores.EVERYTHING)}
    return {"map_corpus": store.name, "map_model": encoder.name} | clips
