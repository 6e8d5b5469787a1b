"""Find: search a corpus for the clips most similar to a given sound."""

import streamlit as st

from core.errors import RavelError
from core.service import mixtures
from lab import bundled
from lab.find import data, query_on_map, view
from lab.widgets import channels, page, session
from lab.widgets import corpus as new_corpus
from lab.widgets.cell import Cell

ABOUT = (
    "An **encoder** turns a sound into an **embedding**, a vector that describes it. Those that "
    "ship were trained without labels, on sounds and their separated channels. Similar sounds have "
    "embeddings that point in similar directions."
)
DISTANCE = (
    "**Cosine distance** between embeddings: 0 for the same direction, 1 for unrelated ones, 2 for "
    "opposite ones. The words compare it with random pairs of clips from the corpus: **very "
    "close** is nearer than 99 % of them, **close** than 90 %, **somewhat alike** than half."
)
NO_HITS = "No other clip has this label in this part of the corpus. Choose another label."

corpora = data.offered()
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
    st.title("Find", anchor=False, width="content", help=ABOUT)
    with page.controls("bottom"):
        new_corpus.choose_new("find_corpus")
        corpus, split = view.choose_corpus(corpora)
        encoder = view.choose_encoder()
        new_corpus.add_button("find")
        saved = session.menu("find")
new_corpus.show_builds()
left, right = st.columns(2)
with left:
    taken = view.choose_sound(corpus)
    separator, channel = view.choose_channel()
with right:
    detail = channels.title_of(taken) if taken else ""
    cell = Cell("query_cell", f"Channel {channel}" if channel else "Query", detail)
results = st.container()
credits = f"Examples: {bundled.credits()}."
st.caption(credits)

if encoder is None:
    results.info(
        "Train one with `python -m core train contrastive`, and put it into the folder checkpoints "
        "with `python -m core export`.",
        title="There is no trained encoder yet",
        icon=":material/model_training:",
    )
if taken is None:
    cell.leave_empty("There is no sound to search for. Choose an example, mix, upload or record.")
    st.stop()

try:
    cell.expect(picture=True, sound=True)
    query = data.query(taken, separator, channel, view.place())
    separated = mixtures.separate(separator, taken) if separator and channel else None
    view.draw_query(cell, query)
    if separated and separated.matches:
        cell.state(f"Holds {channels.contents(taken, separated, channel - 1)}")
except RavelError as error:
    cell.leave_empty(str(error))
    st.stop()
if encoder is None:
    st.stop()

with results:
    if not view.can_search(corpus, split, encoder, query):
        st.stop()
    try:
        if not view.is_indexed(corpus, encoder):
            st.stop()
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"
        ):
            st.header("Nearest clips", anchor=False, width="content", help=DISTANCE)
            tools = st.container(
                horizontal=True, gap="medium", vertical_alignment="bottom", width="content"
            )
        with tools:
            column, only, count = view.choose_filter(corpus)
        with st.spinner("Searching"):
            index = data.index(corpus, encoder)
            found = index.nearest(
                data.embedding(query, encoder),
                count,
                among=data.allowed(corpus, split, column, only),
                without=view.own_rows(taken, corpus, channel),
            )
    except RavelError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()
    if tools.button(
        "Show on the map",
        key="find_on_map",
        icon=":material/scatter_plot:",
        type="tertiary",
        help="Open the Map page with the sound marked among the clips of this corpus"
        + (", or of the bundled scenes." if corpus.path is None else "."),
    ):
        sound = query_on_map.hand_over(taken, separator, channel)
        clips = data.map_address(corpus, split, encoder)
        st.switch_page("lab/pages/map.py", query_params=clips | sound)

    def table() -> bytes:
        return data.table(corpus, found).to_csv(index=False).encode()

    saved.results = lambda: {"nearest.csv": table()}
    tools.download_button(
        "CSV",
        table,
        f"{query.clip.name}-in-{corpus.name}.csv",
        "text/csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        key="find_csv",
        help="The clips listed here: rank, distance and all their labels.",
        width="content",
        disabled=not len(found.rows),
    )
    if not len(found.rows):
        st.info(NO_HITS, icon=":material/filter_alt_off:")
    view.list_hits(corpus, found, index, column)
