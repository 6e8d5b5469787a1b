"""A table of a grid as the Results page shows it: drawn, as text and as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from core.experiments import results
from core.experiments.grid import Table
from core.experiments.results import Cell, Line, Published, Results
from lab.results import labels as words
from lab.results.dot_chart import NEUTRAL, Chart, Dot, Group, Panel, Series

SIZE = "model.z_size"  # the setting that the first paper's figures are drawn over
SHARES = "f1_", "rpa_", "judge_"  # scores from 0 to 1 whose heights are compared
SHARE_SPAN = (-0.04, 1.06)
IN_A_ROW = 3  # panels, where they are not drawn over sizes
MISSING, SEEDS, UNNAMED, USUAL = "–", "Seeds", "Runs", "as usual"


@dataclass(frozen=True)
class View:
    """A table as the page shows it: which scores, beside which published figures."""

    results: Results
    table: Table
    chosen: Sequence[str]
    known: Sequence[Published]
    meanings: Mapping[str, str]

    @cached_property
    def cells(self) -> list[Cell]:
        """The cells, row by row."""
        return self.results.cells(self.table)

    @cached_property
    def axes(self) -> list[str]:
        """The settings in which the cells differ; of a single cell, all that it names."""
        return self.table.axes()

    @property
    def upright(self) -> bool:
        """Whether it is drawn over sizes, as the first paper's figures are."""
        return SIZE in self.axes and len(self.axes) > 1

    @cached_property
    def over(self) -> list[str]:
        """The settings that places stand for."""
        if self.upright:
            return [SIZE]
        return [name for name in self.axes if name not in self.table.columns] or self.axes

    @cached_property
    def by(self) -> list[str]:
        """The settings that colours and symbols stand for."""
        return [name for name in self.axes if name not in self.over]

    @cached_property
    def beside(self) -> list[Published]:
        """The published figures of the chosen scores that belong to this table."""
        found = results.beside(self.table, self.cells, self.known)
        return [one for one in found if one.score in self.chosen]

    @cached_property
    def others(self) -> list[Published]:
        """Published figures of this table that no cell is of: systems of others."""
        mine = [one for one in self.beside if results.is_in(one, self.table)]
        return [one for one in mine if not any(one.is_of(cell) for cell in self.cells)]

    @cached_property
    def baselines(self) -> list[Line]:
        """What was measured of no training of ours, by the chosen scores."""
        return [b for b in self.results.baselines if any(s in b.scores for s in self.chosen)]

    def score(self, name: str) -> str:
        """A score's heading."""
        return words.score(name, self.meanings)

    def called(self, cell: Cell) -> str:
        """A cell in words."""
        return words.together(cell.settings, self.axes) or USUAL

    @cached_property
    def places(self) -> list[str]:
        """What the chart has places for."""
        of_cells = [self.place(cell) for cell in self.cells]
        if self.upright:
            return list(dict.fromkeys(of_cells))
        others = [self._called_other(one) for one in self.others]
        return list(dict.fromkeys([*of_cells, *others, *map(baseline, self.baselines)]))

    def place(self, cell: Cell) -> str:
        """Where in the chart a cell stands."""
        return words.together(cell.settings, self.over) or USUAL

    @cached_property
    def series(self) -> list[Series]:
        """A colour for each value of the first setting, a symbol for each of the rest."""
        colours = list(dict.fromkeys(words.together(c.settings, self.by[:1]) for c in self.cells))
        symbols = list(dict.fromkeys(words.together(c.settings, self.by[1:]) for c in self.cells))
        return [
            Series(
                words.together(cell.settings, self.by) or UNNAMED,
                colours.index(words.together(cell.settings, self.by[:1])),
                symbols.index(words.together(cell.settings, self.by[1:])),
            )
            for cell in {words.together(c.settings, self.by): c for c in self.cells}.values()
        ]

    def chart(self) -> Chart:
        """The table drawn."""
        along = words.setting(SIZE)
        drawn = [row for row in self.panels() if any(panel.groups for panel in row)]
        return Chart(drawn, self.places, self.series, self.upright, along)

    def panels(self) -> list[list[Panel]]:
        """Rows of panels: this project's scores, and the published ones below or behind them."""
        ours = [self._ours(score) for score in self.chosen]
        theirs = [self._theirs(score) for score in self.chosen]
        if not any(panel.groups for panel in theirs):
            return [ours]
        there = [panel for panel in theirs if panel.groups]
        if self.upright or len(ours) + len(there) > IN_A_ROW:
            return [ours, theirs]
        return [[*ours, *there]]

    def _ours(self, score: str) -> Panel:
        groups = [self._group(cell, score) for cell in self.cells]
        if not self.upright:
            groups += [self._baseline(line, score) for line in self.baselines]
        there = [group for group in groups if group]
        return Panel(words.wrapped(self.score(score)), there, False, self._span(score))

    def _group(self, cell: Cell, score: str) -> Group | None:
        found = cell.spread(score)
        if found is None:
            return None
        says = f"{self.called(cell)}<br>mean of {found.n}: {words.spread(found)}"
        dots = [_dot(line, score) for line in cell.lines if score in line.scores]
        return Group(*self._where(cell.settings), dots, found.mean, says)

    def _baseline(self, line: Line, score: str) -> Group | None:
        if score not in line.scores:
            return None
        found = line.scores[score]
        ends = None if found.low is None or found.high is None else (found.low, found.high)
        dot = Dot(found.value, f"{baseline(line)}: {told(found)}")
        return Group(self.places.index(baseline(line)), NEUTRAL, [dot], reach=ends)

    def _theirs(self, score: str) -> Panel:
        groups = []
        for cell in self.cells:
            one = results.of_cell(cell, score, self.beside)
            if one:
                groups.append(_published_group(one, *self._where(cell.settings)))
        if not self.upright:
            of_score = [one for one in self.others if one.score == score]
            groups += [_published_group(one, *self._where_other(one)) for one in of_score]
        title = words.wrapped(f"Published, {self._corpora(score)}: {self.score(score)}")
        return Panel(title, groups, True, self._span(score))

    def _where(self, settings: Mapping[str, object]) -> tuple[int, int]:
        """The numbers of place and series of some settings."""
        names = [one.name for one in self.series]
        series = names.index(words.together(settings, self.by) or UNNAMED)
        return self.places.index(words.together(settings, self.over) or USUAL), series

    def _where_other(self, one: Published) -> tuple[int, int]:
        names = [about.name for about in self.series]
        called = self._called_other(one)
        mine = set(self.by) <= one.settings.keys() and words.together(one.settings, self.by)
        return self.places.index(called), names.index(mine) if mine in names else NEUTRAL

    def _called_other(self, one: Published) -> str:
        if set(self.over) <= one.settings.keys():
            return words.together(one.settings, self.over)
        return one.method

    def _span(self, score: str) -> tuple[float, float] | None:
        return SHARE_SPAN if score.startswith(SHARES) else None

    def frame(self) -> pd.DataFrame:
        """The table: a line for each cell, then what others published, then baselines."""
        lines = [self._row(cell) for cell in self.cells]
        first = words.setting(self.axes[0])
        for one in self.others:
            named = {
                words.setting(n): words.value(n, one.settings[n])
                for n in self.axes
                if n in one.settings
            }
            of = named if len(named) == len(self.axes) else {first: other(one)}
            lines.append({**of, _published_column(one.score): published_text(one)})
        for line in self.baselines:
            scores = {self.score(s): told(line.scores[s]) for s in self.chosen if s in line.scores}
            lines.append({first: baseline(line), **scores})
        frame = pd.DataFrame(lines).fillna("")
        return frame[[name for name in self._columns() if name in frame]]

    def _columns(self) -> list[str]:
        columns = [words.setting(name) for name in self.axes]
        for score in self.chosen:
            columns += [self.score(score), _published_column(score)]
        return [*columns, SEEDS]

    def _row(self, cell: Cell) -> dict[str, str]:
        row = {
            words.setting(name): words.value(name, cell.settings[name])
            for name in self.axes
            if name in cell.settings
        }
        for score in self.chosen:
            row[self.score(score)] = words.spread(cell.spread(score))
            one = results.of_cell(cell, score, self.beside)
            if one:
                row[_published_column(score)] = published_text(one)
        return row | {SEEDS: f"{len(cell.lines)} of {len(cell.runs)}"}

    def heads(self) -> dict[str, str]:
        """What the columns of published figures are headed."""
        return {
            _published_column(score): f"Published, {self._corpora(score)}" for score in self.chosen
        }

    def _corpora(self, score: str) -> str:
        return ", ".join(dict.fromkeys(one.corpus for one in self.beside if one.score == score))

    def helps(self) -> dict[str, str]:
        """What the columns mean."""
        spread = "Mean ± standard deviation over seeds; of a single seed its value."
        helps = {self.score(s): f"{self.score(s)}. {spread}" for s in self.chosen}
        helps[SEEDS] = "How many runs have been scored, of those that the grid asks for."
        for one in self.beside:
            helps[_published_column(one.score)] = (
                f"{self.score(one.score)}, from {one.source}. Another corpus, model or length of "
                "training: compare the order, not the height."
            )
        for name in self.axes:
            if name in words.HELP:
                helps[words.setting(name)] = words.HELP[name]
        return helps

    def to_csv(self) -> bytes:
        """The table in numbers: every score's mean, deviation, range and count, by setting."""
        lines = []
        for cell in self.cells:
            line: dict[str, object] = {name: cell.texts[name] for name in cell.settings}
            for score in self.results.scores():
                found = cell.spread(score)
                if found:
                    line |= {f"{score}_{part}": value for part, value in found._asdict().items()}
            for one in self.beside:
                if one.is_of(cell):
                    line.setdefault(f"{one.score}_published", one.figures.get("mean"))
            lines.append(line)
        return pd.DataFrame(lines).to_csv(index=False).encode()

    def lines(self) -> list[tuple[Cell, Line]]:
        """Every scored run with its cell."""
        return [(cell, line) for cell in self.cells for line in cell.lines]

    def every_run(self) -> pd.DataFrame:
        """A line for each scored run."""
        return pd.DataFrame(
            {
                "Run": line.run,
                "Settings": self.called(cell),
                "Seed": line.seed,
                **{self.score(s): told(line.scores.get(s)) for s in self.chosen},
            }
            for cell, line in self.lines()
        )


def _published_column(score: str) -> str:
    return f"{score}, published"


def baseline(line: Line) -> str:
    """What a baseline is called."""
    return words.BASELINES.get(line.row, line.row)


def other(one: Published) -> str:
    """What somebody else's system is called."""
    return f"{one.method}, {one.note}" if one.note else one.method


def told(score: results.Score | None) -> str:
    """A run's score with its interval."""
    if score is None:
        return MISSING
    if score.low is None or score.high is None:
        return words.figure(score.value)
    low, high = words.figure(score.low), words.figure(score.high)
    return f"{words.figure(score.value)} [{low}, {high}]"


def published_text(one: Published) -> str:
    """A published figure as it was given."""
    given = one.given
    if "mean" not in given:
        return f"≥ {given['low']}" if "low" in given else MISSING
    return given["mean"] + (f" ± {given['sd']}" if "sd" in given else "")


def _dot(line: Line, score: str) -> Dot:
    says = f"seed {line.seed}: {told(line.scores[score])}<br><i>click for its run</i>"
    return Dot(line.scores[score].value, says, line.run)


def _published_group(one: Published, place: int, series: int) -> Group:
    low, high = one.figures.get("low"), one.figures.get("high")
    reach = None if low is None or high is None else (low, high)
    says = f"{other(one)}: {published_text(one)}<br>{words.wrapped(one.source, 60)}"
    return Group(place, series, (), one.figures.get("mean"), says, reach)
