"""The runs of a grid at work, side by side on the devices there are, each in a process of its own.

A run takes a device for as long as it is at work. Where its settings name one it is trained there.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from core import registry
from core.errors import RavelError
from core.experiments.evaluation import evaluate, parse_options
from core.experiments.grid import CHECKPOINT, Grid, Planned, is_trained, scores
from core.registry import EvaluationOptions
from core.training.config import merge
from core.training.devices import gpus
from core.training.run import Run

Part = Literal["all", "train", "score"]

_stop: Any = None  # in a process of the pool: the event that says to begin no further run
_free: Any = None  # in a process of the pool: the devices that no run is trained on


@dataclass(frozen=True)
class Job:
    """One run to train and score; pickled, so that a process of the pool can do it."""

    name: str
    path: Path
    values: dict[str, Any]  # its config
    state: str  # which saved state is scored
    options: EvaluationOptions

    def __call__(self, part: Part) -> str:
        """Do what is left of it and report how it went."""
        if _stop and _stop.is_set():
            return "not begun"
        device = _free.get() if _free else None
        try:
            return self._done(part, device)
        finally:
            if _free:
                _free.put(device)

    def _done(self, part: Part, device: str | None) -> str:
        try:
            run = self._open()
            with _logged(run):
                if part != "score" and not is_trained(run) and not self._train(run, device):
                    return "stopped"
                if part == "train":
                    return "trained"
                if not scores(run):
                    if not is_trained(run):
                        return "not trained yet"
                    self._score(run)
                return "scored"
        except RavelError as error:
            return f"failed: {error}"

    def _open(self) -> Run:
        """Its run, made if there is none yet. Raises RavelError for one with other settings."""
        if not (self.path / "config.json").exists():
            return Run.create(self.path, self.values)
        run = Run.open(self.path)
        try:  # a setting that was added after the run was made has its default there
            same = registry.parse(run.config).model_dump() == self.values
        except RavelError:
            same = False
        if not same:
            raise RavelError(
                f"{self.path} was made with other settings: delete it, or choose another --runs."
            )
        return run

    def _train(self, run: Run, device: str | None) -> bool:
        from core.training.engine import train

        config = registry.parse(run.config)
        if device and config.training.device == "auto":
            config = registry.parse(merge(config.model_dump(), {"training.device": device}))
        before, spent = time.process_time(), run.state().get("cpu_seconds", 0)
        ended = train(registry.task(config), run)
        run.write_state(cpu_seconds=spent + time.process_time() - before)
        return bool(ended["state"] == "finished")

    def _score(self, run: Run) -> None:
        from core.checkpoints.card import export_run

        out, begun = run.path / CHECKPOINT, time.monotonic()
        export_run(run.path, out, title=self.name, state=self.state)
        evaluate([str(out)], self.options, partial(print, flush=True))
        run.write_state(score_seconds=round(time.monotonic() - begun, 1))


def jobs_of(grid: Grid, planned: Sequence[Planned], folder: Path) -> list[Job]:
    """A job for each run; that of the grid's first run scores the baselines too."""
    usual = parse_options(grid.evaluate)
    with_baselines = parse_options(grid.baselines) if grid.baselines else usual
    first = grid.runs()[0].name
    return [
        Job(
            one.name,
            folder / one.name,
            one.config.model_dump(),
            grid.state,
            with_baselines if one.name == first else usual,
        )
        for one in planned
    ]


def places(at_once: int | None = None) -> list[str]:
    """The device of each of `at_once` runs: by default each GPU has one, and without a GPU each
    core. Raises RavelError for fewer than one."""
    if at_once is not None and at_once < 1:
        raise RavelError(f"--jobs is {at_once}: give 1 or more.")
    devices = [gpu.name for gpu in gpus()]
    if not devices:
        return ["cpu"] * (at_once or len(os.sched_getaffinity(0)))
    return [devices[i % len(devices)] for i in range(at_once or len(devices))]


def work(jobs: Sequence[Job], part: Part, devices: Sequence[str]) -> Iterator[str]:
    """Do all jobs, one at a time on each of `devices`; yield a report as each ends."""
    # Spawned, not forked: a fork of a process that has used torch's threads may hang.
    spawn = get_context("spawn")
    stop, free = spawn.Event(), spawn.Queue()
    for device in devices:
        free.put(device)
    with ProcessPoolExecutor(len(devices), spawn, _begin, (stop, free)) as pool:
        going = {pool.submit(job, part): job.name for job in jobs}
        try:
            for number, done in enumerate(as_completed(going), start=1):
                yield f"{number}/{len(jobs)} {going[done]}: {done.result()}"
        except KeyboardInterrupt:  # the runs got the signal too: they save, and can be continued
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _begin(stop: Any, free: Any) -> None:
    global _stop, _free
    _stop, _free = stop, free


@contextlib.contextmanager
def _logged(run: Run) -> Iterator[None]:
    """Print into the run's log."""
    with (
        open(run.path / "log.txt", "a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        yield
