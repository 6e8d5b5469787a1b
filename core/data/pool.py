"""Builds a store over all cores, chunk by chunk; a killed build is continued by the same call."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from core.data import fluidsynth  # noqa: F401  first: a worker must not import soundfile before it
from core.errors import RavelError

CHUNK_CLIPS = 32
IDLE_SECONDS = 15  # after which processes without work end; until then another build takes them

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Work = Callable[[Sequence[Any]], Any]  # jobs to what `Writer.write` takes
Progress = (
    bool | Callable[[int, int], Any]
)  # a bar or none; or takes jobs done, and how many in all


class Writer(Protocol):
    """What keeps the results of numbered chunks of jobs: a StoreWriter, or another of its kind."""

    path: Path
    numbers: range  # of the chunks that are this writer's

    def missing(self) -> list[int]: ...

    def write(self, number: int, chunk: Any) -> None: ...

    def finish(self) -> Any: ...


def chunked(jobs: Sequence[Any], size: int = CHUNK_CLIPS) -> list[Sequence[Any]]:
    """Jobs in runs of `size`, whatever the number of workers: the bytes never depend on that."""
    return [jobs[i : i + size] for i in range(0, len(jobs), size)]


def build(
    writer: Writer,
    work: Work,
    chunks: Sequence[Sequence[Any]],
    *,
    workers: int | None = None,
    progress: Progress = True,
) -> Any:
    """Runs `work` on each chunk of jobs that is missing, in `workers` processes (default: cores),
    and returns what the writer makes of them: the store.

    `work` is a function of a module (or a partial of one), as it is sent to other processes. They
    share nothing with this one, which may hold threads or be somebody's notebook. A build soon
    after another uses its processes again, as each takes seconds to start.
    """
    try:
        return _build(writer, work, chunks, workers, progress)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise RavelError(
            f"{writer.path} has no room left ({error.strerror}): make room, and run the same "
            "command again to continue."
        ) from error


def _build(
    writer: Writer,
    work: Work,
    chunks: Sequence[Sequence[Any]],
    workers: int | None,
    progress: Progress,
) -> Any:
    missing = writer.missing()
    if missing:
        total = sum(len(chunks[number]) for number in writer.numbers)
        done = total - sum(len(chunks[number]) for number in missing)
        tell = progress if callable(progress) else None
        with tqdm(
            total=total,
            initial=done,
            desc=writer.path.name,
            unit="clip",
            disable=not progress or tell is not None,
        ) as bar:
            for number in _finished(
                writer, work, chunks, missing, workers or len(os.sched_getaffinity(0))
            ):
                bar.update(len(chunks[number]))
                done += len(chunks[number])
                if tell:
                    tell(done, total)
    return writer.finish()


def _finished(
    writer: Writer,
    work: Work,
    chunks: Sequence[Sequence[Any]],
    missing: Sequence[int],
    workers: int,
) -> Iterator[int]:
    """The numbers of the missing chunks, each as soon as it is written."""
    from joblib.externals.loky import get_reusable_executor

    pool = get_reusable_executor(
        min(workers, len(missing)),
        timeout=IDLE_SECONDS,
        initializer=_begin,
        initargs=(os.getpid(), os.getcwd()),
        # Processes that were started with other settings are not used again.
        env=_settings() | dict.fromkeys(THREADS, "1"),
    )
    try:
        for future in as_completed(
            [pool.submit(_chunk, writer, number, work, chunks[number]) for number in missing]
        ):
            yield future.result()
    except BrokenProcessPool as error:
        raise RavelError(
            f"A process that built {writer.path} was stopped, by a lack of memory perhaps: run the "
            "same command again to continue, with fewer workers."
        ) from error
    except BaseException:  # also a Ctrl-C: what is not done yet must not go on
        pool.shutdown(kill_workers=True)
        raise


def _settings() -> dict[str, str]:
    """What the environment says of Ravel and of where files are."""
    return {name: os.environ[name] for name in os.environ if name.startswith(("RAVEL_", "XDG_"))}


def _chunk(writer: Writer, number: int, work: Work, jobs: Sequence[Any]) -> int:
    writer.write(number, work(jobs))
    return number


def _begin(parent: int, folder: str) -> None:
    import torch

    os.chdir(folder)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()


def _end_with(parent: int) -> None:
    # A worker whose parent was killed would go on waiting for work.
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
