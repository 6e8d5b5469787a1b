"""Results of grids: scores by cell and seed, and the figures that the papers published.

A grid's table lies beside its TOML file (see core/experiments/grid.py); published figures lie in
`published`, in files that begin with the name of their system.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from core.checkpoints import checkpoint
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
COUNTED = "fad_frames"  # how the names of further counts begin


class Spread(NamedTuple):
    """A score over n runs. `sd`: the sample standard deviation, None for a single run."""

    n: int
    mean: float
    sd: float | None
    low: float
    high: float


class Paired(NamedTuple):
    """Differences by seed. `low`, `high`: 95 % t interval of their mean, None for one seed."""

    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class Cell:
    """A combination of settings in a table of a grid.

    `settings` are those of the table, `texts` all settings as text, `planned` the names of its
    runs, `runs` the lines of the grid's table for those that have been scored.
    """

    settings: Mapping[str, Any]
    texts: Mapping[str, str] = field(repr=False)
    planned: tuple[str, ...]
    runs: pd.DataFrame

    def spread(self, score: str) -> Spread | None:
        """A score over the runs that have it, or None."""
        return spread(self.runs[score].dropna()) if score in self.runs else None

    def by_seed(self, score: str) -> pd.Series:
        """A score by seed, of the runs that have it."""
        if score not in self.runs:
            return pd.Series(dtype=float)
        return self.runs.groupby("seed")[score].last().dropna()


@dataclass(frozen=True)
class Published:
    """A published figure: its table, what was measured, the settings that reproduce it as text.

    `given` are its numbers as they were written.
    """

    table: str
    corpus: str
    method: str
    score: str
    note: str
    source: str
    settings: Mapping[str, str]
    given: Mapping[str, str]

    @property
    def figures(self) -> dict[str, float]:
        """Its numbers by name, of FIGURES."""
        return {name: float(text) for name, text in self.given.items()}

    def matches(self, cell: Cell) -> bool:
        """Whether the cell has the settings that it was published for."""
        alike = all(cell.texts.get(name) == text for name, text in self.settings.items())
        return bool(self.settings) and alike

    def is_in(self, table: Table) -> bool:
        """Whether it was published in the table or figure that `table` reproduces."""
        return table.name.casefold() in self.table.casefold().split(" and ")


class Claim(NamedTuple):
    """A paper's statement about one of its figures."""

    table: str
    corpus: str
    claim: str
    source: str


@dataclass(frozen=True, eq=False)
class Results:
    """A grid and its table, as `read_table` reads it."""

    grid: Grid
    table: pd.DataFrame

    @property
    def baselines(self) -> pd.DataFrame:
        """The lines of baselines, which belong to no run."""
        return self.table[self.table["run"] == ""]

    @cached_property
    def planned(self) -> dict[str, str]:
        """The name of each run by its whole config."""
        return {run.config.model_dump_json(): run.name for run in self.grid.runs()}

    @property
    def done(self) -> int:
        """How many of the planned runs have been scored."""
        return len(set(self.table["run"]) & set(self.planned.values()))

    def cells(self, table: Table) -> list[Cell]:
        """A table's cells, row by row, including those without a scored run."""
        return [self._cell(settings) for settings in table.cells()]

    def scores(self) -> list[str]:
        """The names of the scores, without counts of clips."""
        names = [name for name in self.table if _is_score(name, self.table)]
        return [name for name in names if name not in COUNTS and not name.startswith(COUNTED)]

    def _cell(self, settings: Mapping[str, Any]) -> Cell:
        configs = [self.grid.config(settings, seed) for seed in self.grid.seeds]
        planned = tuple(self.planned[config.model_dump_json()] for config in configs)
        texts = {name: spelt(value) for name, value in flat_values(configs[0]).items()}
        by_run = self.table.set_index("run", drop=False)
        scored = by_run.loc[[name for name in planned if name in by_run.index]]
        return Cell(settings, texts, planned, scored.reset_index(drop=True))


def folder() -> Path:
    """The folder of grids and their tables."""
    return checkpoint.SHIPPED / "results"


def grids() -> list[Path]:
    """The TOML files of the grids in it."""
    return sorted(folder().glob("*.toml"), key=lambda path: path.stem)


def published_files(system: str) -> list[Path]:
    """The files with the published figures of a system's paper."""
    return sorted((folder() / "published").glob(f"{system}-*.csv"))


def read_table(path: Path) -> pd.DataFrame:
    """A grid's table: a line for each scored run, and one with an empty `run` for each baseline.

    Columns: run, row (text), seed, steps (whole numbers or missing), and as floats each score and
    the ends of its 95 % interval, `score_low` and `score_high`, where it has one. Without a file
    the table is empty. Raises RavelError if it is damaged.
    """
    text = _text(path) if path.exists() else pd.DataFrame()
    if text.empty:
        return pd.DataFrame(columns=["run", "row", "seed", "steps"])
    if not {"run", "seed"} <= set(text):
        raise RavelError(_damaged(path, "it has no columns run and seed"))
    scores = [name for name in text if _is_score(name, text) and _any_number(text[name])]
    columns = [f"{score}{end}" for score in scores for end in ("", "_low", "_high")]
    columns = [name for name in columns if name in text]
    numbers = _numbers(path, text[[*columns, *text.columns.intersection(["seed", "steps"])]])
    whole = np.trunc(numbers.reindex(columns=["seed", "steps"])).astype("Int64")
    about = text.reindex(columns=["run", "row"], fill_value="")
    return pd.concat([about, whole, numbers[columns]], axis=1)


def published(system: str) -> list[Published]:
    """The published figures of a system's paper. Raises RavelError if a file is damaged."""
    found = []
    for path in published_files(system):
        text = _text(path)
        if not {"score", "mean"} <= set(text):
            continue
        for name in ABOUT_PUBLISHED:
            if name not in text:
                raise RavelError(_damaged(path, f"it has no column {name}"))
        _numbers(path, text[text.columns.intersection(FIGURES)])
        for row in text.to_dict("records"):
            about = {name: row[name] for name in ABOUT_PUBLISHED}
            settings = {name: value for name, value in row.items() if "." in name and value}
            given = {name: row[name] for name in FIGURES if row.get(name)}
            found.append(Published(**about, settings=settings, given=given))
    return found


def claims(system: str) -> list[Claim]:
    """What a system's paper says about figures without giving numbers. Raises RavelError."""
    tables = [text for path in published_files(system) if "claim" in (text := _text(path))]
    rows = [row for text in tables for row in text.to_dict("records")]
    return [Claim(*(row.get(name, "") for name in Claim._fields)) for row in rows]


def relevant(
    table: Table, cells: Sequence[Cell], published: Sequence[Published]
) -> list[Published]:
    """The published figures of a table: those that stand in it, and those that match a cell."""
    return [p for p in published if p.is_in(table) or any(p.matches(cell) for cell in cells)]


def matching(cell: Cell, score: str, published: Sequence[Published]) -> Published | None:
    """The published figure of a cell's score, or None."""
    return next((p for p in published if p.score == score and p.matches(cell)), None)


def spread(values: pd.Series) -> Spread | None:
    """Mean, sample standard deviation and range; None without values."""
    if values.empty:
        return None
    sd = float(values.std()) if len(values) > 1 else None
    low, high = float(values.min()), float(values.max())
    return Spread(len(values), float(values.mean()), sd, low, high)


def paired(one: Cell, other: Cell, score: str) -> Paired | None:
    """`one` minus `other` for each seed that both have, as in a paired t-test; None without any."""
    by_seed = (one.by_seed(score) - other.by_seed(score)).dropna()
    if by_seed.empty:
        return None
    seeds, differences = tuple(map(int, by_seed.index)), tuple(map(float, by_seed))
    mean, low, high = float(by_seed.mean()), None, None
    if len(by_seed) > 1:
        from scipy.special import stdtrit  # the quantile of Student's t; scipy.stats loads slowly

        half = float(stdtrit(len(by_seed) - 1, 0.975) * by_seed.sem())
        low, high = mean - half, mean + half
    return Paired(seeds, differences, mean, low, high)


def _text(path: Path) -> pd.DataFrame:
    """A CSV file as text, indexed by line number. Raises RavelError unless its lines match.

    Not by pandas' own reader: it pads short lines, and takes a field too many for an index.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            header, *rows = [row for row in csv.reader(file, strict=True) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RavelError(_damaged(path, f"it cannot be read ({error})")) from None
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise RavelError(_damaged(path, f"line {number} has not as many fields as the first"))
    columns = dict(zip(header, zip(*rows, strict=True), strict=False))  # none without rows
    return pd.DataFrame(columns, index=range(2, len(rows) + 2))


def _numbers(path: Path, text: pd.DataFrame) -> pd.DataFrame:
    """Text as floats, empty fields as NaN. Raises RavelError naming the first other field."""
    numbers = text.map(_number).astype(float)
    wrong = (numbers.isna() & (text != "")).stack()
    if wrong.any():
        line, name = wrong.idxmax()
        found = text.at[line, name]
        raise RavelError(_damaged(path, f"in line {line} {name} is {found!r}, not a number"))
    return numbers


def _any_number(column: pd.Series) -> bool:
    return bool(column.map(_number).notna().any())


def _is_score(name: str, table: pd.DataFrame) -> bool:
    """Whether a column holds a score: nothing about the run, no setting, no end of an interval."""
    score = name.removesuffix("_low").removesuffix("_high")
    return name not in ABOUT_RUN and "." not in name and (score == name or score not in table)


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _damaged(path: Path, why: str) -> str:
    return f"The table {path.name} is damaged: {why}; restore it, or write it again."
