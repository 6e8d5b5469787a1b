"""Arrays on disk that are too large for memory: joined of several files, and read row by row."""

from __future__ import annotations

import bisect
import itertools
import mmap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

MOST_MAPPED = 2**26  # bytes that a reader touches before it lets the pages go
AROUND = 2**16  # bytes that the kernel maps with each row, as it expects its neighbours to be read
MOST_FIXED = 2**28  # bytes of a label column that is kept as NumPy's text of one width


class Joined:
    """Arrays [n, w, ...] one after the other as one array [N, W, ...], W the widest of them.

    It is indexed as NumPy's arrays are, which copies what is asked for and nothing else; rows of
    the narrower arrays end in `fill`. It cannot be written to.
    """

    def __init__(self, parts: Sequence[np.ndarray], fill: float) -> None:
        self.parts, self.fill = list(parts), fill
        self.starts = np.cumsum([0, *map(len, parts)])  # where each part begins, then the end
        widest = max(part.shape[1] for part in parts)
        self.shape = (int(self.starts[-1]), widest, *parts[0].shape[2:])
        self.dtype = parts[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The size of the whole array in memory, which it is never brought into."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, key: Any) -> np.ndarray:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(first, int | np.integer):
            return self._row(int(first), tuple(rest))
        rows = np.arange(len(self))[first]
        found = self._rows(rows.ravel()).reshape(*rows.shape, *self.shape[1:])
        return found[(slice(None), *rest)] if rest else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._rows(np.arange(len(self))), dtype)

    def _row(self, row: int, rest: tuple[Any, ...]) -> np.ndarray:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        row %= len(self)
        part = int(np.searchsorted(self.starts, row, side="right")) - 1
        found = self.parts[part][row - self.starts[part]]
        if len(found) < self.shape[1]:
            found = self._padded(found[None])[0]
        return found[rest] if rest else found

    def _rows(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        part_of = np.searchsorted(self.starts, rows, side="right") - 1
        for part in np.unique(part_of):
            mine = np.flatnonzero(part_of == part)
            out[mine] = self._padded(self.parts[part][rows[mine] - self.starts[part]])
        return out

    def _padded(self, found: np.ndarray) -> np.ndarray:
        missing = self.shape[1] - found.shape[1]
        edges = [(0, 0), (0, missing), *[(0, 0)] * (found.ndim - 2)]
        return np.pad(found, edges, constant_values=self.fill) if missing else found


class Rows:
    """Some rows of an array on disk, read when they are asked for.

    All that a call needs is asked of the disk at once, and freed soon after: a process that
    reads a corpus again and again stays as small as it was. The operating system keeps in its cache
    what there is room for.
    """

    def __init__(self, array: Any, rows: np.ndarray) -> None:
        self.array, self.rows = array, rows
        self._maps = sorted(_maps(array), key=lambda found: found[0])
        self._touched = 0

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.array.shape[1:])

    def __getitem__(self, indices: np.ndarray | slice) -> np.ndarray:
        """The rows with these numbers, [B, ...]."""
        return self._read([np.asarray(self.array[row]) for row in self.rows[indices].tolist()])

    def spans(self, indices: np.ndarray, starts: np.ndarray, size: int) -> np.ndarray:
        """Of each row the items from its start on, [B, size, ...]; its last one is repeated where
        it ends before."""
        last = self.array.shape[1]
        ends = np.minimum(starts + size, last).tolist()
        parts = [
            np.asarray(self.array[row, start:end])
            for row, start, end in zip(
                self.rows[indices].tolist(), starts.tolist(), ends, strict=True
            )
        ]
        return self._read(parts, size)

    def touched(self, size: int) -> None:
        """Count bytes that were read of the array, and let its pages go when they are many."""
        self._touched += size
        if self._touched > MOST_MAPPED:
            for _, mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)
            self._touched = 0

    def _read(self, parts: list[np.ndarray], size: int | None = None) -> np.ndarray:
        for part in parts:
            self._expect(part)
        if size is not None:
            parts = [_ended(part, size) for part in parts]
        found = np.stack(parts) if parts else np.empty((0, *self.shape[1:]), self.array.dtype)
        self.touched(found.nbytes + len(found) * AROUND)
        return found

    def _expect(self, part: np.ndarray) -> None:
        """Have the kernel read a part of the file. Waiting for it page by page, as a map does by
        itself, takes a hundred times as long; and of its neighbours nothing is needed."""
        address = part.__array_interface__["data"][0]
        number = bisect.bisect_right(self._maps, address, key=lambda found: found[0]) - 1
        if number >= 0 and part.nbytes:
            start, mapped = self._maps[number]
            first = (address - start) // mmap.PAGESIZE * mmap.PAGESIZE
            if address - start + part.nbytes <= len(mapped):  # else it was copied already
                mapped.madvise(mmap.MADV_WILLNEED, first, address - start - first + part.nbytes)


def _maps(array: Any) -> Iterator[tuple[int, mmap.mmap]]:
    """The maps that an array is a part of, each with its address; none for one in memory."""
    for part in getattr(array, "parts", [array]):
        while isinstance(part, np.ndarray):
            part = part.base
        if isinstance(part, mmap.mmap):
            yield np.frombuffer(part, np.uint8).__array_interface__["data"][0], part


def _ended(part: np.ndarray, size: int) -> np.ndarray:
    """An array [n, ...] with its last item repeated up to `size` of them."""
    edges = [(0, size - len(part)), *[(0, 0)] * (part.ndim - 1)]
    return np.pad(part, edges, mode="edge") if len(part) < size else part


class Columns(Mapping[str, np.ndarray]):
    """Label columns [N] by name, each decoded when it is first asked for and then kept.

    `files` holds three arrays for each column: which of the values each clip has (none where each
    clip has its own), the values' texts as UTF-8, one after the other, and where each text begins.
    """

    def __init__(self, files: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        self._files = files
        self._decoded: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._decoded:
            file = self._files[name]
            starts, text = file["starts"].tolist(), file["text"].tobytes()
            pairs = itertools.pairwise(starts)
            texts, codes = [text[a:b].decode() for a, b in pairs], file["codes"]
            width = 4 * max(map(len, texts), default=1) * max(len(codes), len(texts))
            values = np.array(texts, dtype=object if width > MOST_FIXED else str)
            self._decoded[name] = values[codes] if len(codes) else values
        return self._decoded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def row(self, index: int) -> dict[str, str]:
        """The labels of one clip, without decoding those of the others."""
        found = {}
        for name, file in self._files.items():
            codes, count = file["codes"], len(file["starts"]) - 1
            at = int(codes[index]) if len(codes) else index % count
            start, end = file["starts"][at : at + 2].tolist()
            found[name] = file["text"][start:end].tobytes().decode()
        return found


def encoded(column: Sequence[str]) -> dict[str, np.ndarray]:
    """A column of labels as `Columns` keeps it."""
    values = list(dict.fromkeys(column))
    codes = np.empty(0, np.uint32)
    if len(values) < len(column):
        number = {value: i for i, value in enumerate(values)}
        smallest = np.min_scalar_type(len(values))
        codes = np.fromiter((number[value] for value in column), smallest, len(column))
    texts = [value.encode() for value in values]
    starts = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    return {"codes": codes, "starts": starts, "text": np.frombuffer(b"".join(texts), np.uint8)}
