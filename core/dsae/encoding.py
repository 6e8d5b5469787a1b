"""A store encoded by a process of its own, which outlives the page that asked for it.

python -m core.dsae.encoding STORE CHECKPOINT CACHE [SPLIT] is that process; `start` runs it. What
it has done so far are the files of `maps.encode_store`; a killed one goes on where it was.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from core import background, checkpoints
from core.background import Progress
from core.checkpoints import Checkpoint
from core.data.store import FeatureStore
from core.dsae import maps
from core.errors import RavelError


def start(store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None) -> None:
    """Begin, unless a process is at it. Raises RavelError where nothing can be written."""
    folder = maps.folder_of(store, checkpoint, cache, split)
    paths = [str(path.resolve()) for path in (store.path, checkpoint.path, cache)]
    background.start(folder, "core.dsae.encoding", [*paths, *([split] if split else [])])


def progress(folder: Path, clips: int) -> Progress:
    """How far the encoding of so many clips is, told by its files."""
    held = background.is_running(folder)  # looked at first: it may end while we read on
    if (folder / "latents.npz").exists():
        return Progress("done", 1.0)
    done = min(maps.CHUNK * sum(1 for _ in folder.glob("chunk-*.npz")), clips)
    if held:
        says = f"{done:,} of {clips:,} clips encoded" if done else "Loading the model"
        return Progress("running", done / max(1, clips), says)
    said = background.last_words(folder)
    return Progress("missing") if said is None else Progress("failed", 0.0, said)


def main(arguments: list[str]) -> int:
    """Encode, and say in one sentence why it failed."""
    path, checkpoint, cache, *split = arguments
    try:
        store = FeatureStore.open(path)
        found = checkpoints.find(checkpoint)
        maps.encode_store(store, found, Path(cache), split[0] if split else None)
    except RavelError as error:
        print(error)
        return 2
    return 0


if __name__ == "__main__":
    os.nice(10)  # whoever listens to the lab comes first
    sys.exit(main(sys.argv[1:]))
