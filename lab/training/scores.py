"""Scores of runs: an evaluation started from the page, followed, and compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from core.checkpoints.checkpoint import Checkpoint
from core.checkpoints.tables import format_score
from core.errors import RavelError
from core.training import evaluation
from core.training.evaluation import Evaluation
from lab.training import runs

LOOK_SECONDS = 2.0
HELP = (
    "The paper's scores on a corpus's validation clips, with 95 % bootstrap intervals, as "
    "`python -m core evaluate` computes them. They are saved in the checkpoint's metrics.json."
)


def folder(name: str) -> Path:
    """The folder of a run's evaluation."""
    return runs.path(name) / "evaluation"


@st.dialog("Score a run")
def ask(name: str) -> None:
    """The dialog over the page."""
    form(name)


def form(name: str) -> None:
    """Ask for a state and a corpus, and start."""
    run, own = runs.find(name), str(runs.summary(name).setting("data.store"))
    saved = [state for state in ("best", "last") if run.has(state)]
    if not saved:
        st.caption(f"{name} has no saved state yet.")
        return
    state = st.segmented_control(
        "State", saved, default=saved[0], required=True, help="Best on validation clips."
    )
    found = runs.stores()
    stores = list(dict.fromkeys([own, *found]))
    store = st.selectbox("Corpus", stores, help="Its validation clips are scored.")
    st.caption("It runs in a separate process and takes some minutes. You can close this page.")
    if st.button("Score it", type="primary", key="score_yes"):
        try:
            with st.spinner("Writing weights"):
                begin(name, state, store)
        except RavelError as error:
            st.error(str(error), icon=":material/error:")
            return
        st.rerun()


def begin(name: str, state: str, store: str) -> None:
    """Score a run's saved state, written as a checkpoint first. Raises RavelError."""
    from core.checkpoints import card  # which needs torch

    made = folder(name) / "checkpoint"
    standing = evaluation.look(folder(name))
    if standing is None or standing.state != "running":
        before = Checkpoint(made).digest
        now = card.export_run(runs.path(name), made, title=name, state=state)
        if now.digest != before:  # its scores belong to other weights
            (made / "metrics.json").unlink(missing_ok=True)
    evaluation.start(folder(name), made, store)


def follow(names: list[str], where: Callable[[str], Path] = folder) -> None:
    """Show the progress of evaluations, and why some failed. `where` gives a name's folder."""
    found = {name: evaluation.look(where(name)) for name in names}
    going = {name: where(name) for name, one in found.items() if one and one.state == "running"}
    if going:
        st.fragment(_follow, run_every=LOOK_SECONDS)(going)
    for name, one in found.items():
        if one and one.state == "failed":
            _failed(name, one)


def draw(names: list[str], where: Callable[[str], Path] = folder) -> None:
    """Show the scores of some runs side by side."""
    found = {name: evaluation.look(where(name)) for name in names}
    done = {name: one for name, one in found.items() if one and one.state == "done"}
    if done:
        st.header("Scores", anchor=False, help=HELP)
        st.table(table(done))


def _follow(folders: dict[str, Path]) -> None:
    for name, where in sorted(folders.items()):
        one = evaluation.look(where)
        if one is None or one.state != "running":
            st.rerun()
        passed = runs.duration(max(0.0, time.time() - one.started))
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(
                    f":material/hourglass_top: **{name}** is scored on {one.store} "
                    f":gray[for {passed}]"
                )
                st.button(
                    "Stop", key=f"score_stop/{name}", type="tertiary", icon=":material/stop:",
                    on_click=evaluation.stop, args=(where,),
                )  # fmt: skip
            st.code(one.log or "Loading weights and clips.", language=None, wrap_lines=True)


def _failed(name: str, one: Evaluation) -> None:
    st.error(f"{name} could not be scored on {one.store}: {one.message}", icon=":material/error:")
    if "\n" in one.log:
        with st.expander("Output of the process", icon=":material/terminal:"):
            st.code(one.log, language=None, wrap_lines=True)


def table(done: dict[str, Evaluation]) -> pd.DataFrame:
    """A row for each score, a column for each run and for each baseline scored with it."""
    from core import registry

    columns: dict[str, dict[str, str]] = {}
    for name, one in done.items():
        meanings = registry.get(Checkpoint(one.checkpoint).system).meanings
        column = f"{name} on {Path(one.store).name}"
        for figure, value in (one.scores or {}).items():
            nested = isinstance(value, dict) and "value" not in value
            rows = {f"{column}: {meanings.get(figure, figure)}": value} if nested else {}
            for head, values in (rows or {column: {figure: value}}).items():
                named = {meanings.get(k, k): format_score(v) for k, v in values.items()}
                columns.setdefault(head, {}).update(named)
    return pd.DataFrame(columns).fillna("–")
