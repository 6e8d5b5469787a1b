"""A table of a grid as the Results page shows it: as a chart, as text and as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from core.experiments import results
from core.experiments.grid import Table
from core.experiments.results import Cell, Published, Results
from lab.results import labels
from lab.results.dot_chart import Chart, Mark, Panel, Series

SIZE = "model.z_size"  # the setting that the first paper's figures are drawn over
SHARES = "f1_", "rpa_", "judge_"  # scores from 0 to 1 whose heights are compared
SHARE_SPAN = (-0.04, 1.06)
IN_A_ROW = 3  # panels, where they are not drawn over sizes
SEEDS, UNNAMED, DEFAULTS = "Seeds", "Runs", "default settings"


@dataclass(frozen=True)
class View:
    """A table as the page shows it: with which scores and which published figures."""

    results: Results
    table: Table
    scores: Sequence[str]
    published: Sequence[Published]
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
    def figures(self) -> list[Published]:
        """The published figures of the chosen scores that belong to this table."""
        found = results.relevant(self.table, self.cells, self.published)
        return [one for one in found if one.score in self.scores]

    @cached_property
    def others(self) -> list[Published]:
        """The published figures of this table that match no cell: other authors' systems."""
        return [
            one
            for one in self.figures
            if one.is_in(self.table) and not any(one.matches(cell) for cell in self.cells)
        ]

    @cached_property
    def baselines(self) -> list[pd.Series]:
        """The lines of baselines with any of the chosen scores."""
        lines = self.results.baselines
        lines = lines[lines.reindex(columns=list(self.scores)).notna().any(axis=1)]
        return [line for _, line in lines.iterrows()]

    @property
    def runs(self) -> list[tuple[Cell, pd.Series]]:
        """Every scored run with its cell."""
        return [(cell, line) for cell in self.cells for _, line in cell.runs.iterrows()]

    def score(self, name: str) -> str:
        """A score's heading."""
        return labels.score(name, self.meanings)

    def describe(self, cell: Cell) -> str:
        """A cell in words."""
        return labels.together(cell.settings, self.axes) or DEFAULTS

    # The chart

    @cached_property
    def places(self) -> list[str]:
        """The labels along the chart's axis of places."""
        places = [self._place(cell.settings) for cell in self.cells]
        if not self.upright:
            places += map(self._other_place, self.others)
            places += map(labels.baseline, self.baselines)
        return list(dict.fromkeys(places))

    @cached_property
    def series(self) -> list[Series]:
        """A colour for each value of the first setting, a symbol for each of the rest."""
        names, colours, symbols = (
            list(dict.fromkeys(labels.together(cell.settings, settings) for cell in self.cells))
            for settings in (self.by, self.by[:1], self.by[1:])
        )
        looks = {labels.together(cell.settings, self.by): cell.settings for cell in self.cells}
        return [
            Series(
                name or UNNAMED,
                colours.index(labels.together(looks[name], self.by[:1])),
                symbols.index(labels.together(looks[name], self.by[1:])),
            )
            for name in names
        ]

    def chart(self) -> Chart:
        """The table as a chart: our scores, and the published ones below or beside them."""
        ours = [self._panel(score, self._our_marks(score)) for score in self.scores]
        theirs = [
            self._panel(score, self._published_marks(score), f"Published, {self._corpora(score)}: ")
            for score in self.scores
        ]
        filled = [panel for panel in theirs if panel.marks]
        rows = [ours, theirs]
        if not self.upright and len(ours) + len(filled) <= IN_A_ROW:
            rows = [[*ours, *filled]]
        rows = [row for row in rows if any(panel.marks for panel in row)]
        return Chart(rows, self.places, self.series, self.upright, labels.setting(SIZE))

    def _panel(self, score: str, marks: list[Mark], source: str = "") -> Panel:
        title = labels.wrapped(f"{source}{self.score(score)}")
        span = SHARE_SPAN if score.startswith(SHARES) else None
        return Panel(title, marks, bool(source), span)

    def _our_marks(self, score: str) -> list[Mark]:
        marks = []
        for cell in self.cells:
            found = cell.spread(score)
            if not found:
                continue
            at = self._place(cell.settings), labels.together(cell.settings, self.by) or UNNAMED
            for _, line in cell.runs.dropna(subset=[score]).iterrows():
                text = f"seed {line['seed']}: {labels.of_run(line, score)}"
                text += "<br><i>click for its run</i>"
                marks.append(Mark("run", *at, line[score], text, run=line["run"]))
            text = f"{self.describe(cell)}<br>mean of {found.n}: {labels.spread(found)}"
            marks.append(Mark("mean", *at, found.mean, text))
        for line in () if self.upright else self.baselines:
            if pd.notna(line.get(score)):
                name = labels.baseline(line)
                ends = line.get(f"{score}_low"), line.get(f"{score}_high")
                text = f"{name}: {labels.of_run(line, score)}"
                marks.append(Mark("run", name, "", line[score], text, *ends))
        return marks

    def _published_marks(self, score: str) -> list[Mark]:
        marks = []
        for cell in self.cells:
            one = results.matching(cell, score, self.figures)
            if one:
                series = labels.together(cell.settings, self.by) or UNNAMED
                marks.append(_published_mark(one, self._place(cell.settings), series))
        for one in () if self.upright else self.others:
            if one.score == score:
                complete = set(self.by) <= one.settings.keys()
                series = labels.together(one.settings, self.by) if complete else ""
                marks.append(_published_mark(one, self._other_place(one), series))
        return marks

    def _place(self, settings: Mapping[str, object]) -> str:
        return labels.together(settings, self.over) or DEFAULTS

    def _other_place(self, one: Published) -> str:
        complete = set(self.over) <= one.settings.keys()
        return labels.together(one.settings, self.over) if complete else one.method

    def _corpora(self, score: str) -> str:
        return ", ".join(dict.fromkeys(one.corpus for one in self.figures if one.score == score))

    # The table as text

    def frame(self) -> pd.DataFrame:
        """A line for each cell, then the systems of other authors, then baselines."""
        lines, first = [], labels.setting(self.axes[0])
        for cell in self.cells:
            line = self._settings(cell.settings)
            for score in self.scores:
                line[self.score(score)] = labels.spread(cell.spread(score))
                one = results.matching(cell, score, self.figures)
                line |= {_published_column(score): labels.published(one)} if one else {}
            lines.append(line | {SEEDS: f"{len(cell.runs)} of {len(cell.planned)}"})
        for one in self.others:
            line = self._settings(one.settings)
            line = line if len(line) == len(self.axes) else {first: labels.other(one)}
            lines.append(line | {_published_column(one.score): labels.published(one)})
        for run in self.baselines:
            scores = [score for score in self.scores if pd.notna(run.get(score))]
            line = {self.score(score): labels.of_run(run, score) for score in scores}
            lines.append({first: labels.baseline(run)} | line)
        columns = [labels.setting(name) for name in self.axes]
        for score in self.scores:
            columns += [self.score(score), _published_column(score)]
        frame = pd.DataFrame(lines).fillna("")
        return frame[[name for name in [*columns, SEEDS] if name in frame]]

    def _settings(self, settings: Mapping[str, object]) -> dict[str, str]:
        names = [name for name in self.axes if name in settings]
        return {labels.setting(name): labels.value(name, settings[name]) for name in names}

    def heads(self) -> dict[str, str]:
        """The headings of the columns with published figures."""
        return {
            _published_column(score): f"Published, {self._corpora(score)}" for score in self.scores
        }

    def helps(self) -> dict[str, str]:
        """The help of each column."""
        spread = "Mean ± standard deviation over seeds; for a single seed, its value."
        helps = {self.score(s): f"{self.score(s)}. {spread}" for s in self.scores}
        helps[SEEDS] = "How many of the grid's runs have been scored."
        for one in self.figures:
            helps[_published_column(one.score)] = (
                f"{self.score(one.score)}, from {one.source}. Another corpus, model or length of "
                "training: compare the order, not the absolute values."
            )
        for name in self.axes:
            if name in labels.SETTINGS and labels.SETTINGS[name].help:
                helps[labels.setting(name)] = labels.SETTINGS[name].help
        return helps

    def every_run(self) -> pd.DataFrame:
        """A line for each scored run."""
        return pd.DataFrame(
            {
                "Run": line["run"],
                "Settings": self.describe(cell),
                "Seed": line["seed"],
                **{self.score(score): labels.of_run(line, score) for score in self.scores},
            }
            for cell, line in self.runs
        )

    def to_csv(self) -> bytes:
        """The table in numbers: every score's count, mean, deviation and range, by setting."""
        lines = []
        for cell in self.cells:
            line: dict[str, object] = {name: cell.texts[name] for name in cell.settings}
            for score in self.results.scores():
                found = cell.spread(score)
                if found:
                    line |= {f"{score}_{part}": value for part, value in found._asdict().items()}
            for one in self.figures:
                if one.matches(cell):
                    line.setdefault(f"{one.score}_published", one.figures.get("mean"))
            lines.append(line)
        return pd.DataFrame(lines).to_csv(index=False).encode()


def _published_column(score: str) -> str:
    return f"{score}, published"


def _published_mark(one: Published, place: str, series: str) -> Mark:
    text = f"{labels.other(one)}: {labels.published(one)}<br>{labels.wrapped(one.source, 60)}"
    mean, low, high = map(one.figures.get, ("mean", "low", "high"))
    return Mark("mean", place, series, mean, text, low, high)
