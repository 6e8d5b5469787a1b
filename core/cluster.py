"""Commands as jobs of a cluster, by submitit: under Slurm, or as processes of this machine.

A job runs `python -m core ...`, so it does what the same command does by hand, in the same folders.
Where a job has several tasks, each has its rank from the variables that torchrun sets.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import RavelError
from core.jobs import ROOT

LAUNCHERS = ("slurm", "local")
LOOK_SECONDS = 0.2
PACKAGE = "submitit>=1.5,<2"


class Place(NamedTuple):
    """Where jobs run and what each of them gets; `options` are submitit's own, by name."""

    launcher: str
    nodes: int = 1
    tasks: int = 1  # processes on each node
    gpus: int = 0  # on each node
    hours: float = 24.0
    at_once: int | None = None  # jobs of an array, at most
    options: Mapping[str, Any] = {}


class Command:
    """What a job does: `python -m core` with each of `commands`, one after the other.

    `log` takes what the first task prints. A job that is to be interrupted, as its time is up or
    others come first, ends the command politely, and is queued anew; then it goes on. It is pickled
    and unpickled by submitit.
    """

    def __init__(
        self, commands: Sequence[Sequence[str]], *, log: str | None = None, several: bool = False
    ) -> None:
        self.commands, self.log, self.several = [list(c) for c in commands], log, several

    def __call__(self) -> None:
        """Run the commands. Raises RavelError if one of them fails, after all have run."""
        from submitit.helpers import TorchDistributedEnvironment

        rank = "0"
        if self.several:
            for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
                os.environ.pop(name, None)
            TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
            rank = os.environ["RANK"]
        failed = []
        for command in self.commands:
            with open(self.log if self.log and rank == "0" else os.devnull, "ab") as log:
                self._child = subprocess.Popen(
                    [sys.executable, "-m", "core", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log if self.log and rank == "0" else None,
                    stderr=subprocess.STDOUT if self.log and rank == "0" else None,
                    preexec_fn=_deaf,
                )
            if self._wait():
                failed.append(" ".join(command))
        if failed:
            raise RavelError(f"python -m core {failed[0]} failed: the log says why.")

    def checkpoint(self) -> Any:
        """Called by submitit before it interrupts the job: end politely, to go on in a new one."""
        from submitit.helpers import DelayedSubmission

        self._child.terminate()
        self._wait()
        return DelayedSubmission(Command(self.commands, log=self.log, several=self.several))

    def _wait(self) -> int:
        # Not by `wait`, which holds a lock that `checkpoint` needs: it comes as a signal.
        while (status := self._child.poll()) is None:
            time.sleep(LOOK_SECONDS)
        return status

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_child"}


def submit(commands: Sequence[Command], place: Place, folder: Path, name: str) -> list[str]:
    """Submit a job for each command, several as an array; return their ids.

    submitit's files, what the jobs print among them, are in `folder`. Raises RavelError without
    submitit or Slurm, and for options that it does not take.
    """
    submitit = check(place.launcher)
    several = place.nodes * place.tasks > 1
    asked: dict[str, Any] = {
        "name": f"ravel-{name}",
        "nodes": place.nodes,
        "tasks_per_node": place.tasks,
        "timeout_min": max(1, round(60 * place.hours)),
        "stderr_to_stdout": True,
        **({"gpus_per_node": place.gpus} if place.gpus else {}),
        **({"slurm_array_parallelism": place.at_once} if place.at_once else {}),
        **place.options,
    }
    for command in commands:
        command.several = several
    before = os.environ.get("PYTHONPATH")
    # Jobs unpickle what they are to do, and find Ravel for it wherever they start.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), before]))
    try:
        executor = submitit.AutoExecutor(folder.resolve(), cluster=place.launcher)
        executor.update_parameters(**asked)
        with executor.batch():  # an array
            jobs = [executor.submit(command) for command in commands]
        return [str(job.job_id) for job in jobs]
    except (ValueError, TypeError, NameError, AssertionError, RuntimeError, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise RavelError(f"The jobs could not be submitted by {place.launcher}: {said}.") from None
    except subprocess.CalledProcessError as error:
        raise RavelError(f"Slurm did not take the jobs: {error}.") from None
    finally:
        os.environ.pop("PYTHONPATH")
        os.environ.update({} if before is None else {"PYTHONPATH": before})


def check(launcher: str) -> Any:
    """The package submitit. Raises RavelError where it, or Slurm, is missing."""
    try:
        import submitit
    except ImportError:
        raise RavelError(
            f"--launcher needs the package submitit: run 'pip install \"{PACKAGE}\"'."
        ) from None
    if launcher == "slurm" and submitit.SlurmExecutor.affinity() <= 0:
        raise RavelError(
            "--launcher slurm needs Slurm's commands, but there is no srun here: run this on a "
            "cluster's login node, or use --launcher local."
        )
    return submitit


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE words as submitit's options, numbers as numbers. Raises RavelError."""
    options: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals and value):
            raise RavelError(
                f"--job got {word!r}: give submitit's options as KEY=VALUE, such as "
                "slurm_partition=gpu."
            )
        options[key] = int(value) if value.isdecimal() else value
    return options


def _deaf() -> None:
    """In the child: the signals by which Slurm announces an interruption are the job's business."""
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
