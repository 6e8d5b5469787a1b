"""A grid of runs: the same training with different settings and seeds, and one table of it all.

A grid is a TOML file; checkpoints/results has those of the papers' tables:

    title = "..."
    system = "contrastive"
    preset = "small"
    seeds = [0, 1, 2]
    state = "last"                            # which saved state is scored: best or last
    evaluate = ["--data", "data/scenes"]      # options of `python -m core evaluate`
    baselines = ["--data", "data/scenes"]     # instead, for the first run: with the baselines
    [settings]                                # laid over the preset in every run
    "training.steps" = 800
    [[tables]]
    name = "table 2"
    title = "Separation and SpecAugment"
    settings = { "objective.coincidence" = 0.0 }
    rows = { "views.specaugment" = [false, true] }
    columns = { "views.pair" = ["mixture-mixture", "mixture-channel"] }

Each combination of a table's rows and columns is trained once for each seed, and each of `more`, a
list of settings that are in no row. A combination that stands in two tables is one run.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from core import registry
from core.checkpoints.checkpoint import Checkpoint
from core.errors import RavelError
from core.experiments.evaluation import parse_options
from core.files import replace
from core.training.config import RunConfig, Settings, flat_fields, flat_values, merge
from core.training.run import Run

MOST = 10_000  # runs of a grid
CHECKPOINT = "checkpoint"  # the folder in a run's folder that its scored state is exported to


class Table(Settings):
    """Some cells of a grid: what a table of a paper shows."""

    name: str
    title: str = ""
    note: str = ""
    settings: dict[str, Any] = Field({})
    rows: dict[str, list[Any]] = Field({})
    columns: dict[str, list[Any]] = Field({})
    more: list[dict[str, Any]] = Field([])
    scores: list[str] = Field([])  # which scores it is about: the lab shows these first

    @property
    def size(self) -> int:
        """How many cells there are."""
        product = math.prod(map(len, [*self.rows.values(), *self.columns.values()]))
        return product + len(self.more)

    def cells(self) -> Iterator[dict[str, Any]]:
        """The settings of each cell, row by row; then those that are in no row."""
        axes = {**self.rows, **self.columns}
        for values in itertools.product(*axes.values()):
            yield {**self.settings, **dict(zip(axes, values, strict=True))}
        yield from ({**self.settings, **cell} for cell in self.more)

    def axes(self) -> list[str]:
        """The settings in which the cells differ; of a single cell, all that it names."""
        cells = list(self.cells())
        given = list(dict.fromkeys([*self.rows, *self.columns, *itertools.chain(*self.more)]))
        of = {name: {spelt(cell.get(name)) for cell in cells} for name in given}
        return [name for name in given if len(of[name]) > 1] or given


class Grid(Settings):
    """Which runs to make, and how to score them."""

    title: str
    system: str
    preset: str = "paper"
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    state: str = "best"
    evaluate: list[str]
    baselines: list[str] = Field([])
    settings: dict[str, Any] = Field({})
    tables: list[Table] = Field(min_length=1)

    def config(self, cell: Mapping[str, Any], seed: int) -> RunConfig:
        """The whole config of a run. Raises RavelError naming a mistaken setting."""
        values = merge(registry.preset(self.system, self.preset), self.settings)
        values = merge(merge(values, cell), {"training.seed": seed, "system": self.system})
        return registry.parse(values)

    def varied(self) -> list[str]:
        """The settings that are not the same in all cells, by their dotted names."""
        named = {name for table in self.tables for cell in table.cells() for name in cell}
        order = [name for name in flat_fields(registry.get(self.system).config) if name in named]
        flat = [
            flat_values(self.config(cell, 0)) for table in self.tables for cell in table.cells()
        ]
        return [name for name in order if len({spelt(values[name]) for values in flat}) > 1]

    def runs(self, seeds: list[int] | None = None) -> list[Planned]:
        """Every run once, all cells of a seed before the next seed."""
        varied, defaults = self.varied(), flat_values(self.config({}, 0))
        found: dict[str, Planned] = {}
        for seed in seeds or self.seeds:
            for table in self.tables:
                for cell in table.cells():
                    config = self.config(cell, seed)
                    flat = flat_values(config)
                    settings = {name: spelt(flat[name]) for name in varied}
                    special = {k: v for k, v in settings.items() if v != spelt(defaults[k])}
                    planned = Planned(run_name(special, seed), config, settings, seed)
                    if found.setdefault(planned.name, planned) != planned:
                        raise RavelError(f"Two cells of the grid have one name: {planned.name}.")
        return list(found.values())


class Planned(NamedTuple):
    """One run of a grid: its folder's name, its config, and the varied settings as text."""

    name: str
    config: RunConfig
    settings: dict[str, str]
    seed: int


def read(path: str | Path) -> Grid:
    """A grid from its TOML file. Raises RavelError saying what is wrong with it."""
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RavelError(f"The grid {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RavelError(f"{path} is not a grid in TOML: {error}.") from None
    except RecursionError:
        raise RavelError(f"{path} is not a grid in TOML: it is nested too deeply.") from None
    try:
        grid = Grid.parse(values)
        if (cells := sum(table.size for table in grid.tables) * len(grid.seeds)) > MOST:
            raise RavelError(
                f"The grid has {cells:,} runs, and {MOST:,} is the most: make several grids of it."
            )
        grid.runs()  # so that a mistake in any cell is reported before the first run is trained
        parse_options(grid.evaluate)
        parse_options(grid.baselines)
    except RavelError as error:
        raise RavelError(f"In the grid {path}: {error}") from None
    return grid


def run_name(settings: Mapping[str, str], seed: int) -> str:
    """A folder's name: the settings that differ from the grid's own."""
    parts = [f"{name.rsplit('.', 1)[-1]}={value}" for name, value in settings.items()]
    text = "_".join([*(parts or ["usual"]), f"seed={seed}"])
    return "".join(c if c.isalnum() or c in "._+-" else "-" for c in text)


def spelt(value: Any) -> str:
    """A setting as the table spells it."""
    if isinstance(value, list | tuple):
        return "+".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_trained(run: Run) -> bool:
    """Whether it ran to its end."""
    return run.state().get("state") == "finished"


def scores(run: Run) -> dict[str, dict[str, Any]]:
    """The scores of its checkpoint by row; the row of the model itself is "". Empty if none."""
    folder = run.path / CHECKPOINT
    if not (folder / "metrics.json").exists():
        return {}
    found: dict[str, dict[str, Any]] = {}
    for by_corpus in Checkpoint(folder).metrics.values():
        for name, value in by_corpus.items():
            if isinstance(value, dict) and "value" not in value:
                found.setdefault(name, {}).update(value)
            else:
                found.setdefault("", {})[name] = value
    return found


def table(grid: Grid, folder: Path) -> list[dict[str, Any]]:
    """One line for each scored run below `folder`, and one for each baseline."""
    lines: list[dict[str, Any]] = []
    baselines: dict[str, dict[str, Any]] = {}
    for planned in grid.runs():
        if not (folder / planned.name / "config.json").exists():
            continue
        run = Run.open(folder / planned.name)
        found = scores(run)
        counts = found.pop("", {})
        if found:  # several rows: those of no training of ours are baselines, and stand once
            own = "encoder" if "encoder" in found else next(iter(found))
            lines.append(_line(planned, run, own, {**counts, **found.pop(own)}))
            for row, values in found.items():
                baselines.setdefault(row, {"run": "", "row": row, **_columns(values)})
        elif counts:
            lines.append(_line(planned, run, "", counts))
    return [*lines, *baselines.values()]


def write_table(lines: list[dict[str, Any]], path: Path) -> None:
    """The lines as CSV, atomically; what a line does not have is left empty."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, lambda temporary: temporary.write_text(text.getvalue(), encoding="utf-8"))


def _line(planned: Planned, run: Run, row: str, values: Mapping[str, Any]) -> dict[str, Any]:
    state = run.state()
    return {
        "run": planned.name,
        "row": row,
        **planned.settings,
        "seed": planned.seed,
        "steps": state.get("step"),
        "cpu_seconds": round(state.get("cpu_seconds", 0)),
        **_columns(values),
    }


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Scores as columns: a value and the ends of its interval, or a number."""
    columns: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            ends = {"low": "_low", "high": "_high", "value": ""}
            columns |= {f"{name}{ends[k]}": v for k, v in sorted(value.items(), reverse=True)}
        else:
            columns[name] = json.dumps(value) if isinstance(value, list) else value
    return columns
