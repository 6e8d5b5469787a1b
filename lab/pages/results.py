"""Results: the papers' tables from this project's own runs, beside the published figures."""

from pathlib import Path

import pandas as pd
import streamlit as st

from core import registry
from core.errors import RavelError
from core.experiments import results as found
from core.experiments.grid import Table
from core.experiments.results import Paired, Published, Results
from lab.public import is_public
from lab.results import data as results
from lab.results import dot_chart
from lab.results import factors as result_factors
from lab.results import labels as words
from lab.results import scoring as result_scoring
from lab.results.table import SIZE, View, told

PAPERS = {"TS-DSAE": "dsae", "Separated scenes": "contrastive"}
ABOUT = (
    "Each table is a **grid**: the same training with different settings, each with several "
    "seeds. A dot is a run, a mark its mean over seeds. Click a dot for the run that made it."
)
PAPER = (
    "**TS-DSAE**: Luo, Ewert and Dixon, IJCAI 2022. **Separated scenes**: Fonseca et al., WASPAA "
    "2021."
)
SCALE = (
    ":material/info: Hollow marks are the paper's own figures, from another corpus or a far longer "
    "training: compare the order, not the height."
)
LOOK_SECONDS = 15
TOP, LINE = 37, 35  # pixels of a table's head and of a line
EDGE, LETTER, WIDEST = 20, 7, 300  # pixels of a column that tells a setting
MOST_SCORES = 3


def table(path: Path, whole: Results, one: Table, known: list[Published]) -> None:
    """A table or figure of the paper: chart, and below it numbers, runs or a comparison."""
    system, key = whole.grid.system, f"{path.stem}_{one.name}".replace(" ", "_")
    meanings = results.ask_meanings(system)
    title = one.title or one.name
    if one.title and one.name.casefold().startswith(("table", "figure")):
        title = f"{one.name[0].upper()}{one.name[1:]}: {one.title}"
    st.subheader(title, anchor=False)
    if one.note:
        st.caption(one.note)
    there = whole.scores() or [s for s in registry.get(system).default_scores if s in meanings]
    figure, scores = choose_figure(system, one, there, key)
    chosen = st.multiselect(
        "Scores",
        there,
        default=scores,
        format_func=lambda name: words.score(name, meanings),
        max_selections=MOST_SCORES,
        key=f"scores_{key}_{figure.casefold().replace(' ', '_')}".rstrip("_"),
        bind="query-params",
        placeholder="Choose scores",
        label_visibility="collapsed",
    )
    if not chosen:
        st.caption("Choose a score to draw.")
        return
    view = View(whole, one, chosen, known, meanings)
    chart(view, key)
    for claim in found.claims(system):
        if claim.table.casefold() in (figure.casefold(), one.name.casefold()):
            st.caption(f"Published, {claim.corpus}: {claim.claim} ({claim.source})")
    point(path, view, key)
    below(view, key)


def choose_figure(system: str, one: Table, there: list[str], key: str) -> tuple[str, list[str]]:
    """Which figure of the first paper is redone, if one is, and the scores it draws."""
    known = words.figures(there) if SIZE in one.rows else {}
    if not known:
        asked = [name for name in one.scores if name in there]
        return "", (asked or words.default_scores(system, there))[:MOST_SCORES]
    figure = next(iter(known))
    if len(known) > 1:
        figure = st.segmented_control(
            "As in the paper's",
            list(known),
            default=figure,
            required=True,
            key=f"figure_{key}",
            bind="query-params",
            help="Figure 3: macro-F1 before and after swaps. Figure 4: Fréchet audio distance "
            "(FAD). Figure 5: pitch accuracy before and after swaps.",
        )
    return figure, known[figure][:MOST_SCORES]


def below(view: View, key: str) -> None:
    """What stands below the chart, as chosen, and the download."""
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        shown = st.segmented_control(
            "Below the chart",
            list(BELOW),
            default=next(iter(BELOW)),
            required=True,
            key=f"below_{key}",
            bind="query-params",
            label_visibility="collapsed",
        )
        st.download_button(
            "CSV",
            view.to_csv,
            f"{key}.csv",
            "text/csv",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            key=f"csv_{key}",
            help="Every score of this table: mean, standard deviation, range and number of seeds.",
        )
    BELOW[shown](view, key)


def chart(view: View, key: str) -> None:
    """The panels; a click on a dot picks its run."""
    drawn = view.chart()
    if not any(panel.groups for row in drawn.rows for panel in row):
        return
    picked = dot_chart.show(
        drawn,
        key=f"chart_{key}_{'_'.join(view.chosen)}",
        alt=f"{view.table.title or view.table.name}: scores of the runs by setting",
    )
    if picked != st.session_state.get(f"clicked_{key}"):
        st.session_state[f"clicked_{key}"] = st.session_state[f"picked_{key}"] = picked


def point(path: Path, view: View, key: str) -> None:
    """The run that was picked: what it scored, and the way to it."""
    name = st.session_state.get(f"picked_{key}")
    picked = next((pair for pair in view.lines() if pair[1].run == name), None)
    if picked is None:
        return
    cell, line = picked
    with st.container(border=True):
        scored = " · ".join(f"{view.score(s)} {told(line.scores.get(s))}" for s in view.chosen)
        steps = f", {line.steps:,} steps" if line.steps else ""
        st.markdown(f"**{view.called(cell)}**, seed {line.seed}{steps}  \n:gray[{scored}]")
        if is_public():
            return
        here = results.run_name(path, line.run)
        if here:
            st.page_link(
                "lab/pages/runs.py", label="Open its run", icon=":material/table_chart:",
                query_params={"runs": here},
            )  # fmt: skip
            return
        st.caption("This run is not on this machine. The command makes it again:")
        st.code(results.command(path, "--only", line.run), language="bash", wrap_lines=True)


def text(view: View, key: str) -> None:
    """The table."""
    frame, heads, helps = view.frame(), view.heads(), view.helps()
    widths = {
        name: min(WIDEST, EDGE + LETTER * max(map(len, [name, *frame[name]])))
        for name in map(words.setting, view.axes)
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


def compare(view: View, key: str) -> None:
    """Two cells, seed by seed."""
    called = {view.called(cell): cell for cell in view.cells if cell.lines}
    if len(called) < 2:
        st.caption("There are no two settings with runs to compare yet.")
        return
    names = list(called)
    left, right = st.columns(2)
    first = left.selectbox("Of", names, index=len(names) - 1, key=f"first_{key}")
    second = right.selectbox("against", names, key=f"second_{key}")
    lines = {}
    for score in view.chosen:
        pair = found.paired(called[first], called[second], score)
        lines[view.score(score)] = differences(pair) if pair else {"Difference": "–"}
    st.table(pd.DataFrame.from_dict(lines, orient="index").fillna("–"))
    st.caption(
        "The same seed gives both runs the same start and the same order of clips. Interval: 95 %, "
        "by Student's t, of the mean difference; where it holds 0, these seeds do not tell the two "
        "apart."
    )


def differences(pair: Paired) -> dict[str, str]:
    """A comparison as a line of a table."""
    each = ", ".join(f"{d:+.3f}" for d in pair.differences)
    if pair.low is None or pair.high is None:
        between = "one seed has none"
    else:
        between = f"[{pair.low:+.3f}, {pair.high:+.3f}]"
    return {"Difference": f"{pair.mean:+.3f}", "Interval": between, "By seed": each}


def every_run(view: View, key: str) -> None:
    """All runs of a table; a row picked is a dot clicked."""
    names = [line.run for _, line in view.lines()]
    if not names:
        st.caption("No run of this table has been scored yet.")
        return
    st.dataframe(
        view.every_run(),
        key=f"runs_{key}",
        hide_index=True,
        on_select=lambda: pick_row(key, names),
        selection_mode="single-row",
        alt="Every scored run; pick a row for the way to it",
    )


def pick_row(key: str, names: list[str]) -> None:
    """Take over a row as if its dot had been clicked."""
    rows = st.session_state[f"runs_{key}"]["selection"]["rows"]
    st.session_state[f"picked_{key}"] = names[rows[0]] if rows else None


BELOW = {"Table": text, "Every run": every_run, "Compare two settings": compare}


def grid(path: Path, known: list[Published]) -> None:
    """A grid: what it is, how far it is, the command that makes it, its tables."""
    whole = results.read(path)
    planned = len(whole.planned)
    st.header(whole.grid.title, anchor=False)
    if not whole.done:
        st.info(
            "No run of this grid has been scored yet: the command below trains and scores them, "
            "and its tables fill as they finish.",
            icon=":material/hourglass_empty:",
        )
    else:
        seeds = len(whole.grid.seeds)
        st.caption(f"{whole.done} of {planned} runs scored: up to {seeds} seeds of each setting.")
    st.code(results.command(path), language="bash")
    if known:
        st.caption(SCALE)
    for one in whole.grid.tables:
        st.fragment(table)(path, whole, one, known)


def choose_corpus(known: list[Published]) -> list[Published]:
    """The published figures of one corpus, where a paper has them of several."""
    corpora = list(dict.fromkeys(one.corpus for one in known))
    if len(corpora) < 2:
        return known
    chosen = st.selectbox(
        "Published figures of",
        corpora,
        key="published",
        bind="query-params",
        width=220,
        help="Which of the published results are laid beside. AMSGrad: the authors trained all "
        "models again with this variant of Adam.",
    )
    return [one for one in known if one.corpus == chosen]


def all_published(system: str) -> None:
    """Every file of published figures, as it is."""
    files = found.published_files(system)
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


@st.fragment(run_every=LOOK_SECONDS)
def look_again() -> None:
    """Draw the page anew when a run has been scored meanwhile."""
    now = results.stamps()
    if st.session_state.setdefault("results_seen", now) != now:
        st.session_state["results_seen"] = now
        st.rerun()


with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
    st.title("Results", anchor=False, width="content", help=ABOUT)
    with st.container(horizontal=True, vertical_alignment="bottom", width="content"):
        title = st.segmented_control(
            "Paper",
            list(PAPERS),
            default=next(iter(PAPERS)),
            required=True,
            key="paper",
            bind="query-params",
            help=PAPER,
        )
        beside = st.container(width="content")
        if not is_public():
            result_scoring.button()
paper = PAPERS[title]
if not is_public():
    result_scoring.follow()
look_again()

try:
    published = results.published(paper)
    with beside:
        published = choose_corpus(published)
except RavelError as error:
    st.error(str(error), icon=":material/error:")
    published = []

shown = 0
for path in found.grids():
    try:
        if results.grid(path).system == paper:
            shown += 1
            grid(path, published)
    except RavelError as error:
        shown += 1
        st.error(str(error), icon=":material/error:")
if not shown:
    st.info(
        f"There are no results for {title} yet: write a grid into "
        "checkpoints/results and run it with `python -m core grid`.",
        icon=":material/hourglass_empty:",
    )
if paper == "dsae":
    result_factors.draw(found.claims(paper))
all_published(paper)
