"""Evaluating a checkpoint from the Results page: its form, its progress and its scores."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.checkpoints.checkpoint import list_checkpoints
from core.training import evaluation
from lab.training import runs, scores
from lab.widgets.page import show_errors

HELP = (
    "Scores a checkpoint on a corpus's held-out clips, as `python -m core evaluate` does, and "
    "writes the scores to its metrics.json and its card."
)
NO_CHECKPOINT = "There is no checkpoint yet: export a run on the page Runs, or train one."
NO_STORE = "There is no corpus to score on: build one with `python -m core data`."
WITHOUT_SOUND = {"dsae": ["--melodies", "0"]}  # by system: the options that leave out resynthesis


def folder(name: str) -> Path:
    """The folder of a checkpoint's evaluation; no run has such a name."""
    return runs.FOLDER / ".evaluations" / name


def button() -> None:
    """A button that opens the dialog."""
    if st.button(
        "Evaluate a checkpoint", key="results_evaluate", icon=":material/scoreboard:", help=HELP
    ):
        st.dialog("Evaluate a checkpoint")(form)()


def form() -> None:
    """Choose a checkpoint and a corpus, and start."""
    known = {one.name: one for one in list_checkpoints()}
    stores = runs.stores()
    if not known or not stores:
        st.caption(NO_STORE if known else NO_CHECKPOINT)
        return
    name = st.selectbox("Checkpoint", list(known), key="results_checkpoint")
    own = str(known[name].config.get("data", {}).get("store", ""))
    corpora = list(stores)
    store = st.selectbox(
        "Corpus",
        corpora,
        index=corpora.index(own) if own in corpora else 0,
        format_func=lambda path: f"{path} ({stores[path]})",
        key=f"results_store_{name}",
        help="The checkpoint is scored on its held-out clips.",
    )
    options = choose_sound(known[name].system)
    st.caption("This takes minutes, in a separate process: you may close this page.")
    if st.button("Score", type="primary", key="results_score"):
        with show_errors():
            evaluation.start(folder(name), known[name].path, store, options)
            st.query_params["scored"] = name
            st.rerun()


def choose_sound(system: str) -> list[str]:
    """Options of the evaluation: with or without resynthesis, which takes most of the time."""
    if system not in WITHOUT_SOUND:
        return []
    with_sound = st.toggle(
        "Evaluate the sound",
        value=True,
        key="results_listen",
        help="Resynthesises a hundred clips for pitch accuracy and Fréchet audio distance, and "
        "fifty samples from the prior. Without it the other scores take a minute.",
    )
    return [] if with_sound else WITHOUT_SOUND[system]


def follow() -> None:
    """All running evaluations, and the scores of the one that was started here."""
    asked = st.query_params.get("scored", "")
    started = [path.parent.name for path in sorted(runs.FOLDER.glob(".evaluations/*/job.json"))]
    running = [name for name in started if _is_running(name)]
    scores.follow([name for name in started if name in running or name == asked], folder)
    if asked in started and asked not in running:
        scores.draw([asked], folder)
        st.button("Close", key="results_close", icon=":material/close:", on_click=_close)


def _is_running(name: str) -> bool:
    found = evaluation.look(folder(name))
    return found is not None and found.state == "running"


def _close() -> None:
    st.query_params.pop("scored", None)
