"""Results: the papers' tables from this project's own runs, beside the published figures."""

from collections.abc import Sequence

import streamlit as st

from core.experiments import results
from core.experiments.results import Claim, Published
from lab.public import is_public
from lab.results import data, factors, scoring, view
from lab.widgets.page import row, show_errors

PAPERS = {"TS-DSAE": "dsae", "Separated scenes": "contrastive"}
ABOUT = (
    "Each table is a **grid**: one training with different settings, each with several seeds. "
    "Dots are runs, marks are means over seeds. Click a dot for its run."
)
PAPER = (
    "**TS-DSAE**: Luo, Ewert and Dixon, IJCAI 2022. **Separated scenes**: Fonseca et al., WASPAA "
    "2021."
)
REFRESH_SECONDS = 15


@st.fragment(run_every=REFRESH_SECONDS)
def refresh() -> None:
    """Run the page again when a run has been scored meanwhile."""
    now = data.stamps()
    if st.session_state.setdefault("results_seen", now) != now:
        st.session_state["results_seen"] = now
        st.rerun()


with row("bottom"):
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
        corpus = st.container(width="content")
        if not is_public():
            scoring.button()
system = PAPERS[title]
if not is_public():
    scoring.follow()
refresh()

published: Sequence[Published] = []
claims: Sequence[Claim] = []
with show_errors():
    published, claims = data.published(system), results.claims(system)
    with corpus:
        published = view.choose_corpus(published)

shown = 0
for path in results.grids():
    with show_errors():
        if data.grid(path).system != system:
            continue
        view.grid(path, published, claims)
    shown += 1  # a damaged grid too, whose error stands in its place
if not shown:
    st.info(
        f"There are no results for {title} yet: write a grid into checkpoints/results and run it "
        "with `python -m core grid`.",
        icon=view.NOT_YET,
    )
factors.draw(system, claims)
view.all_published(system)
