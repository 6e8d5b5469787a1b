"""What the Find page draws of a search: its progress, what restricts it, the clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.checkpoints.checkpoint import Checkpoint
from lab.find import data as finding
from lab.find import hits as found
from lab.find.data import BUNDLED, Corpus
from lab.map import data as maps
from lab.swap import data as live
from lab.widgets.mixture_slot import Taken
from lab.widgets.page import plain

if TYPE_CHECKING:
    from core.contrastive.index import Found, Index

COUNTS = [5, 10, 20, 50]


def own_rows(taken: Taken, corpus: Corpus, channel: int) -> list[int]:
    """The clips of a corpus that the query itself is from."""
    handed = st.query_params.get("clip")
    if handed is not None:
        of, row = finding.find(handed)
        return finding.same_recording(corpus, row).tolist() if of == corpus else []
    example = st.session_state.get("query_from") == "Example" and len(taken.clips) == 1
    if corpus.name != BUNDLED or channel or not example:
        return []
    names = finding.labels(corpus)["name"].tolist()
    return [names.index(taken.name)] if taken.name in names else []


@st.fragment(run_every=1.0)
def wait_for(corpus: Corpus, encoder: Checkpoint) -> None:
    """Watch the process that embeds a corpus."""
    told = finding.progress(corpus, encoder)
    if told.state == "failed":
        st.error(f"{corpus.name} could not be embedded: {told.says}", icon=":material/error:")
        again = {"on_click": finding.start, "args": (corpus, encoder)}
        st.button("Try again", key="find_again", **again)
    elif told.state == "done":
        st.rerun()
    else:
        st.progress(
            told.part,
            f"{plain(corpus.name)}: {told.says or 'starting'}. Once only; this page may be closed.",
        )


def restrict(corpus: Corpus) -> tuple[str | None, list[str], int]:
    """By which label, to which of its values, and how many clips."""
    options = finding.choices(corpus)
    at = corpus.name if corpus.path else "examples"
    column, only = None, []
    if options:
        column = st.selectbox(
            "Label", list(options), key=f"find_label_{at}", bind="query-params", width=150
        )
        only = st.multiselect(
            "Only",
            options[column],
            key=f"find_only_{at}_{column}",
            bind="query-params",
            placeholder="Any",
            width=300,
        )
    count = st.selectbox("Show", COUNTS, 1, key="find_count", bind="query-params", width=90)
    return column, only, count


def like(name: str) -> None:
    """Look for what is like a clip that was found."""
    st.query_params["clip"] = name


def on_map(corpus: Corpus, split: str | None, encoder: Checkpoint) -> dict[str, str]:
    """What the Map page's address says of the corpus that is searched; of the bundled examples
    the scenes, which are made a store."""
    if corpus.path is None:
        maps.build_examples()
    store = corpus.path or maps.stores()[maps.BUNDLED[1]]
    clips = {f"map_clips_{store.name}": maps.counted(store, split or maps.EVERYTHING)}
    return {"map_corpus": store.name, "map_model": encoder.name} | clips


def list_found(corpus: Corpus, hits: Found, index: Index, column: str | None) -> None:
    """What was found, nearest first."""
    known = finding.labels(corpus)
    for rank, (row, distance) in enumerate(zip(*map(list, hits), strict=True), 1):
        name = str(known["name"][row])
        label = str(known[column][row]) if column else ""
        split = str(known["split"][row]) if "split" in known else ""
        hit = found.Hit(
            label or name,
            " · ".join(part for part in (name if label not in ("", name) else "", split) if part),
            float(distance),
            index.share_nearer(float(distance)),
            finding.log_mel(corpus, int(row)),
            live.wav(finding.clip(corpus, int(row))),
        )
        found.show(rank, hit, like, finding.reference(corpus, int(row)))
