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
from core.data import store_files
from core.data.joined import Columns, Joined
from core.data.shard import WHOLE, Shard
from core.data.store_files import FORMAT, SHARDED, json_bytes, read_npy, write
from core.errors import RavelError
from core.files import replace

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
    `labels`, a column [N] of strings for each label, `name` and `split` among them.

    Of a store of many shards `log_mel` and `audio` are `Joined` arrays, which are indexed alike.
    """

    path: Path
    info: dict[str, Any]
    log_mel: np.ndarray
    lengths: np.ndarray
    labels: Mapping[str, np.ndarray]
    audio: np.ndarray | None = field(default=None, repr=False)

    @classmethod
    def open(cls, path: str | os.PathLike) -> FeatureStore:
        """The finished store at `path`. RavelError where there is none, or an unfinished one."""
        path = Path(path)
        info = store_files.read_info(path)
        if info is None:
            raise RavelError(f"{path} is no feature store: build one with 'python -m core data'.")
        if not info.get("finished"):
            raise RavelError(f"{path} is unfinished: run the same command again to continue it.")
        try:
            found = cls(
                path, info, *(_read_shards if info["format"] == SHARDED else _read)(path, info)
            )
            sizes = {len(found.log_mel), len(found.lengths), info["clips"]}
            if info["format"] == FORMAT:
                sizes |= set(map(len, found.labels.values()))
            if not isinstance(info["kind"], str) or not isinstance(info["settings"], dict):
                raise ValueError("store.json")
            if len(sizes) != 1 or found.log_mel.shape[2:] != (N_MELS,):
                raise ValueError(f"sizes {sizes}")
        except (OSError, ValueError, KeyError, IndexError, TypeError, csv.Error) as error:
            if isinstance(error, RavelError):
                raise
            said = " ".join(str(error).split())[:120]
            raise RavelError(
                f"{path} is damaged ({said}): delete it and build it again."
            ) from error
        return found

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

    def labels_of(self, index: int) -> dict[str, str]:
        """The labels of one clip, its name among them."""
        if isinstance(self.labels, Columns):
            return self.labels.row(index)
        return {key: str(column[index]) for key, column in self.labels.items()}

    @property
    def size(self) -> int:
        """The bytes of its log-mels and its sound."""
        return self.log_mel.nbytes + (0 if self.audio is None else self.audio.nbytes)

    @property
    def files(self) -> list[Path]:
        """The files that hold its log-mels."""
        shards = range(1, 1 + self.info.get("shards", 0))
        folders = [shard_folder(self.path, number) for number in shards] or [self.path]
        return [folder / "log_mel.npy" for folder in folders]

    def clip(self, index: int) -> Clip:
        """One clip as sound, at the level of its log-mel."""
        if self.audio is None:
            raise RavelError(f"{self.path} holds log-mels only: build it again with its audio.")
        labels = self.labels_of(index)
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
        shard: Shard = WHOLE,
    ) -> None:
        self.path, self.numbers = Path(path), shard.part(chunks)
        wanted = {"kind": kind, "synthesiser": synthesiser, "settings": dict(settings)}
        self.info = json.loads(json.dumps({"format": FORMAT, **wanted, "chunks": chunks}))
        self.info |= {"shard": list(shard)} if shard != WHOLE else {}
        found = store_files.read_info(self.path)
        if found is None:
            self._start()
        elif any(found.get(key) != self.info.get(key) for key in (*self.info, "shard")[1:]):
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
            write(self.path / "store.json", json_bytes({**self.info, "finished": False}))
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
        return [number for number in self.numbers if number not in done]

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
        write(self._folder / f"{number:06d}.npz", buffer.getvalue())

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
        for number in self.numbers:
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
        write(self.path / "lengths.npy", store_files.npy_bytes(frames))
        write(self.path / "clips.csv", store_files.csv_bytes(rows))
        done = {**self.info, "clips": len(rows), "audio": bool(samples), "finished": True}
        write(self.path / "store.json", json_bytes(done))

    def _chunk(self, number: int) -> Any:
        return np.load(self._folder / f"{number:06d}.npz", allow_pickle=False)

    def _stack(
        self, name: str, sizes: np.ndarray, shape: tuple[int, ...], dtype: type, fill: float
    ) -> None:
        """The chunks' `name` as one padded array [N, longest, ...] on disk, never all in memory."""
        full = (len(sizes), int(sizes.max()), *shape)

        def fill_in(temporary: Path) -> None:
            out = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=full)
            with open(temporary, "r+b") as file:  # where the disk is full, writing a map kills
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
            for row, part in enumerate(self._parts(name)):
                out[row, : len(part)], out[row, len(part) :] = part, fill
            out.flush()

        replace(self.path / f"{name}.npy", fill_in)

    def _parts(self, name: str) -> Iterator[np.ndarray]:
        """Each clip's `name` (log-mel or audio), from the chunks."""
        for number in self.numbers:
            with self._chunk(number) as chunk:
                counts = chunk["lengths" if name == "log_mel" else "samples"]
                yield from np.split(chunk[name], np.cumsum(counts)[:-1]) if len(counts) else []


def to_pcm(wave: np.ndarray) -> np.ndarray:
    """A wave [S] in [-1, 1] as int16 [S], the way a store keeps it."""
    return np.rint(np.clip(wave, -1, 1) * PCM).astype(np.int16)


def _joined(parts: Sequence[np.ndarray], empty: np.ndarray) -> np.ndarray:
    return np.concatenate(list(parts)) if parts else empty


def shard_folder(path: Path, number: int) -> Path:
    """Where a store of many keeps a shard; the first is 1."""
    return path / "shards" / f"{number:05d}"


def _read(path: Path, info: Mapping) -> tuple[Any, ...]:
    """The arrays of a store that is one array, as `FeatureStore` takes them."""
    labels = store_files.read_csv(path / "clips.csv")
    log_mel = read_npy(path / "log_mel.npy", mapped=True)
    audio = read_npy(path / "audio.npy", mapped=True) if info["audio"] else None
    return log_mel, read_npy(path / "lengths.npy"), labels, audio


def _read_shards(path: Path, info: Mapping) -> tuple[Any, ...]:
    """The arrays of a store of many shards. Raises RavelError where one is missing."""
    folders = [shard_folder(path, number) for number in range(1, 1 + info["shards"])]
    missing = [folder for folder in folders if not (folder / "log_mel.npy").is_file()]
    if missing:
        raise RavelError(
            f"{path} lacks {len(missing)} of its {len(folders)} shards, such as {missing[0]}: put "
            "them back, or merge the shards again."
        )
    log_mel = Joined([read_npy(f / "log_mel.npy", mapped=True) for f in folders], LOG_FLOOR)
    audio = None
    if info["audio"]:
        audio = Joined([read_npy(folder / "audio.npy", mapped=True) for folder in folders], 0)
    labels = Columns(store_files.read_columns(path / "labels"))
    return log_mel, read_npy(path / "lengths.npy"), labels, audio


def _difference(found: Mapping, wanted: Mapping) -> str:
    if found.get("shard") != wanted.get("shard"):
        shards = [value.get("shard") for value in (found, wanted)]
        was, now = ["whole" if one is None else f"shard {one[0]}/{one[1]}" for one in shards]
        return f"{was}, now {now}"
    if found.get("kind") != wanted["kind"] or found.get("synthesiser") != wanted["synthesiser"]:
        return f"{found.get('kind')}, {found.get('synthesiser') or 'recordings'}"
    old, new = found.get("settings") or {}, wanted["settings"]
    keys = [key for key in {**new, **old} if old.get(key) != new.get(key)]
    changes = [f"{key} was {old.get(key)}, now {new.get(key)}" for key in keys[:3]]
    return ", ".join(changes) or "format"
