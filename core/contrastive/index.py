"""An index of a corpus: every clip's embedding, made once and kept, and exact search by cosine.

N clips, D size of an embedding.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core.audio.clip import HOP
from core.errors import RavelError
from core.files import replace

if TYPE_CHECKING:
    from core.checkpoints.checkpoint import Checkpoint
    from core.contrastive.embed import Encoder
    from core.data.store import FeatureStore

FORMAT = 1
CHUNK = 64  # clips embedded between two writes
PAIRS = 20_000  # of clips, whose distances give the scale
FILE = "index.npy"


class Found(NamedTuple):
    """Clips, nearest first: their numbers `rows` [K] and cosine `distances` [K], from 0 to 2."""

    rows: np.ndarray
    distances: np.ndarray


@dataclass(frozen=True, eq=False)
class Index:
    """`h` float32 [N, D], the embeddings of N clips, each of length 1."""

    h: np.ndarray

    @classmethod
    def of(cls, embeddings: np.ndarray) -> Index:
        """The index of embeddings [N, D] of any length. Raises RavelError unless all are finite."""
        return cls(unit(embeddings))

    def __len__(self) -> int:
        return len(self.h)

    def nearest(
        self,
        query: np.ndarray,
        count: int = 10,
        *,
        among: np.ndarray | None = None,
        without: Sequence[int] | np.ndarray = (),
    ) -> Found:
        """The up to `count` clips nearest to the embedding `query` [D]; of ties the first ones.

        `among` bool [N] restricts the search, `without` leaves out clips by their numbers. Raises
        RavelError when the query has another size or is not finite.
        """
        if np.shape(query) != self.h.shape[1:]:
            raise RavelError(
                f"The query has the shape {np.shape(query)}, but embeddings of this index have "
                f"{self.h.shape[1:]}: embed it with the same encoder."
            )
        similarity = self.h @ unit(np.asarray(query)[None])[0]
        allowed = np.ones(len(self.h), bool) if among is None else np.array(among, bool)
        allowed[np.asarray(without, int)] = False
        rows = np.flatnonzero(allowed)
        similarity, count = similarity[rows], max(0, min(count, len(rows)))
        if 0 < count < len(rows):
            least = np.partition(similarity, len(rows) - count)[len(rows) - count]
            rows, similarity = rows[similarity >= least], similarity[similarity >= least]
        order = np.lexsort((rows, -similarity))[:count]
        return Found(rows[order], (1 - similarity[order]).clip(0, 2))

    @cached_property
    def scale(self) -> np.ndarray:
        """The distances of two clips drawn at random, in ascending order, up to 20,000 of them."""
        if len(self) < 2:
            return np.zeros(0, np.float32)
        rng = np.random.default_rng(0)
        one, other = rng.integers(len(self), size=(2, PAIRS))
        one, other = one[one != other], other[one != other]
        parts = zip(np.array_split(one, 10), np.array_split(other, 10), strict=True)
        cosines = [np.einsum("nd,nd->n", self.h[a], self.h[b]) for a, b in parts]
        return np.sort(1 - np.concatenate(cosines))

    def share_nearer(self, distance: float) -> float:
        """The share of pairs of clips that are nearer to each other than this, from 0 to 1."""
        return float(np.searchsorted(self.scale, distance) / max(1, len(self.scale)))


def folder_of(store: FeatureStore, checkpoint: Checkpoint) -> Path:
    """Where in a store's folder the index of its clips by this encoder is kept."""
    audio = (store.path / "audio.npy").stat() if store.has_audio else None
    facts = [FORMAT, checkpoint.digest, audio and [audio.st_size, audio.st_mtime_ns]]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return store.path / "embeddings" / f"{checkpoint.name.replace('@', '-')}-{key}"


def read(folder: Path) -> Index | None:
    """What `build` left in a folder, mapped into memory; None when it has not finished there."""
    found = _array(folder / FILE)
    return None if found is None else Index(found)


def build(
    store: FeatureStore,
    checkpoint: Checkpoint,
    on_progress: Callable[[int, int], Any] | None = None,
) -> Index:
    """The index of all clips of a store with audio, from its folder if it is there.

    Every CHUNK is written as it is done, so a killed build continues where it was. `on_progress`
    takes how many clips are done, and how many there are. Raises RavelError without audio, for a
    broken checkpoint, and where nothing can be written.
    """
    if not store.has_audio:
        raise RavelError(
            f"{store.path} holds log-mels only, but an encoder needs sound: build it again with "
            "its audio."
        )
    folder = folder_of(store, checkpoint)
    found = read(folder)
    if found is not None and len(found) == len(store):
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        whole = np.concatenate(
            list(_chunks(store, checkpoint, folder, on_progress or (lambda done, of: None)))
        )
        _write(folder / FILE, unit(whole))
    except OSError as error:
        raise RavelError(f"{folder} cannot be written ({error.strerror}).") from error
    for leftover in folder.glob("chunk-*.npy"):
        leftover.unlink(missing_ok=True)
    return Index(np.load(folder / FILE, mmap_mode="r"))


def wave(store: FeatureStore, row: int) -> np.ndarray:
    """A clip's sound [S], without what pads it to the longest of its store."""
    ends = (int(store.lengths[row]) - 1) * HOP
    return store.clip(row).wave[: max(ends, 1)]


def same_recording(store: FeatureStore, row: int) -> np.ndarray:
    """The clips that are segments of the same recording as this one, itself among them."""
    names = store.labels["name"]
    if store.kind != "folder":
        return np.array([row])
    stem = str(names[row]).rpartition("-")[0]  # a segment's number ends its name
    near = np.flatnonzero(np.char.startswith(names, f"{stem}-"))
    return near[[str(names[i]).rpartition("-")[0] == stem for i in near]]


def _chunks(
    store: FeatureStore,
    checkpoint: Checkpoint,
    folder: Path,
    on_progress: Callable[[int, int], Any],
) -> Iterable[np.ndarray]:
    model: Encoder | None = None
    for number, first in enumerate(range(0, len(store), CHUNK)):
        on_progress(first, len(store))
        path = folder / f"chunk-{number:05d}.npy"
        rows = range(first, min(first + CHUNK, len(store)))
        part = _array(path)
        if part is None or len(part) != len(rows):
            model = model or _load(checkpoint)
            part = model.clips(store, rows).numpy()
            unit(part)  # what is not finite is found at once
            _write(path, part)
        yield part
    on_progress(len(store), len(store))


def _load(checkpoint: Checkpoint) -> Encoder:
    from core.contrastive import embed

    step = "" if checkpoint.snapshot is None else f"@{checkpoint.snapshot}"
    return embed.load(f"{checkpoint.path}{step}")


def unit(x: np.ndarray) -> np.ndarray:
    """Rows [N, D] at length 1, in single precision; those of zeros stay."""
    if not np.isfinite(x).all():
        raise RavelError(
            "The encoder gives embeddings that are not finite: its training diverged, so choose "
            "another."
        )
    x = np.asarray(x, np.float32)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _array(path: Path) -> np.ndarray | None:
    try:
        found = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):  # missing or damaged: made again
        return None
    return found if found.ndim == 2 and found.dtype == np.float32 else None


def _write(path: Path, array: np.ndarray) -> None:
    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.save(file, array)

    replace(path, write)
