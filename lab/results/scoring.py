"""A checkpoint scored from the Results page: asked for, followed, and its scores shown."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.checkpoints import checkpoint as checkpoints
from core.errors import RavelError
from core.training import evaluation
from lab.training import runs, scores

HELP = (
    "Scores a checkpoint on a corpus's held-out clips, as `python -m core evaluate` does, and "
    "keeps the scores in its metrics.json and its card."
)
NONE = "There is no checkpoint yet: make one of a run on the page Runs, or train one."
NO_STORE = "There is no corpus to score on: build one with `python -m core data`."


def folder(name: str) -> Path:
    """Where the evaluation of a checkpoint is kept; no run is called so."""
    return runs.FOLDER / ".evaluations" / name


def button() -> None:
    """Ask for it."""
    if st.button(
        "Evaluate a checkpoint", key="results_evaluate", icon=":material/scoreboard:", help=HELP
    ):
        ask()


@st.dialog("Evaluate a checkpoint")
def ask() -> None:
    """The dialog over the page."""
    form()


def form() -> None:
    """Ask for a checkpoint and a corpus, and start."""
    known = {one.name: one for one in checkpoints.list_checkpoints()}
    stores = runs.stores()
    if not known or not stores:
        st.caption(NO_STORE if known else NONE)
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
        help="On whose held-out clips.",
    )
    options = listening(known[name].system)
    st.caption("A process of its own does it, in minutes: this page may be closed.")
    if st.button("Score it", type="primary", key="results_score"):
        try:
            evaluation.start(folder(name), known[name].path, store, options)
        except RavelError as error:
            st.error(str(error), icon=":material/error:")
            return
        st.query_params["scored"] = name
        st.rerun()


def listening(system: str) -> list[str]:
    """Whether clips are made sound again, which takes most of the time: the command's option."""
    if system != "dsae":
        return []
    heard = st.toggle(
        "Listen too",
        value=True,
        key="results_listen",
        help="Makes a hundred clips sound again for pitch accuracy and Fréchet audio distance, and "
        "fifty draws from the prior. Without it the other scores are there in a minute.",
    )
    return [] if heard else ["--melodies", "0"]


def follow() -> None:
    """What is being scored, by whomever; the scores of the one that was asked for here."""
    asked = st.query_params.get("scored", "")
    there = [path.parent.name for path in sorted(runs.FOLDER.glob(".evaluations/*/job.json"))]
    going = [name for name in there if _state(name) == "running"]
    shown = [name for name in there if name in going or name == asked]
    scores.follow(shown, folder)
    if asked in there and asked not in going:
        scores.draw([asked], folder)
        st.button("Close", key="results_close", icon=":material/close:", on_click=_forget)


def _state(name: str) -> str:
    found = evaluation.look(folder(name))
    return found.state if found else ""


def _forget() -> None:
    st.query_params.pop("scored", None)
