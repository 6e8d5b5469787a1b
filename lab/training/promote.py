"""Make a checkpoint of a run, for every page to offer."""

from pathlib import Path

import streamlit as st

from core import registry
from core.checkpoints import checkpoint
from core.errors import RavelError
from core.training import evaluation
from core.training.launcher import check_name
from lab.training import runs, scores

PAGES = Path(__file__).parents[1] / "pages"


@st.dialog("Make a checkpoint of a run")
def ask(name: str) -> None:
    """The dialog over the page."""
    form(name)


def form(name: str) -> None:
    """Ask for a name and a title, and write weights, config and card."""
    run = runs.find(name)
    states = ["best", "last", *(f"step_{step}" for step in run.snapshots)]
    state = st.segmented_control(
        "State", states, default="best", required=True, help="Best on validation clips."
    )
    out = st.text_input("Name", Path(name).name, help="A folder under checkpoints/.").strip()
    title = st.text_input(
        "Title", placeholder=out, key="promote_title", help="The heading of its card."
    ).strip()
    if st.button("Make checkpoint", type="primary", key="promote_yes"):
        st.session_state.pop("promoted", None)
        try:
            check_name(out)
            folder = checkpoint.SHIPPED / out
            if folder.exists():
                raise RavelError(
                    f"There is a checkpoint called {out!r} already: choose another name."
                )
            with st.spinner("Writing weights, settings and card"):
                scored = export(name, folder, title, state)
        except RavelError as error:
            st.error(str(error), icon=":material/error:")
            return
        st.session_state["promoted"] = name, out, scored
    if st.session_state.get("promoted", ("",))[0] == name:
        _made(*st.session_state["promoted"])


def export(name: str, folder: Path, title: str, state: str) -> bool:
    """Write the checkpoint; returns whether scores of the run were copied into it."""
    from core.checkpoints import card  # torch comes in here, when it is needed

    made = card.export_run(runs.path(name), folder, title=title, state=state)
    if not evaluation.carry_over(scores.folder(name) / "checkpoint", made):
        return False
    card.refresh_scores(made)
    return True


def _made(name: str, out: str, scored: bool) -> None:
    about = runs.summary(name)
    copied = " The scores of the run were copied." if scored else ""
    st.success(f"The checkpoint {out} is made.{copied}", icon=":material/check:")
    page = registry.get(about.system).page
    with st.container(horizontal=True, vertical_alignment="center"):
        if page and (PAGES / f"{page.name}.py").exists():
            st.page_link(
                f"lab/pages/{page.name}.py",
                label=page.label,
                icon=page.icon,
                query_params={page.parameter: out},
            )
        if not scored and st.button(
            "Score it",
            key="promote_score",
            icon=":material/scoreboard:",
            help="Computes the paper's scores in its own process; the Runs page shows progress.",
        ):
            _score(name, out, str(about.setting("data.store")))


def _score(name: str, out: str, store: str) -> None:
    try:
        evaluation.start(scores.folder(name), checkpoint.SHIPPED / out, store)
    except RavelError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.rerun()
