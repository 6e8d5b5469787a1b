"""The corpus that ships: packed with what was computed of it, unpacked into the data folder once.

`python -m core.service.included PACK DATA` is the process that unpacks it; `start` runs it. Beside
the pack lie, under the digests of the checkpoints that they were computed with, embeddings
(`embeddings/NAME-DIGEST.npy`) and projections (`maps/NAME-DIGEST/`). What no longer fits a
checkpoint is computed again when it is asked for.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core import jobs, registry
from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT, Checkpoint, list_checkpoints
from core.data import pack as packs
from core.files import replace
from core.jobs import Job, Progress
from core.maps import projection as projections
from core.maps.projection import Settings
from core.service import corpora

if TYPE_CHECKING:
    from core.data.store import FeatureStore

NAME = "included"  # of the store
MAPS, EMBEDDINGS = "maps", "embeddings"
SHIPPED = {  # the maps that ship: by checkpoint, its spaces
    DEFAULT_CHECKPOINT: ("v", "z"),
    "scenes-encoder": ("h",),
}
LAYOUT = Settings("UMAP")


def is_there(pack: Path) -> bool:
    """Whether this pack is unpacked."""
    return _unpacked(corpora.DATA / NAME) == _digest(pack)


def start(pack: Path) -> None:
    """Unpack in a process of its own, unless it is there or one is at work. Raises RavelError."""
    if not is_there(pack):
        _job(pack).start("Unpacking the included sounds")


def progress(pack: Path) -> Progress:
    """How far that process is."""
    return _job(pack).progress(lambda: is_there(pack))


def unpack(pack: Path, data: Path) -> FeatureStore:
    """The pack as a store in the folder `data`, with all that ships of it. Raises RavelError."""
    path = data / NAME
    if _unpacked(path) not in (None, packs.digest(pack)):  # that of an earlier version
        shutil.rmtree(path)
    store = packs.unpack(pack, path)
    for checkpoint in _checkpoints(SHIPPED):
        _put_index(pack, store, checkpoint)
        folder = registry.get(checkpoint.system).maps.folder_of(store, checkpoint, data / "maps")
        for file in (pack / MAPS / _key(checkpoint)).glob("*.npz"):
            _put(file, folder / file.name)
    return store


def compute(pack: Path, data: Path) -> None:
    """Compute what ships beside a pack, in place of what lies there; `data` is a scratch folder."""
    from core.contrastive import index

    for name in (MAPS, EMBEDDINGS):
        shutil.rmtree(pack / name, ignore_errors=True)
    store = packs.unpack(pack, data / NAME)
    for checkpoint in _checkpoints(SHIPPED):
        maps = registry.get(checkpoint.system).maps
        points = maps.encode_store(store, checkpoint, data / "maps")
        for space in SHIPPED[checkpoint.name]:
            folder = pack / MAPS / _key(checkpoint)
            projections.project(folder, space, points.points(space), LAYOUT)
        if maps.SPACES.get("Embedding h"):
            (pack / EMBEDDINGS).mkdir(exist_ok=True)
            made = index.read(index.folder_of(store, checkpoint))
            assert made is not None  # the map was made of it
            np.save(embeddings_of(pack, checkpoint), made.h)


def _put_index(pack: Path, store: FeatureStore, checkpoint: Checkpoint) -> None:
    from core.contrastive import index

    file = embeddings_of(pack, checkpoint)
    if file.exists():
        _put(file, index.folder_of(store, checkpoint) / index.FILE)


def embeddings_of(pack: Path, checkpoint: Checkpoint) -> Path:
    """The file of the clips' embeddings h [N, D] by a checkpoint, whether it ships or not."""
    return pack / EMBEDDINGS / f"{_key(checkpoint)}.npy"


def _put(file: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    replace(place, lambda temporary: shutil.copy(file, temporary))


def _checkpoints(names: Iterable[str]) -> list[Checkpoint]:
    with_maps = [name for name, system in registry.systems().items() if system.has_maps]
    return [one for name in with_maps for one in list_checkpoints(name) if one.name in names]


def _key(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.name}-{checkpoint.digest[:16]}"


def _unpacked(store: Path) -> str | None:
    """The digest of the pack that a finished store was unpacked of; None if there is none."""
    try:
        about = json.loads((store / "store.json").read_text(encoding="utf-8"))
        return str(about["settings"]["pack"]) if about["finished"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def _digest(pack: Path) -> str:
    return packs.digest(pack)


def _job(pack: Path) -> Job:
    arguments = [str(pack.resolve()), str(corpora.DATA.resolve())]
    return Job(corpora.DATA / f".{NAME}", "core.service.included", arguments)


def _unpack(arguments: list[str], report: jobs.Report) -> None:
    report(0.3, "Unpacking the included sounds")
    store = unpack(Path(arguments[0]), Path(arguments[1]))
    report(0.6, "Encoding the included sounds")
    for checkpoint in _checkpoints([DEFAULT_CHECKPOINT]):
        registry.get(checkpoint.system).maps.encode_store(
            store, checkpoint, Path(arguments[1]) / "maps"
        )


if __name__ == "__main__":
    sys.exit(jobs.main(_unpack))
