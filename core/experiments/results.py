"""What grids of runs found: cell by cell over seeds, beside what the papers published.

A grid's table lies beside its TOML file (see core/experiments/grid.py); published figures lie in
`published`, in files that begin with the name of their system.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.checkpoints import checkpoint as checkpoints
from core.errors import RavelError
from core.experiments.grid import Grid, Table, spelt
from core.training.config import flat_values

ABOUT_RUN = ("run", "row", "seed", "steps", "cpu_seconds")
ABOUT_PUBLISHED = ("table", "corpus", "method", "score", "note", "source")
FIGURES = ("mean", "sd", "low", "median", "high", "seeds")  # of a published score
COUNTS = (
    "clips",
    "training_clips",
    "classes",
    "folds",
    "mixtures",
    "single_sources",
    "pairs",
    "heard_clips",
)
COUNTED = "fad_frames"


class Score(NamedTuple):
    """A figure of one run; the ends of its 95 % interval where it has one."""

    value: float
    low: float | None = None
    high: float | None = None


class Spread(NamedTuple):
    """A score over n runs. `sd`: the sample standard deviation, none of a single run."""

    n: int
    mean: float
    sd: float | None
    low: float
    high: float


class Paired(NamedTuple):
    """Differences seed by seed. `low`, `high`: 95 % t interval of their mean, none of one seed."""

    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Line:
    """A line of a grid's table: a scored run, or, with no run, a baseline called `row`."""

    run: str
    row: str
    seed: int | None
    steps: int | None
    scores: Mapping[str, Score]


@dataclass(frozen=True)
class Cell:
    """A combination of settings: those of its table, every setting as text, its scored runs.

    `runs` are the names of all that were planned, scored or not.
    """

    settings: Mapping[str, Any]
    texts: Mapping[str, str] = field(repr=False)
    runs: tuple[str, ...]
    lines: tuple[Line, ...]

    def spread(self, score: str) -> Spread | None:
        """A score over the runs that have it, or none."""
        return spread([line.scores[score].value for line in self.lines if score in line.scores])


@dataclass(frozen=True)
class Published:
    """A published figure: where it stands, of what, the settings that reproduce it, as text.

    `figures` are numbers, `given` the same as they were written.
    """

    table: str
    corpus: str
    method: str
    score: str
    settings: Mapping[str, str]
    figures: Mapping[str, float]
    given: Mapping[str, str]
    note: str
    source: str

    def is_of(self, cell: Cell) -> bool:
        """Whether the cell has the settings that it was published for."""
        alike = all(cell.texts.get(name) == text for name, text in self.settings.items())
        return bool(self.settings) and alike


class Claim(NamedTuple):
    """What a paper says in words of one of its figures."""

    table: str
    corpus: str
    claim: str
    source: str


@dataclass(frozen=True)
class Results:
    """A grid with the lines of its table."""

    grid: Grid
    lines: Sequence[Line]

    @property
    def baselines(self) -> list[Line]:
        """What was measured of no training of ours."""
        return [line for line in self.lines if not line.run]

    @cached_property
    def planned(self) -> dict[str, str]:
        """The name of each run by its whole config."""
        return {run.config.model_dump_json(): run.name for run in self.grid.runs()}

    @property
    def done(self) -> int:
        """How many of the planned runs have been scored."""
        return len({line.run for line in self.lines} & set(self.planned.values()))

    def cells(self, table: Table) -> list[Cell]:
        """A table's cells, row by row, those without a run too."""
        return [self._cell(settings) for settings in table.cells()]

    def scores(self) -> list[str]:
        """What was measured, counts of clips left out."""
        names = dict.fromkeys(name for line in self.lines for name in line.scores)
        return [n for n in names if n not in COUNTS and not n.startswith(COUNTED)]

    def _cell(self, settings: Mapping[str, Any]) -> Cell:
        configs = [self.grid.config(settings, seed) for seed in self.grid.seeds]
        names = tuple(self.planned[config.model_dump_json()] for config in configs)
        lines = tuple(line for name in names for line in self.lines if line.run == name)
        texts = {name: spelt(value) for name, value in flat_values(configs[0]).items()}
        return Cell(settings, texts, names, lines)


def folder() -> Path:
    """Where grids and their tables are kept."""
    return checkpoints.SHIPPED / "results"


def grids() -> list[Path]:
    """The grids that are kept there."""
    return sorted(folder().glob("*.toml"), key=lambda path: path.stem)


def read_lines(path: Path) -> list[Line]:
    """The lines of a grid's table, none while there is no file. Raises RavelError if damaged."""
    if not path.exists():
        return []
    rows = _rows(path)
    if rows and not {"run", "seed"} <= rows[0].keys():
        raise RavelError(_damaged(path, "it has no columns run and seed"))
    names = _measured(rows)
    return [_line(path, number, row, names) for number, row in enumerate(rows, start=2)]


def published(system: str) -> list[Published]:
    """What a system's paper published, figure by figure. Raises RavelError if damaged."""
    found = []
    for path in published_files(system):
        for number, row in enumerate(_rows(path), start=2):
            if "score" in row and "mean" in row:
                found.append(_published(path, number, row))
    return found


def claims(system: str) -> list[Claim]:
    """What a system's paper says of figures whose numbers it does not give. Raises RavelError."""
    rows = [row for path in published_files(system) for row in _rows(path) if "claim" in row]
    return [Claim(*(row.get(name, "") for name in Claim._fields)) for row in rows]


def published_files(system: str) -> list[Path]:
    """The files of figures that a system's paper published."""
    return sorted((folder() / "published").glob(f"{system}-*.csv"))


def beside(table: Table, cells: Sequence[Cell], known: Sequence[Published]) -> list[Published]:
    """What was published of a table: all that stands in it, and what is of one of its cells."""
    return [p for p in known if is_in(p, table) or any(p.is_of(cell) for cell in cells)]


def is_in(one: Published, table: Table) -> bool:
    """Whether it was published in the table or figure that is redone here."""
    return table.name.casefold() in one.table.casefold().split(" and ")


def of_cell(cell: Cell, score: str, known: Sequence[Published]) -> Published | None:
    """What was published of a cell."""
    return next((p for p in known if p.score == score and p.is_of(cell)), None)


def spread(values: Sequence[float]) -> Spread | None:
    """Mean, sample standard deviation and range of some values; none of none."""
    if not len(values):
        return None
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(len(values), float(np.mean(values)), sd, min(values), max(values))


def paired(one: Cell, other: Cell, score: str) -> Paired | None:
    """How much more one cell scores than another, over the seeds that both have; or none."""
    mine, theirs = _by_seed(one, score), _by_seed(other, score)
    seeds = tuple(sorted(mine.keys() & theirs.keys()))
    differences = tuple(mine[seed] - theirs[seed] for seed in seeds)
    found = spread(differences)
    if found is None:
        return None
    if found.sd is None:
        return Paired(seeds, differences, found.mean, None, None)
    from scipy.special import stdtrit

    half = float(stdtrit(found.n - 1, 0.975)) * found.sd / math.sqrt(found.n)
    return Paired(seeds, differences, found.mean, found.mean - half, found.mean + half)


def _by_seed(cell: Cell, score: str) -> dict[int, float]:
    return {
        line.seed: line.scores[score].value
        for line in cell.lines
        if score in line.scores and line.seed is not None
    }


def _rows(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV file as text. Raises RavelError unless each has as many fields."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RavelError(_damaged(path, f"it cannot be read ({error})")) from None
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise RavelError(_damaged(path, f"line {number} has not as many fields as the first"))
    return rows


def _measured(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The columns that hold scores: those with a number in any line."""
    names = [name for name in (rows[0] if rows else ()) if _is_score(name, rows[0])]
    return [name for name in names if any(_number(row[name]) is not None for row in rows)]


def _is_score(name: str, known: Mapping[str, str]) -> bool:
    end = name.removesuffix("_low").removesuffix("_high")
    return name not in ABOUT_RUN and "." not in name and (end == name or end not in known)


def _line(path: Path, number: int, row: Mapping[str, str], names: Sequence[str]) -> Line:
    def value(name: str) -> float | None:
        found = _number(row.get(name, ""))
        if found is None and row.get(name):
            raise RavelError(
                _damaged(path, f"in line {number} {name} is {row[name]!r}, not a number")
            )
        return found

    def whole(name: str) -> int | None:
        found = value(name)
        return None if found is None else int(found)

    scores = {
        name: Score(found, value(f"{name}_low"), value(f"{name}_high"))
        for name in names
        if (found := value(name)) is not None
    }
    return Line(row["run"], row.get("row", ""), whole("seed"), whole("steps"), scores)


def _published(path: Path, number: int, row: Mapping[str, str]) -> Published:
    missing = [name for name in ABOUT_PUBLISHED if name not in row]
    if missing:
        raise RavelError(_damaged(path, f"it has no column {missing[0]}"))
    figures = {name: _number(row.get(name, "")) for name in FIGURES}
    for name, value in figures.items():
        if value is None and row.get(name):
            raise RavelError(_damaged(path, f"in line {number} {name} is {row[name]!r}"))
    return Published(
        **{name: row[name] for name in ABOUT_PUBLISHED},
        settings={name: text for name, text in _settings(row)},
        figures={name: value for name, value in figures.items() if value is not None},
        given={name: row[name] for name in FIGURES if row.get(name)},
    )


def _settings(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, text) for name, text in row.items() if "." in name and text)


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _damaged(path: Path, why: str) -> str:
    return f"The table {path.name} is damaged: {why}; restore it, or write it again."
