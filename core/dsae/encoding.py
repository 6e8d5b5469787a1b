"""A store encoded by a process of its own, which outlives the page that asked for it.

python -m core.dsae.encoding STORE CHECKPOINT CACHE [SPLIT] is that process; `start` runs it. What
it has done so far are the files of `maps.encode_store`; a killed one goes on where it was.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

from core import checkpoints
from core.checkpoints import Checkpoint
from core.data.store import FeatureStore
from core.dsae import maps
from core.dsae.projection import ROOT, Progress
from core.errors import RavelError
from core.files import is_locked


def start(store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None) -> None:
    """Begin, unless a process is at it. Raises RavelError where nothing can be written."""
    folder = maps.folder_of(store, checkpoint, cache, split)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RavelError(f"{folder} cannot be written ({error.strerror}).") from None
    with open(folder / "encoding.lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        paths = [str(path.resolve()) for path in (store.path, checkpoint.path, cache)]
        with open(folder / "encoding.log", "w") as log:
            # The child inherits the open lock: it is held as long as the child lives.
            process = subprocess.Popen(
                [sys.executable, "-m", "core.dsae.encoding", *paths, *([split] if split else [])],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
    threading.Thread(target=process.wait, daemon=True).start()  # so that it leaves no zombie


def progress(folder: Path, clips: int) -> Progress:
    """How far the encoding of so many clips is, told by its files."""
    held = is_locked(folder / "encoding.lock")  # looked at first: it may end while we read on
    if (folder / "latents.npz").exists():
        return Progress("done", 1.0)
    done = min(maps.CHUNK * sum(1 for _ in folder.glob("chunk-*.npz")), clips)
    if held:
        says = f"{done:,} of {clips:,} clips encoded" if done else "Loading the model"
        return Progress("running", done / max(1, clips), says)
    try:
        said = (folder / "encoding.log").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return Progress("missing")
    return Progress("failed", 0.0, said.rsplit("\n", 1)[-1] or "its process was ended")


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
