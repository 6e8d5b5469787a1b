"""Runs: every training run in one table, their curves, settings and scores, and checkpoints."""

from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from core import registry
from core.errors import RavelError
from lab.training import promote, runs, scores
from lab.training.charts import variant
from lab.training.form import text
from lab.training.runs import Summary
from lab.widgets import run_chart
from lab.widgets.run_chart import Line

ABOUT = (
    "Every training run under runs/, started here or on the command line. Select rows to compare "
    "their curves and settings."
)
FIRST = ["validation criterion", "validation f1_global"]
COLUMNS = {
    "Run": st.column_config.TextColumn(pinned=True),
    "Progress": st.column_config.ProgressColumn(
        format="%d %%", min_value=0, max_value=100, help="Steps done of all."
    ),
    "Validation": st.column_config.NumberColumn(
        format="%.4g",
        help="The latest validation criterion. Values of different stages do not compare.",
    ),
    "F1 global": st.column_config.NumberColumn(
        format="%.2f", help="Macro-F1 of the label predicted from v after a global swap."
    ),
    "F1 local": st.column_config.NumberColumn(
        format="%.2f", help="Macro-F1 of the label predicted from v after a local swap."
    ),
    "MoMi": st.column_config.NumberColumn(
        format="%.2f dB", help="Separators: median improvement on held-out mixtures of mixtures."
    ),
    "Balance": st.column_config.NumberColumn(
        format="%.1f dB", help="Separators: level of the quieter channels relative to the louder."
    ),
    "Active v": st.column_config.NumberColumn(help="Dimensions of v in use."),
    "Active z": st.column_config.NumberColumn(help="Dimensions of z in use."),
    "Steps/s": st.column_config.NumberColumn(format="%.3g"),
    "Made": st.column_config.DatetimeColumn(format="D MMM, HH:mm"),
}


def row(about: Summary) -> dict[str, Any]:
    """A run as a row of the table."""
    curves = runs.curves(about.name)
    corpus = str(about.setting("data.store")).rstrip("/").rsplit("/", 1)[-1]
    latest = {
        title: curves.latest("validation", name)
        for title, name in (
            ("Validation", "criterion"),
            ("F1 global", "f1_global"),
            ("F1 local", "f1_local"),
            ("Active v", "active_v"),
            ("Active z", "active_z"),
            ("MoMi", "momi_median"),
            ("Balance", "channel_balance"),
        )
    }
    return {
        "Run": about.name,
        "State": about.state.capitalize(),
        "Progress": 100 * about.step // max(1, about.steps),
        "Model": variant(about),
        "Corpus": corpus,
        **latest,
        "Steps/s": curves.steps_per_second(),
        "Device": about.device,
        "Made": datetime.fromtimestamp(about.started),
    }


def matches(about: Summary, words: str) -> bool:
    """Whether every word is found among a run's name, state, model, corpus or device."""
    text = " ".join(
        map(
            str,
            (
                about.name,
                about.state,
                about.system,
                variant(about),
                about.setting("data.store"),
                about.device,
            ),
        )
    )
    return all(word in text.lower() for word in words.lower().split())


def select_rows(key: str, shown: list[str]) -> None:
    """Select the runs of the table's rows; selected runs that the filter hides stay selected."""
    rows = st.session_state[key]["selection"]["rows"]
    hidden = [name for name in st.session_state.get("runs", []) if name not in shown]
    st.session_state["runs"] = hidden + [shown[number] for number in rows]
    st.session_state["selected"] = True


def table(found: list[Summary], selected: list[str]) -> None:
    """The table. Its key changes with its rows, so that a selection never slips to another run."""
    names = [about.name for about in found]
    chosen = [number for number, name in enumerate(names) if name in selected]
    key = f"table/{hash((tuple(names), tuple(sorted(selected))))}"
    st.dataframe(
        pd.DataFrame([row(about) for about in found]).dropna(axis="columns", how="all"),
        key=key,
        hide_index=True,
        column_config=COLUMNS,
        on_select=lambda: select_rows(key, names),
        selection_mode="multi-row",
        placeholder="",
        selection_default={"selection": {"rows": chosen}},
        alt="Every run with its state and latest figures",
    )


def overlay(selected: list[str]) -> None:
    """A chart for each chosen figure, with a curve for each selected run."""
    figures = sorted(
        {
            f"{kind} {name}"
            for run in selected
            for kind in ("train", "validation")
            for name in runs.curves(run).names(kind)
            if name != "time"
        },
        key=lambda figure: (figure not in FIRST, figure),
    )
    if not figures:
        st.caption("No figures yet.")
        return
    chosen = st.multiselect(
        "Figures",
        figures,
        default=[figure for figure in FIRST if figure in figures] or figures[:1],
        key="figures",
        bind="query-params",
        help="A chart for each figure, with a curve for each selected run.",
    )
    columns = st.columns(2)
    for number, figure in enumerate(chosen):
        kind, _, name = figure.partition(" ")
        lines = [Line(run, *runs.curves(run).curve(kind, name), True) for run in selected]
        bounded = name.startswith("f1_")
        drawn = run_chart.figure(
            lines,
            logarithmic=not bounded and not name.startswith("active"),
            span=(-0.03, 1.05) if bounded else None,
            same=figure,
        )
        with columns[number % 2]:
            run_chart.chart(
                figure.capitalize(), drawn, key=f"overlay/{figure}", help="Over steps, by run."
            )


def whole(config: dict[str, Any]) -> dict[str, Any]:
    """A config completed by the defaults of settings that were added after it was written."""
    try:
        return registry.parse(config).model_dump()
    except RavelError:
        return config


def settings(found: dict[str, Summary]) -> None:
    """The settings in which the selected runs differ."""
    different = runs.differences({name: whole(about.config) for name, about in found.items()})
    if len(found) == 1:
        st.caption("Select a second run to compare settings.")
    elif not different:
        st.caption("These runs have the same settings.")
    else:
        shown = {
            setting: {run: text(value) for run, value in values.items()}
            for setting, values in different.items()
        }
        st.table(pd.DataFrame.from_dict(shown, orient="index"))


@st.fragment(run_every=4)
def overview(words: str) -> None:
    """The table, updated while runs are trained."""
    if st.session_state.pop("selected", False):
        st.rerun()  # the curves below are drawn outside this fragment
    everything = [about for about in runs.summaries() if matches(about, words)]
    if everything:
        table(everything, st.session_state.get("runs", []))
    else:
        st.caption("No run matches the filter.")


with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
    st.title("Runs", anchor=False, width="content", help=ABOUT)
    words = st.text_input(
        "Filter",
        key="filter",
        bind="query-params",
        width=320,
        icon=":material/search:",
        placeholder="Name, state, model, corpus or device",
    )

names = runs.names()
if not names:
    st.info(
        "Start one on the Train page, or with `python -m core train`.",
        title="No runs yet",
        icon=":material/model_training:",
    )
else:
    overview(words)
    selected = st.multiselect(
        "Selected",
        names,
        key="runs",
        bind="query-params",
        placeholder="Select rows above, or names here",
        label_visibility="collapsed",
    )
    readable = {about.name: about for about in runs.summaries()}
    found = {name: readable[name] for name in selected if name in readable}
    with st.container(horizontal=True, vertical_alignment="center"):
        for name in found:
            st.page_link(
                "lab/pages/train.py", label=f"Watch {name}", icon=":material/monitoring:",
                query_params={"run": name},
            )  # fmt: skip
            if st.button(
                f"Make {name} a checkpoint",
                key=f"promote/{name}",
                type="tertiary",
                icon=":material/deployed_code:",
            ):
                st.session_state.pop("promoted", None)
                promote.ask(name)
            if st.button(
                f"Score {name}",
                key=f"score/{name}",
                type="tertiary",
                icon=":material/scoreboard:",
                help=scores.HELP,
            ):
                scores.ask(name)
    scores.follow(list(found))
    if found:
        overlay(list(found))
        scores.draw(list(found))
        st.header("Settings that differ", anchor=False)
        settings(found)
