"""python -m core grid: many runs, scored, in one table."""

import argparse
import contextlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from core import registry
from core.cli.common import command, say
from core.errors import RavelError
from core.experiments import grid as grids
from core.training.run import Run


def add(commands: Any) -> None:
    """Add the command."""
    parser = command(
        commands,
        "grid",
        "Train and score every run of a grid, and write one table.",
        "python -m core grid checkpoints/results/scenes.toml\n"
        "  python -m core grid mine.toml --seeds 0 --jobs 4 --results mine.csv",
        run_grid,
    )
    parser.add_argument("grid", metavar="GRID", help="TOML file that says what is run")
    parser.add_argument(
        "--runs", metavar="FOLDER", help="where the runs are kept (default: runs/grid-NAME)"
    )
    parser.add_argument(
        "--results", metavar="CSV", help="table to write (default: beside the grid, NAME.csv)"
    )
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help="only these seeds")
    parser.add_argument("--only", metavar="TEXT", help="only runs that have this in their name")
    parser.add_argument("--jobs", type=int, metavar="N", help="runs at once (default: one a core)")
    parser.add_argument(
        "--part",
        choices=["all", "train", "score", "table"],
        default="all",
        help="train and score; only one of them; or only write the table again",
    )
    parser.add_argument("--list", action="store_true", help="only say which runs there would be")


def run_grid(arguments: argparse.Namespace) -> None:
    """Skip what is finished, continue what was begun, start the rest."""
    path = Path(arguments.grid)
    grid = grids.read(path)
    folder = Path(arguments.runs or f"runs/grid-{path.stem}")
    results = Path(arguments.results or path.with_suffix(".csv"))
    every = grid.runs(arguments.seeds)
    planned = [run for run in every if (arguments.only or "") in run.name]
    if arguments.list or not planned:
        return say("\n".join(run.name for run in planned) or "No run is called so.")
    if arguments.part == "table":
        lines = _write(grid, folder, results)
        return say(
            f"wrote {results}: {lines} lines" if lines else "No run has been scored: no table."
        )
    first = grid.runs()[0].name
    jobs = [_Job(run, grid, folder, first) for run in planned]
    for said in _work(jobs, arguments.part, arguments.jobs or os.cpu_count() or 1):
        _write(grid, folder, results)  # so that it can be looked at while the rest goes on
        say(said)


def _write(grid: grids.Grid, folder: Path, results: Path) -> int:
    lines = grids.table(grid, folder)
    if lines:
        grids.write_table(lines, results)
    return len(lines)


_stop: Any = None


class _Job:
    """One run to be trained and scored, in a process of its own."""

    def __init__(self, planned: grids.Planned, grid: grids.Grid, folder: Path, first: str) -> None:
        self.name, self.values = planned.name, planned.config.model_dump()
        self.path, self.state = folder / planned.name, grid.state
        is_first = bool(grid.baselines) and planned.name == first
        self.evaluate = grid.baselines if is_first else grid.evaluate

    def __call__(self, part: str) -> str:
        """Do what is left of it; say how it went."""
        if _stop and _stop.is_set():
            return "not begun"
        try:
            run = self._run()
            with _log(run):
                if part != "score" and not grids.is_trained(run) and not self._train(run):
                    return "stopped"
                if part == "train":
                    return "trained"
                if not grids.scores(run):
                    if not grids.is_trained(run):
                        return "not trained yet"
                    self._score(run)
                return "scored"
        except RavelError as error:
            return f"failed: {error}"

    def _run(self) -> Run:
        if not (self.path / "config.json").exists():
            return Run.create(self.path, self.values)
        run = Run.open(self.path)
        if not self._is_of(run):
            raise RavelError(
                f"{self.path} was made with other settings: delete it, or choose another --runs."
            )
        return run

    def _is_of(self, run: Run) -> bool:
        """Whether it has these settings; one that is newer than the run has its default there."""
        try:
            return registry.parse(run.config).model_dump() == self.values
        except RavelError:
            return False

    def _train(self, run: Run) -> bool:
        from core.training.engine import train

        before, spent = time.process_time(), run.state().get("cpu_seconds", 0)
        ended = train(registry.task(registry.parse(run.config)), run)
        run.write_state(cpu_seconds=spent + time.process_time() - before)
        return ended["state"] == "finished"

    def _score(self, run: Run) -> None:
        from core.cli import main

        out = run.path / grids.CHECKPOINT
        from core.checkpoints import card as cards

        cards.export_run(run.path, out, title=self.name, state=self.state)
        if main(["evaluate", str(out), *self.evaluate]):
            raise RavelError(f"it could not be scored: see {run.path / 'log.txt'}")


def _work(jobs: list[_Job], part: str, count: int) -> Iterator[str]:
    """Do all jobs, so many at a time; say how each went as it ends."""
    if count < 1:
        raise RavelError(f"--jobs is {count}: at least one run must go on at a time.")
    spawn = get_context("spawn")
    stop = spawn.Event()
    with ProcessPoolExecutor(count, spawn, _listen, (stop,)) as pool:
        going = {pool.submit(job, part): job.name for job in jobs}
        try:
            for number, done in enumerate(as_completed(going), start=1):
                yield f"{number}/{len(jobs)} {going[done]}: {done.result()}"
        except KeyboardInterrupt:  # the runs heard it too: they save, and can be continued
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _listen(stop: Any) -> None:
    """Let a process of the pool know by what it is told to begin no other run."""
    global _stop
    _stop = stop


@contextlib.contextmanager
def _log(run: Run) -> Any:
    with (
        open(run.path / "log.txt", "a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        yield
