"""A table of embeddings, made elsewhere, as an encoder of the clips that it names.

N rows, D size of an embedding. Tables are .npz or .parquet files; no pickle is ever loaded.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np
import torch
from torch import Tensor

from core.checkpoints.checkpoint import Checkpoint
from core.contrastive.embed import Timeline, Waveform
from core.errors import RavelError

if TYPE_CHECKING:
    import pandas as pd

    from core.data.store import FeatureStore

NAMES = ("names", "name", "clip", "file", "filename", "file_name", "fname", "path")
VALUES = ("h", "embedding", "embeddings", "vector")
SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aif", ".aiff", ".npy"}


class Rows(NamedTuple):
    """`names` [N], each once, and their embeddings `h` float32 [N, D]."""

    names: list[str]
    h: np.ndarray

    def tensors(self) -> dict[str, Tensor]:
        """As a checkpoint keeps them: the names as the bytes of a JSON list."""
        text = np.frombuffer(json.dumps(self.names).encode(), np.uint8)
        return {"names": torch.from_numpy(text.copy()), "h": torch.from_numpy(self.h)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], size: int) -> Rows:
        """The rows of a checkpoint's tensors. Raises ValueError or KeyError for damaged ones."""
        names, h = json.loads(tensors["names"].numpy().tobytes()), tensors["h"].float().numpy()
        if h.shape != (len(names), size) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{len(names)} names, {h.shape} embeddings")
        return cls(names, h)


class Table:
    """A table as an `Encoder`: it knows the clips that it has rows of, and no other sound."""

    def __init__(self, checkpoint: Checkpoint, rows: Rows) -> None:
        self.checkpoint, self.rows, self.size = checkpoint, rows, rows.h.shape[1]
        self._places = places(rows.names)
        self._found: tuple[FeatureStore, np.ndarray] | None = None

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    def embed(self, sound: Waveform) -> Tensor:
        """Raises RavelError: the embedding of a new sound cannot be computed."""
        raise self._unable()

    def embed_many(self, sounds: Iterable[Waveform]) -> Tensor:
        """Raises RavelError, as `embed`."""
        raise self._unable()

    def timeline(self, sound: Waveform, hop_seconds: float = 0.96) -> Timeline:
        """Raises RavelError, as `embed`."""
        raise self._unable()

    def clips(self, store: FeatureStore, rows: Iterable[int]) -> Tensor:
        """The embeddings [N, D] of clips of a store. RavelError unless the table has them all."""
        if self._found is None or self._found[0] is not store:
            self._found = store, rows_of(store, self._places)
        at = self._found[1][np.fromiter(rows, int)]
        if (at < 0).any():
            lost = store.labels["name"][self._found[1] < 0]
            some = ", ".join(repr(str(name)) for name in lost[:3])
            raise RavelError(
                f"The table {self.name} has no embedding of {len(lost):,} of the {len(store):,} "
                f"clips of {store.path.name}, such as {some}; its own names are like "
                f"{self.rows.names[0]!r}: make a table with a row for each name in clips.csv."
            )
        return torch.from_numpy(self.rows.h[at])

    def _unable(self) -> RavelError:
        return RavelError(
            f"{self.name} is a table of embeddings, so only the clips in it can be searched for: "
            "choose one of them, or add the encoder itself (python -m core encoder --hear)."
        )


def places(names: list[str]) -> dict[str, int]:
    """The row of each name: as it stands, without an audio file's suffix, and without folders where
    that is still one row's alone."""
    short = [
        str(Path(n).with_suffix("")) if Path(n).suffix.lower() in SUFFIXES else n for n in names
    ]
    bases = [name.rpartition("/")[2] for name in short]
    found: dict[str, int] = {}
    for spelt in (bases, short):
        counts = Counter(spelt)
        found |= {name: row for row, name in enumerate(spelt) if counts[name] == 1}
    return found | {name: row for row, name in enumerate(names)}


def rows_of(store: FeatureStore, places: Mapping[str, int]) -> np.ndarray:
    """The row [N] of each clip of a store, -1 for none.

    A clip is looked up by its name, and the only clip of a recording by the recording's too.
    """
    names = [str(name) for name in store.labels["name"]]
    recordings = [name.rpartition("-")[0] for name in names]  # a segment's number ends its name
    segments = Counter(recordings)
    alone = [store.kind == "folder" and segments[recording] == 1 for recording in recordings]
    return np.array(
        [
            places.get(name, places.get(recording, -1) if single else -1)
            for name, recording, single in zip(names, recordings, alone, strict=True)
        ]
    )


def read(path: Path, names: str | None = None, values: str | None = None) -> Rows:
    """The rows of a .npz or .parquet file; `names` and `values` say which arrays or columns.

    Raises RavelError for a table that is unclear, has no or double names, embeddings of several
    sizes, or numbers that are not finite.
    """
    if not path.is_file():
        raise RavelError(f"There is no table {path}.")
    if path.suffix.lower() == ".npz":
        found = _read_npz(path, names, values)
    elif path.suffix.lower() in (".parquet", ".pq"):
        found = _read_parquet(path, names, values)
    else:
        raise RavelError(f"{path} is no table: give an .npz or a .parquet file.")
    return _checked(path, *found)


def _checked(path: Path, names: list[str], h: np.ndarray) -> Rows:
    if not len(names):
        raise RavelError(f"{path} has no rows.")
    empty = [row for row, name in enumerate(names) if not name.strip()]
    if empty:
        raise RavelError(f"{path} has no name in row {empty[0] + 1}: every row needs a clip's.")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise RavelError(f"{path} has {count} rows called {name!r}: give each clip one row.")
    bad = np.flatnonzero(~np.isfinite(h).all(axis=1))
    if len(bad):
        raise RavelError(
            f"{path} has numbers that are not finite in {len(bad)} of {len(h)} rows, first that of "
            f"{names[bad[0]]!r}: compute them again."
        )
    return Rows(names, np.ascontiguousarray(h, np.float32))


def _read_npz(path: Path, names: str | None, values: str | None) -> tuple[list[str], np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise RavelError(f"{path} is damaged, or no .npz file: write it again, by np.savez.")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise RavelError(
                f"{path} holds Python objects, which Ravel does not load: save the names as "
                "np.array(names, dtype=str) and the embeddings as one float array [clips, size]."
            ) from None
        raise RavelError(f"{path} is damaged ({error}): write it again.") from None
    except Exception as error:  # a zip file may fail in many ways
        raise RavelError(f"{path} is damaged ({type(error).__name__}): write it again.") from None
    texts = [name for name, x in arrays.items() if x.ndim == 1 and x.dtype.kind == "U"]
    numbers = [name for name, x in arrays.items() if x.ndim == 2 and x.dtype.kind == "f"]
    sizes = {name: f"{name} {x.dtype} {x.shape}" for name, x in arrays.items()}
    at = _one(path, "--names", "array of strings", names, NAMES, texts, sizes)
    of = _one(path, "--values", "float array [clips, size]", values, VALUES, numbers, sizes)
    if len(arrays[at]) != len(arrays[of]):
        raise RavelError(
            f"{path} has {len(arrays[at])} names in {at}, but {len(arrays[of])} rows in {of}."
        )
    return arrays[at].tolist(), arrays[of]


def _read_parquet(
    path: Path, names: str | None, values: str | None
) -> tuple[list[str], np.ndarray]:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow's own
        raise RavelError(f"{path} is damaged ({type(error).__name__}): write it again.") from None
    if not pd.api.types.is_numeric_dtype(frame.index.dtype):
        frame = frame.reset_index()
    frame.columns = frame.columns.map(str)
    first = {name: column.iloc[0] if len(column) else None for name, column in frame.items()}
    kinds = {str(name): f"{name} ({_kind(column)})" for name, column in frame.items()}
    texts = [str(name) for name, value in first.items() if isinstance(value, str)]
    lists = [str(name) for name, value in first.items() if isinstance(value, np.ndarray | list)]
    floats = [name for name, column in frame.items() if pd.api.types.is_float_dtype(column)]
    at = _one(path, "--names", "column of names", names, NAMES, texts, kinds)
    if values is None and not lists and len(floats) > 1:
        h = frame[floats].to_numpy(np.float32)
    else:
        of = _one(path, "--values", "column of lists of numbers", values, VALUES, lists, kinds)
        h = _stacked(path, of, frame[of])
    if frame[at].isna().any():
        raise RavelError(f"{path} has rows without a name in its column {at}: give every row one.")
    return frame[at].astype(str).tolist(), h


def _stacked(path: Path, name: str, column: pd.Series) -> np.ndarray:
    sizes = [np.shape(value) for value in column]
    other = next((row for row, size in enumerate(sizes) if size != sizes[0]), None)
    if other is not None:
        raise RavelError(
            f"{path} has embeddings of several sizes in its column {name}: {sizes[0]} in row 1, "
            f"{sizes[other]} in row {other + 1}."
        )
    fault = RavelError(f"{path}: the column {name} holds no lists of numbers.")
    try:
        h = np.stack([np.asarray(value, np.float32) for value in column])
    except (TypeError, ValueError):
        raise fault from None
    if h.ndim != 2:
        raise fault
    return h


def _one(
    path: Path,
    flag: str,
    what: str,
    given: str | None,
    usual: tuple[str, ...],
    found: list[str],
    every: Mapping[str, str],
) -> str:
    """The array or column that is meant: the one given, one of the usual names, or the only one."""
    if given is not None:
        if given not in every:
            _unclear(path, f"has nothing called {given!r}", every, f"{flag} takes one of these.")
        if given not in found:
            _unclear(path, f"has {given!r}, which is no {what}", every, f"give another {flag}.")
        return given
    known = [name for name in usual if name in found] or found
    if not known:
        _unclear(path, f"has no {what}", every, "write one.")
    if len(known) > 1 and known == found:
        _unclear(path, f"has more than one {what}", every, f"say which with {flag}.")
    return known[0]


def _unclear(path: Path, fault: str, every: Mapping[str, str], remedy: str) -> NoReturn:
    listed = ", ".join([*every.values()][:12]) or "nothing"
    more = f" and {len(every) - 12} more" if len(every) > 12 else ""
    raise RavelError(f"{path} {fault}; it holds {listed}{more}: {remedy}")


def _kind(column: pd.Series) -> str:
    value = column.iloc[0] if len(column) else None
    return type(value).__name__ if column.dtype == object else str(column.dtype)
