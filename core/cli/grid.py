"""python -m core grid: many runs, scored, in one table."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import cluster
from core.cli.common import add_launcher, command, place_of, say
from core.experiments.grid import Grid, Planned, read, table, write_table
from core.training.devices import gpus

COMMANDS = ("grid",)


def add(commands: Any) -> None:
    """Add the command."""
    parser = command(
        commands,
        "grid",
        "Train and score every run of a grid, and write one table.",
        "python -m core grid checkpoints/results/scenes.toml\n"
        "  python -m core grid mine.toml --seeds 0 --jobs 4 --results mine.csv\n"
        "  python -m core grid checkpoints/results/ts-dsae-paper.toml --dry-run",
        run_grid,
    )
    parser.add_argument("grid", metavar="GRID", help="TOML file that says which runs to make")
    parser.add_argument(
        "--runs", metavar="FOLDER", help="where the runs are kept (default: runs/grid-NAME)"
    )
    parser.add_argument(
        "--results", metavar="CSV", help="table to write (default: beside the grid, NAME.csv)"
    )
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help="only these seeds")
    parser.add_argument("--only", metavar="TEXT", help="only runs that have this in their name")
    parser.add_argument(
        "--run", metavar="NAME", action="append", dest="names", help="only the run of this name"
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N",
        help="runs at once (default: one on each GPU; without one, one a core)",
    )  # fmt: skip
    parser.add_argument(
        "--part",
        choices=["all", "train", "score", "table"],
        default="all",
        help="train and score; only one of them; or only write the table again",
    )
    parser.add_argument("--list", action="store_true", help="only list the runs")
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what is left to do, and how long it takes"
    )
    add_launcher(parser, "each run", nodes=False)


def run_grid(arguments: argparse.Namespace) -> None:
    """Skip what is finished, continue what was begun, start the rest."""
    path = Path(arguments.grid)
    grid = read(path)
    folder = Path(arguments.runs or f"runs/grid-{path.stem}")
    results = Path(arguments.results or path.with_suffix(".csv"))
    every = grid.runs(arguments.seeds)
    planned = [run for run in every if (arguments.only or "") in run.name]
    if arguments.names:
        planned = [run for run in planned if run.name in arguments.names]
    if arguments.list or not planned:
        return say("\n".join(run.name for run in planned) or "No run has that in its name.")
    if arguments.part == "table":
        lines = _write(grid, folder, results)
        return say(
            f"wrote {results}: {lines} lines" if lines else "No run has been scored: no table."
        )
    from core.experiments.runner import jobs_of, places, work

    if arguments.launcher:
        return _submit(arguments, grid, [run.name for run in planned], folder, results)
    devices = places(arguments.jobs)
    if arguments.dry_run:
        return _estimate(planned, folder, devices)
    jobs = jobs_of(grid, planned, folder)
    for report in work(jobs, arguments.part, devices):
        _write(grid, folder, results)  # so that it can be looked at while the rest goes on
        say(report)


def _estimate(planned: Sequence[Planned], folder: Path, devices: Sequence[str]) -> None:
    """Say what is left, and how long it takes."""
    from core.experiments import sweep

    left = sweep.left(planned, folder)
    counts = Counter(one.state for one in left)
    say(f"{counted(len(left), 'run')}: {', '.join(f'{n} {state}' for state, n in counts.items())}")
    found = sweep.estimate(left, sweep.at_hand(folder), say)
    say(sweep.said(found, devices))


def _submit(
    arguments: argparse.Namespace, grid: Grid, names: list[str], folder: Path, results: Path
) -> None:
    """Each run as a job: under Slurm in one array, here in as many groups as may run at once."""
    from core.experiments.runner import places

    at_once = arguments.jobs or (len(places()) if arguments.launcher == "local" else None)
    place = place_of(arguments, gpus=_graphics(arguments), at_once=at_once)
    fixed = ["grid", arguments.grid, "--runs", str(folder), "--results", str(results)]
    fixed += ["--jobs", "1", "--part", arguments.part]
    if arguments.seeds:
        fixed += ["--seeds", *map(str, arguments.seeds)]
    groups = [[name] for name in names]
    if arguments.launcher == "local":
        groups = [names[i::at_once] for i in range(min(at_once or 1, len(names)))]
    commands = [
        cluster.Command([[*fixed, *(word for name in group for word in ("--run", name))]])
        for group in groups
    ]
    jobs = cluster.submit(commands, place, folder / ".jobs", folder.name)
    runs, ids = counted(len(names), "run"), ", ".join(jobs)
    say(f"submitted to {place.launcher}: {runs} in {counted(len(jobs), 'job')}, {ids}")
    say(f"once they have ended: python -m core grid {arguments.grid} --runs {folder} --part table")


def counted(count: int, noun: str) -> str:
    """'1 run', '2 runs'."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _graphics(arguments: argparse.Namespace) -> int:
    return int(arguments.launcher == "slurm" or bool(gpus()))


def _write(grid: Grid, folder: Path, results: Path) -> int:
    lines = table(grid, folder)
    if lines:
        write_table(lines, results)
    return len(lines)
