"""Several processes that train one run on this machine: started together and ended together.

`torchrun` does more, over many machines. But it cannot hand a run's lock to the processes it
starts, which shows others whether any of them lives, and they outlive it when it is killed.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from core import jobs
from core.errors import RavelError
from core.jobs import Process
from core.training.run import Run

TETHER = "RAVEL_TETHER"  # the variable that names the pipe that closes when the parent ends
LOOK_SECONDS = 0.05
GRACE_SECONDS = 2.0  # between one worker's end in failure and the end of all


def process_count(config: Mapping[str, Any]) -> int:
    """How many processes train the run: 1, also in a worker, where this one does it alone."""
    if "WORLD_SIZE" in os.environ:  # one of several, all started by another process
        return 1
    return int(config.get("training", {}).get("processes", 1))


def train_together(run: Run, count: int) -> None:
    """Train a run with `count` processes until all have ended. Raises RavelError if one fails.

    All hold the run's lock, and none outlives this process, however it ends.
    """
    if not run.is_mine:  # else it waited for its turn, and may have been asked to stop
        run.hold()
        run.forget_stop()
    tied, held_here = os.pipe()
    port = _free_port()
    workers = [_start(run, rank, count, port, tied) for rank in range(count)]
    os.close(tied)
    try:
        with _passing_on(workers):
            failed = _wait(workers)
    finally:
        os.close(held_here)
    if failed:
        message = _reason(run, failed, count)
        run.fail(message)
        raise RavelError(message)


def tie(run: Run) -> None:
    """In a worker: take over the run's lock, and end at once when the process above does."""
    number = os.environ.pop(TETHER, None)
    if number is None:
        return
    run.inherit()

    def watch() -> None:
        os.read(int(number), 1)  # nothing is ever written: it returns when the other end is closed
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _start(run: Run, rank: int, count: int, port: int, tied: int) -> Process:
    lent = run.lend()
    # Only the first writes the run; the others hold its lock without knowing.
    environment = dict(os.environ) if rank else lent["env"]
    place: dict[str, str | int] = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, TETHER: tied}
    return jobs.spawn(
        "core",
        ["train", "--resume", str(run.path.resolve())],
        pass_fds=(*lent["pass_fds"], tied),
        env={"OMP_NUM_THREADS": "1"} | environment | {k: str(v) for k, v in place.items()},
    )


@contextmanager
def _passing_on(workers: list[Process]) -> Iterator[None]:
    """Hand SIGTERM and SIGINT on to the workers, who save and leave together."""

    def hand_on(*_: Any) -> None:
        for worker in workers:
            if worker.poll() is None:
                worker.terminate()

    before = {n: signal.signal(n, hand_on) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(workers: list[Process]) -> dict[int, int]:
    """Until all have ended. The exit status of those that failed first, by their number."""
    failed: dict[int, int] = {}
    deadline = float("inf")
    while any(worker.poll() is None for worker in workers):
        if not failed and (failed := _failed(workers)):
            # The others wait for it in vain, and their errors are consequences only.
            deadline = time.monotonic() + GRACE_SECONDS
        if time.monotonic() > deadline:
            for worker in workers:
                worker.kill()
        time.sleep(LOOK_SECONDS)
    return failed or _failed(workers)


def _failed(workers: list[Process]) -> dict[int, int]:
    return {rank: status for rank, worker in enumerate(workers) if (status := worker.poll())}


def _reason(run: Run, failed: Mapping[int, int], count: int) -> str:
    """Why a run failed: the first worker's message, unless another worker was the cause."""
    if any(status < 0 for status in failed.values()):
        return f"one of its {count} processes was ended; resume it to continue"
    said = run.state().get("message")
    if 0 in failed and said:
        return str(said)
    return f"process {min(failed) + 1} of {count} failed: the log says why"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
