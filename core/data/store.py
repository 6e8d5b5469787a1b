"""The feature store: a folder of log-mels with their labels, mapped into memory for training."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.audio.clip import Clip
from core.audio.mel import EPSILON, N_MELS
from core.errors import RavelError
from core.files import replace

FORMAT = 1
LOG_FLOOR = float(np.log(EPSILON))  # what a silent frame has, and what pads short clips
PCM = 32_767  # full scale of the stored audio
HELD_OUT_EVERY = 10  # clips, of a store that holds none out itself


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some finished clips. `rows`: their labels; `audio`: int16 [S] each, or None for none."""

    rows: list[dict[str, str]]
    log_mel: list[np.ndarray]  # each [T, M]
    audio: list[np.ndarray] | None = None


@dataclass(frozen=True, eq=False)
class FeatureStore:
    """N clips: `log_mel` float16 [N, T, M] (a memory map), `lengths` int32 [N] in frames, and
    `labels`, a column [N] of strings for each label, `name` and `split` among them."""

    path: Path
    info: dict[str, Any]
    log_mel: np.ndarray
    lengths: np.ndarray
    labels: dict[str, np.ndarray]
    audio: np.ndarray | None = field(default=None, repr=False)

    @classmethod
    def open(cls, path: str | os.PathLike) -> FeatureStore:
        """The finished store at `path`. RavelError where there is none, or an unfinished one."""
        path = Path(path)
        info = _read_info(path)
        if info is None:
            raise RavelError(f"{path} is no feature store: build one with 'python -m core data'.")
        if not info.get("finished"):
            raise RavelError(f"{path} is unfinished: run the same command again to continue it.")
        try:
            labels = _read_csv(path / "clips.csv")
            log_mel = _read_npy(path / "log_mel.npy", mapped=True)
            lengths = _read_npy(path / "lengths.npy")
            audio = _read_npy(path / "audio.npy", mapped=True) if info["audio"] else None
            sizes = {len(log_mel), len(lengths), *map(len, labels.values()), info["clips"]}
            if not isinstance(info["kind"], str) or not isinstance(info["settings"], dict):
                raise ValueError("store.json")
            if len(sizes) != 1 or log_mel.shape[2:] != (N_MELS,):
                raise ValueError(f"sizes {sizes}")
        except (OSError, ValueError, KeyError, IndexError, TypeError, csv.Error) as error:
            said = " ".join(str(error).split())[:120]
            raise RavelError(
                f"{path} is damaged ({said}): delete it and build it again."
            ) from error
        return cls(path, info, log_mel, lengths, labels, audio)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def kind(self) -> str:
        return self.info["kind"]

    @property
    def settings(self) -> dict[str, Any]:
        """What the store was built with."""
        return self.info["settings"]

    @property
    def synthesiser(self) -> str:
        """What played the clips, or '' for recordings."""
        return self.info["synthesiser"]

    @property
    def has_audio(self) -> bool:
        return self.audio is not None

    def indices(self, split: str | None = None) -> np.ndarray:
        """Numbers of the clips of a split ('train', 'validation', ...), maybe none, or of all."""
        everything = np.arange(len(self))
        return everything if split is None else everything[self.labels["split"] == split]

    def training_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the clips to train on, and of those to validate on.

        They are the splits 'train' and 'validation'. Without a 'train' all other clips but the
        counterfactuals are taken; without a 'validation' every tenth of those is held out, and of
        a single clip the clip itself.
        """
        train, held_out = self.indices("train"), self.indices("validation")
        if not len(train):
            others = ~np.isin(self.labels["split"], ["validation", "counterfactual"])
            train = np.flatnonzero(others)
        if not len(held_out):
            middle = HELD_OUT_EVERY // 2
            held_out = train[middle::HELD_OUT_EVERY] if len(train) > middle else train[-1:]
            train = np.setdiff1d(train, held_out) if len(train) > 1 else train
        return train, held_out

    def clip(self, index: int) -> Clip:
        """One clip as sound, at the level of its log-mel."""
        if self.audio is None:
            raise RavelError(f"{self.path} holds log-mels only: build it again with its audio.")
        labels = {key: str(column[index]) for key, column in self.labels.items()}
        wave = self.audio[index].astype(np.float32) / PCM
        return Clip(wave, labels.pop("name"), labels)


class StoreWriter:
    """Builds a store from chunks, in any order, by any process; it appears whole or not at all.

    A folder that an earlier writer with the same settings left unfinished is continued. RavelError
    when the folder holds anything else.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        kind: str,
        settings: Mapping[str, Any],
        chunks: int,
        synthesiser: str = "",
    ) -> None:
        self.path, self.chunks = Path(path), chunks
        wanted = {"kind": kind, "synthesiser": synthesiser, "settings": dict(settings)}
        self.info = json.loads(json.dumps({"format": FORMAT, **wanted, "chunks": chunks}))
        found = _read_info(self.path)
        if found is None:
            self._start()
        elif any(found.get(key) != value for key, value in self.info.items()):
            raise RavelError(
                f"{self.path} was built with other settings ({_difference(found, self.info)}): "
                "choose another folder or delete that one."
            )
        self.finished = bool(found and found.get("finished"))
        if self.finished:  # only a kill right after the last step leaves these behind
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _folder(self) -> Path:
        return self.path / "chunks"

    def _start(self) -> None:
        try:
            names = [file.name for file in self.path.iterdir()] if self.path.exists() else []
            if any(name != "chunks" and not name.startswith(".store.json.") for name in names):
                raise RavelError(f"{self.path} holds other files: choose a new or empty folder.")
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(self.path / "store.json", _json({**self.info, "finished": False}))
        except OSError as error:
            raise RavelError(f"{self.path} cannot be written ({error.strerror}).") from error

    def _remove_temporary(self) -> None:
        for file in self.path.glob(".*.tmp"):  # what a killed writer left
            file.unlink(missing_ok=True)

    def missing(self) -> list[int]:
        """Numbers of the chunks still to be written."""
        if self.finished:
            return []
        done = {int(file.stem) for file in self._folder.glob("*.npz")}
        return [number for number in range(self.chunks) if number not in done]

    def write(self, number: int, chunk: Chunk) -> None:
        """Adds a chunk, whole or not at all; safe to call from any process."""
        arrays = {"rows": np.array(json.dumps(chunk.rows))}
        arrays["lengths"] = np.array([len(mel) for mel in chunk.log_mel], dtype=np.int32)
        arrays["log_mel"] = _joined(chunk.log_mel, np.zeros((0, N_MELS))).astype(np.float16)
        if chunk.audio is not None:
            arrays["samples"] = np.array([len(wave) for wave in chunk.audio], dtype=np.int64)
            arrays["audio"] = _joined(chunk.audio, np.zeros(0)).astype(np.int16)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # the stub takes them for allow_pickle
        self._folder.mkdir(exist_ok=True)
        _write(self._folder / f"{number:06d}.npz", buffer.getvalue())

    def finish(self) -> FeatureStore:
        """Joins the chunks, in their order, and opens the store."""
        if not self.finished:
            self._join()
            shutil.rmtree(self._folder)
            self._remove_temporary()
            self.finished = True
        return FeatureStore.open(self.path)

    def _join(self) -> None:
        if self.missing():
            raise RavelError(
                f"{self.path} is unfinished: run the same command again to continue it."
            )
        rows: list[dict[str, str]] = []
        lengths, samples = [], []
        for number in range(self.chunks):
            with self._chunk(number) as chunk:
                rows += json.loads(str(chunk["rows"]))
                lengths.append(chunk["lengths"])
                samples += [chunk["samples"]] if "samples" in chunk else []
        if not rows:
            raise RavelError(f"Nothing was left to put into {self.path}: every clip was dropped.")
        frames = np.concatenate(lengths)
        self._stack("log_mel", frames, (N_MELS,), np.float16, LOG_FLOOR)
        if samples:
            self._stack("audio", np.concatenate(samples), (), np.int16, 0)
        _write(self.path / "lengths.npy", _npy(frames))
        _write(self.path / "clips.csv", _csv(rows))
        done = {**self.info, "clips": len(rows), "audio": bool(samples), "finished": True}
        _write(self.path / "store.json", _json(done))

    def _chunk(self, number: int) -> Any:
        return np.load(self._folder / f"{number:06d}.npz", allow_pickle=False)

    def _stack(
        self, name: str, sizes: np.ndarray, shape: tuple[int, ...], dtype: type, fill: float
    ) -> None:
        """The chunks' `name` as one padded array [N, longest, ...] on disk, never all in memory."""
        full = (len(sizes), int(sizes.max()), *shape)

        def fill_in(temporary: Path) -> None:
            out = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=full)
            for row, part in enumerate(self._parts(name)):
                out[row, : len(part)], out[row, len(part) :] = part, fill
            out.flush()

        replace(self.path / f"{name}.npy", fill_in)

    def _parts(self, name: str) -> Iterator[np.ndarray]:
        """Each clip's `name` (log-mel or audio), from the chunks."""
        for number in range(self.chunks):
            with self._chunk(number) as chunk:
                counts = chunk["lengths" if name == "log_mel" else "samples"]
                yield from np.split(chunk[name], np.cumsum(counts)[:-1]) if len(counts) else []


def to_pcm(wave: np.ndarray) -> np.ndarray:
    """A wave [S] in [-1, 1] as int16 [S], the way a store keeps it."""
    return np.rint(np.clip(wave, -1, 1) * PCM).astype(np.int16)


def _joined(parts: Sequence[np.ndarray], empty: np.ndarray) -> np.ndarray:
    return np.concatenate(list(parts)) if parts else empty


def _difference(found: Mapping, wanted: Mapping) -> str:
    if found.get("kind") != wanted["kind"] or found.get("synthesiser") != wanted["synthesiser"]:
        return f"{found.get('kind')}, {found.get('synthesiser') or 'recordings'}"
    old, new = found.get("settings") or {}, wanted["settings"]
    keys = [key for key in {**new, **old} if old.get(key) != new.get(key)]
    changes = [f"{key} was {old.get(key)}, now {new.get(key)}" for key in keys[:3]]
    return ", ".join(changes) or "format"


def _read_info(path: Path) -> dict[str, Any] | None:
    try:
        info = json.loads((path / "store.json").read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RavelError(
            f"{path / 'store.json'} is damaged: delete {path} and build it again."
        ) from error
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise RavelError(
            f"{path} is no feature store of this version: delete it and build it again."
        )
    return info


def _write(path: Path, data: bytes) -> None:
    replace(path, lambda temporary: temporary.write_bytes(data))


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _csv(rows: Sequence[Mapping[str, str]]) -> bytes:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _read_npy(path: Path, mapped: bool = False) -> np.ndarray:
    """An array from a .npy file. Raises OSError, or ValueError for a damaged one."""
    try:
        return np.load(path, mmap_mode="r" if mapped else None)
    except OSError:
        raise
    except Exception as error:  # its header is parsed as Python, and fails as Python may
        raise ValueError(f"{path.name}: {error}") from None


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    return {key: np.array([row[i] for row in rows]) for i, key in enumerate(header)}
