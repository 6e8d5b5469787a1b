"""What the Results page draws of a grid: its progress and its tables, with charts and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from core import registry
from core.experiments import results
from core.experiments.grid import Table
from core.experiments.results import Claim, Paired, Published, Results
from lab.public import is_public
from lab.results import data, dot_chart, factors, labels
from lab.results.table import SIZE, View
from lab.widgets.page import download, row

SCALE = (
    ":material/info: Hollow marks are the paper's own figures, from another corpus or far longer "
    "training: compare the order, not the absolute values."
)
INTERVAL = (
    "Runs with the same seed start from the same weights and see the clips in the same order. "
    "Interval: 95 % t interval of the mean difference; if it includes 0, the difference is not "
    "significant."
)
TOP, LINE = 37, 35  # pixels of a table's head and of a line
EDGE, LETTER, WIDEST = 20, 7, 300  # pixels of a column with a setting
MOST_SCORES = 3
NOT_YET = ":material/hourglass_empty:"


def grid(path: Path, published: Sequence[Published], claims: Sequence[Claim]) -> None:
    """A grid: its title, progress and command, and its tables. Raises RavelError."""
    whole = data.read(path)
    st.header(whole.grid.title, anchor=False)
    if whole.done:
        seeds = len(whole.grid.seeds)
        st.caption(
            f"{whole.done} of {len(whole.planned)} runs scored: up to {seeds} seeds per setting."
        )
    else:
        st.info(
            "No run of this grid has been scored yet: the command below trains and scores them, "
            "and its tables fill as they finish.",
            icon=NOT_YET,
        )
    st.code(data.command(path), language="bash")
    if published:
        st.caption(SCALE)
    for one in whole.grid.tables:
        st.fragment(table)(path, whole, one, published, claims)


def table(
    path: Path,
    whole: Results,
    one: Table,
    published: Sequence[Published],
    claims: Sequence[Claim],
) -> None:
    """A table or figure of the paper: its chart, and below it numbers, runs or a comparison."""
    system, key = whole.grid.system, f"{path.stem}_{one.name}".replace(" ", "_")
    about = registry.get(system)
    title = one.title or one.name
    if one.title and one.name.casefold().startswith(("table", "figure")):
        title = f"{one.name[0].upper()}{one.name[1:]}: {one.title}"
    st.subheader(title, anchor=False)
    if one.note:
        st.caption(one.note)
    measured = whole.scores() or [name for name in about.default_scores if name in about.meanings]
    figure, scores = choose_figure(system, one, measured, key)
    chosen = st.multiselect(
        "Scores",
        measured,
        default=scores,
        format_func=lambda name: labels.score(name, about.meanings),
        max_selections=MOST_SCORES,
        key=f"scores_{key}_{figure.casefold().replace(' ', '_')}".rstrip("_"),
        bind="query-params",
        placeholder="Choose scores",
        label_visibility="collapsed",
    )
    if not chosen:
        st.caption("Choose a score to draw.")
        return
    view = View(whole, one, chosen, published, about.meanings)
    chart(view, key)
    factors.show_claims(claims, figure.casefold(), one.name.casefold())
    selected_run(path, view, key)
    below(view, key)


def choose_figure(
    system: str, one: Table, measured: Sequence[str], key: str
) -> tuple[str, list[str]]:
    """The figure of the first paper that is reproduced, if any, and the scores to draw."""
    figures = labels.figures(measured) if SIZE in one.rows else {}
    if not figures:
        own = [name for name in one.scores if name in measured]
        return "", (own or labels.default_scores(system, measured))[:MOST_SCORES]
    figure = next(iter(figures))
    if len(figures) > 1:
        figure = st.segmented_control(
            "Figure of the paper",
            list(figures),
            default=figure,
            required=True,
            key=f"figure_{key}",
            bind="query-params",
            help="Figure 3: macro-F1 before and after swaps. Figure 4: Fréchet audio distance "
            "(FAD). Figure 5: pitch accuracy before and after swaps.",
        )
    return figure, figures[figure][:MOST_SCORES]


def chart(view: View, key: str) -> None:
    """The panels; a click on a dot selects its run."""
    drawn = view.chart()
    if not drawn.rows:
        return
    clicked = dot_chart.show(
        drawn,
        key=f"chart_{key}_{'_'.join(view.scores)}",
        alt=f"{view.table.title or view.table.name}: scores of the runs by setting",
    )
    if clicked != st.session_state.get(f"clicked_{key}"):  # else a row may be selected instead
        st.session_state[f"clicked_{key}"] = st.session_state[f"picked_{key}"] = clicked


def selected_run(path: Path, view: View, key: str) -> None:
    """The scores of the selected run, and a link to it or the command that makes it."""
    name = st.session_state.get(f"picked_{key}")
    selected = next((pair for pair in view.runs if pair[1]["run"] == name), None)
    if selected is None:
        return
    cell, line = selected
    run = str(line["run"])
    with st.container(border=True):
        scores = " · ".join(f"{view.score(s)} {labels.of_run(line, s)}" for s in view.scores)
        steps = f", {line['steps']:,} steps" if pd.notna(line["steps"]) else ""
        st.markdown(f"**{view.describe(cell)}**, seed {line['seed']}{steps}  \n:gray[{scores}]")
        if is_public():
            return
        here = data.run_name(path, run)
        if here:
            st.page_link(
                "lab/pages/runs.py",
                label="Open its run",
                icon=":material/table_chart:",
                query_params={"runs": here},
            )
            return
        st.caption("This run is not on this machine. To train it again:")
        st.code(data.command(path, "--only", run), language="bash", wrap_lines=True)


def below(view: View, key: str) -> None:
    """What was chosen to stand below the chart, and the download."""
    with row():
        shown = st.segmented_control(
            "Below the chart",
            list(BELOW),
            default=next(iter(BELOW)),
            required=True,
            key=f"below_{key}",
            bind="query-params",
            label_visibility="collapsed",
        )
        download(
            "CSV",
            view.to_csv,
            f"{key}.csv",
            key=f"csv_{key}",
            mime="text/csv",
            help="Every score of this table: mean, standard deviation, range and number of seeds.",
        )
    BELOW[shown](view, key)


def numbers(view: View, key: str) -> None:
    """The table."""
    frame, heads, helps = view.frame(), view.heads(), view.helps()
    widths = {
        name: min(WIDEST, EDGE + LETTER * max(map(len, [name, *frame[name]])))
        for name in map(labels.setting, view.axes)
    }
    st.dataframe(
        frame,
        key=f"table_{key}",
        hide_index=True,
        height=TOP + LINE * len(frame),
        column_config={
            name: st.column_config.TextColumn(
                heads.get(name), help=helps.get(name), width=widths.get(name)
            )
            for name in frame.columns
        },
        placeholder="",
        alt=f"{view.table.title or view.table.name}, in numbers",
    )


def every_run(view: View, key: str) -> None:
    """All scored runs; selecting a row is like clicking its dot."""
    names = [line["run"] for _, line in view.runs]
    if not names:
        st.caption("No run of this table has been scored yet.")
        return

    def select_row() -> None:
        rows = st.session_state[f"runs_{key}"]["selection"]["rows"]
        st.session_state[f"picked_{key}"] = names[rows[0]] if rows else None

    st.dataframe(
        view.every_run(),
        key=f"runs_{key}",
        hide_index=True,
        on_select=select_row,
        selection_mode="single-row",
        alt="Every scored run; select a row for a link to it",
    )


def compare(view: View, key: str) -> None:
    """Two cells, seed by seed."""
    cells = {view.describe(cell): cell for cell in view.cells if len(cell.runs)}
    if len(cells) < 2:
        st.caption("A comparison needs two settings with scored runs.")
        return
    names = list(cells)
    left, right = st.columns(2)
    first = left.selectbox("Setting", names, index=len(names) - 1, key=f"first_{key}")
    second = right.selectbox("Compared with", names, key=f"second_{key}")
    lines = {
        view.score(score): differences(results.paired(cells[first], cells[second], score))
        for score in view.scores
    }
    st.table(pd.DataFrame.from_dict(lines, orient="index").fillna(labels.MISSING))
    st.caption(INTERVAL)


def differences(pair: Paired | None) -> dict[str, str]:
    """A comparison as a line of a table."""
    if pair is None:
        return {"Difference": labels.MISSING}
    interval = "needs two seeds"
    if pair.low is not None:
        interval = f"[{pair.low:+.3f}, {pair.high:+.3f}]"
    by_seed = ", ".join(f"{difference:+.3f}" for difference in pair.differences)
    return {"Difference": f"{pair.mean:+.3f}", "Interval": interval, "By seed": by_seed}


BELOW = {"Table": numbers, "Every run": every_run, "Compare two settings": compare}


def choose_corpus(published: Sequence[Published]) -> Sequence[Published]:
    """The published figures for one corpus, where a paper has them for several."""
    corpora = list(dict.fromkeys(one.corpus for one in published))
    if len(corpora) < 2:
        return published
    chosen = st.selectbox(
        "Published figures for",
        corpora,
        key="published",
        bind="query-params",
        width=220,
        help="Which published results are shown for comparison. AMSGrad: the authors trained all "
        "models again with this variant of Adam.",
    )
    return [one for one in published if one.corpus == chosen]


def all_published(system: str) -> None:
    """Every file of published figures, as it is."""
    files = results.published_files(system)
    if not files:
        return
    with st.expander(
        "All published figures", key="all_published", icon=":material/menu_book:", on_change="rerun"
    ) as opened:
        if opened.open:
            for file in files:
                name = file.stem.removeprefix(f"{system}-").replace("-", " ")
                st.markdown(f"**{name[0].upper()}{name[1:]}**")
                st.dataframe(pd.read_csv(file, dtype=str).fillna(""), hide_index=True)
