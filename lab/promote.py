"""From a run to a checkpoint that every page offers."""

from pathlib import Path

import streamlit as st

from core import checkpoints
from core.errors import RavelError
from core.training.launcher import check_name
from lab import runs


@st.dialog("Make a checkpoint of a run")
def ask(name: str) -> None:
    """The dialog over the page."""
    form(name)


def form(name: str) -> None:
    """Ask for a name and a title, and write weights, config and card."""
    state = st.segmented_control(
        "State", ["best", "last"], default="best", required=True, help="Best on validation clips."
    )
    out = st.text_input("Name", name, help="A folder under checkpoints/.").strip()
    title = st.text_input(
        "Title", placeholder=out, key="promote_title", help="The heading of its card."
    ).strip()
    if not st.button("Make checkpoint", type="primary", key="promote_yes"):
        return
    try:
        check_name(out)
        folder = checkpoints.SHIPPED / out
        if folder.exists():
            raise RavelError(f"There is a checkpoint called {out!r} already: choose another name.")
        with st.spinner("Writing weights, settings and card"):
            export(name, folder, title, state)
    except RavelError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.success(f"The checkpoint {out} is made.", icon=":material/check:")
    st.page_link(
        "lab/pages/swap.py", label="Hear it on Swap", icon=":material/swap_horiz:",
        query_params={"model": out},
    )  # fmt: skip
    st.caption("Score it as in the paper:")
    store = runs.summary(name).setting("data.store")
    st.code(f"python -m core evaluate {out} --data {store}", language="bash", wrap_lines=True)


def export(name: str, folder: Path, title: str, state: str) -> None:
    """Torch comes in here, when it is needed."""
    from core.dsae.card import export_run

    export_run(runs.path(name), folder, title, state)
