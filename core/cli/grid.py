"""python -m core grid: many runs, scored, in one table."""

import argparse
import os
from pathlib import Path
from typing import Any

from core.cli.common import command, say
from core.experiments.grid import Grid, read, table, write_table

COMMANDS = ("grid",)


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
    parser.add_argument("grid", metavar="GRID", help="TOML file that says which runs to make")
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
    parser.add_argument("--list", action="store_true", help="only list the runs")


def run_grid(arguments: argparse.Namespace) -> None:
    """Skip what is finished, continue what was begun, start the rest."""
    path = Path(arguments.grid)
    grid = read(path)
    folder = Path(arguments.runs or f"runs/grid-{path.stem}")
    results = Path(arguments.results or path.with_suffix(".csv"))
    every = grid.runs(arguments.seeds)
    planned = [run for run in every if (arguments.only or "") in run.name]
    if arguments.list or not planned:
        return say("\n".join(run.name for run in planned) or "No run has that in its name.")
    if arguments.part == "table":
        lines = _write(grid, folder, results)
        return say(
            f"wrote {results}: {lines} lines" if lines else "No run has been scored: no table."
        )
    from core.experiments.runner import jobs_of, work

    jobs = jobs_of(grid, planned, folder)
    for report in work(jobs, arguments.part, arguments.jobs or os.cpu_count() or 1):
        _write(grid, folder, results)  # so that it can be looked at while the rest goes on
        say(report)


def _write(grid: Grid, folder: Path, results: Path) -> int:
    lines = table(grid, folder)
    if lines:
        write_table(lines, results)
    return len(lines)
