"""Shards that several machines built, joined into one store without copying their arrays."""

from __future__ import annotations

import csv
import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.data.shard import Shard
from core.data.store import FeatureStore, shard_folder
from core.data.store_files import SHARDED, json_bytes, npy_bytes, write, write_columns
from core.errors import RavelError
from core.files import check_new_folder

ALIKE = ("kind", "synthesiser", "settings", "chunks", "audio")  # facts that shards must share
ARRAYS = ("log_mel.npy", "audio.npy")
NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP)


def merge(shards: Sequence[str | os.PathLike], out: str | os.PathLike) -> FeatureStore:
    """The store that `shards`, in any order, are the parts of, at the new folder `out`.

    Its clips come in the order of a store that was built whole: shard by shard, and within a shard
    as they stand there. The arrays are linked where the file system can, so that they take no more
    room and the shards may be deleted; else they are copied. Raises RavelError, and leaves nothing
    at `out`, for shards that do not match, that are missing or given twice, and for a full disk.
    """
    out = check_new_folder(Path(out))
    parts = _in_order([FeatureStore.open(path) for path in shards])
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir()
        _link(parts, temporary)
        _index(parts, temporary)
        if out.exists():  # empty: check_new_folder has looked
            out.rmdir()
        os.replace(temporary, out)
    except OSError as error:
        raise RavelError(f"{out} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return FeatureStore.open(out)


def _in_order(parts: Sequence[FeatureStore]) -> list[FeatureStore]:
    """The shards by number. Raises RavelError unless they are all parts of one corpus."""
    first = parts[0]
    found: dict[int, FeatureStore] = {}
    for part in parts:
        if "shard" not in part.info:
            raise RavelError(
                f"{part.path} is no shard: expected stores that were built with --shard I/N."
            )
        for name in ALIKE:
            if part.info.get(name) != first.info.get(name):
                differing = _differing(part, first, name)
                raise RavelError(
                    f"{part.path} does not match {first.path} in its {differing}: build all shards "
                    "with the same command."
                )
        number, of = shard = Shard(*part.info["shard"])
        if of != first.info["shard"][1]:
            raise RavelError(
                f"{part.path} is shard {shard}, but {first.path} is one of "
                f"{first.info['shard'][1]}: give the shards of one build."
            )
        if number in found:
            raise RavelError(f"{found[number].path} and {part.path} are both shard {shard}.")
        found[number] = part
    missing = [str(Shard(n, of)) for n in range(1, of + 1) if n not in found]
    if missing:
        named = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise RavelError(f"{len(missing)} of {of} shards are missing ({named}): build them first.")
    return [found[number] for number in sorted(found)]


def _differing(part: FeatureStore, first: FeatureStore, name: str) -> str:
    if name != "settings":
        return f"{name} ({part.info.get(name)}, not {first.info.get(name)})"
    ours, theirs = part.settings, first.settings
    key = next(key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key))
    return f"setting {key} ({ours.get(key)}, not {theirs.get(key)})"


def _link(parts: Sequence[FeatureStore], out: Path) -> None:
    """Put every shard's arrays below `out`."""
    for number, part in enumerate(parts, start=1):
        folder = shard_folder(out, number)
        folder.mkdir(parents=True)
        for name in ARRAYS:
            source = part.path / name
            if not source.exists():
                continue
            try:
                os.link(source, folder / name)
            except OSError as error:
                if error.errno not in NO_LINK:
                    raise
                _copy(source, folder / name)


def _copy(source: Path, target: Path) -> None:
    size, free = source.stat().st_size, shutil.disk_usage(target.parent).free
    if size > free:
        raise OSError(errno.ENOSPC, f"{source} has {size:,} bytes, but {free:,} are free")
    shutil.copyfile(source, target)


def _index(parts: Sequence[FeatureStore], out: Path) -> None:
    """Write what all clips share: lengths, labels, and store.json last."""
    names = list(dict.fromkeys(name for part in parts for name in part.labels))
    with open(out / "clips.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(names)
        for part in parts:
            empty = np.full(len(part), "")
            columns = [part.labels.get(name, empty).tolist() for name in names]
            table.writerows(zip(*columns, strict=True))
    write_columns(out / "labels", {name: _column(parts, name) for name in names})
    write(out / "lengths.npy", npy_bytes(np.concatenate([part.lengths for part in parts])))
    info = {key: value for key, value in parts[0].info.items() if key != "shard"}
    clips = sum(map(len, parts))
    info |= {"format": SHARDED, "clips": clips, "shards": len(parts)}
    write(out / "store.json", json_bytes(info))


def _column(parts: Sequence[FeatureStore], name: str) -> list[str]:
    return [
        value
        for part in parts
        for value in (part.labels[name].tolist() if name in part.labels else [""] * len(part))
    ]
