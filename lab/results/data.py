"""What the Results page reads: grids, their tables, published figures; again when they change."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.experiments import results
from core.experiments.grid import Grid
from core.experiments.grid import read as read_grid
from core.experiments.results import Published, Results
from lab.training import runs


def stamp(path: Path) -> tuple[int, int]:
    """What changes when a file does: its time and its size."""
    try:
        about = path.stat()
    except OSError:
        return 0, 0
    return about.st_mtime_ns, about.st_size


def stamps() -> list[tuple[int, int]]:
    """What changes when any result does."""
    return [stamp(path) for grid in results.grids() for path in (grid, _table(grid))]


def grid(path: Path) -> Grid:
    """A grid by its file. Raises RavelError when it is damaged."""
    return _grid(path, stamp(path))


def read(path: Path) -> Results:
    """A grid's results. Raises RavelError when they are damaged."""
    return _results(path, stamp(path), stamp(_table(path)))


def published(system: str) -> list[Published]:
    """The figures that a paper published. Raises RavelError when a file is damaged."""
    return _published(system, tuple(map(stamp, results.published_files(system))))


@st.cache_resource(max_entries=32, show_spinner=False)
def _grid(path: Path, changed: tuple[int, int]) -> Grid:
    return read_grid(path)


@st.cache_resource(max_entries=32, show_spinner=False)
def _results(path: Path, *changed: tuple[int, int]) -> Results:
    return Results(grid(path), results.read_table(_table(path)))


@st.cache_resource(max_entries=8, show_spinner=False)
def _published(system: str, changed: tuple) -> list[Published]:
    return results.published(system)


def _table(grid: Path) -> Path:
    return grid.with_suffix(".csv")


def run_name(grid: Path, run: str) -> str | None:
    """The name of a grid's run on the page Runs, or None if it is not on this machine."""
    name = f"grid-{grid.stem}/{run}"
    return name if (runs.path(name) / "config.json").exists() else None


def command(path: Path, *options: str) -> str:
    """The command that makes a grid's table."""
    shown = path.relative_to(runs.ROOT) if path.is_relative_to(runs.ROOT) else path
    return " ".join(["python -m core grid", str(shown), *options])
