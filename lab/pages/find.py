"""Find: give a sound, get the clips of a corpus that sound most like it."""

import streamlit as st

from core.checkpoints.checkpoint import Checkpoint, list_checkpoints
from core.errors import RavelError
from lab import bundled
from lab.find import data as finding
from lab.find import query_on_map as asked
from lab.find import view as matches
from lab.find.data import BUNDLED, Corpus, Query
from lab.map import data as maps
from lab.separate import data as separation
from lab.swap import data as live
from lab.widgets import channels, mixture_slot, player, spectrogram
from lab.widgets.cell import Cell
from lab.widgets.mixture_slot import Taken
from lab.widgets.page import plain
from lab.widgets.slot import Taking

DEFAULT, STORE, SEPARATOR = "scenes-encoder", "scenes", "separator-scenes"
WHOLE = "The whole sound"
ABOUT = (
    "An **encoder** turns a sound into an **embedding**: a few numbers that say what it is like. "
    "It learned without labels, from sounds and their separated channels. Sounds whose embeddings "
    "point the same way are alike to it."
)
DISTANCE = (
    "**Cosine distance** between embeddings: 0 is the same direction, 1 is unrelated, 2 is "
    "opposite. In words, by pairs of clips drawn at random from the corpus: **very close** is "
    "nearer than 99 % of them, **close** than 90 %, **somewhat alike** than half."
)
WHERE = "Where to look: feature stores built with their sound, and the examples of the lab."
MODEL = "A checkpoint: a trained model in the folder checkpoints."
OWN = "To search your own sounds: `python -m core data folder recordings/ --out data/mine`."
NONE = "No other clip has this label in this part of the corpus: choose another."
ANY = Taking(
    mixture_slot.LIVE_SECONDS,
    normalise=False,
    hint="Any sound, up to a minute of it.",
    why="The page takes up to 60 s at a time: choose where they start.",
)


def choose(corpora: dict[str, Corpus]) -> tuple[Corpus, str | None, Checkpoint | None]:
    """The title, and where to look: which clips, heard by which encoder."""
    known = {found.name: found for found in list_checkpoints("contrastive")}
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"
    ):
        st.title("Find", anchor=False, width="content", help=ABOUT)
        with st.container(horizontal=True, gap="medium", width="content"):
            corpus = corpora[pick("Corpus", list(corpora), "find_corpus", STORE, WHERE)]
            split = choose_split(corpus)
            name = pick("Encoder", list(known), "encoder", DEFAULT, MODEL)
    return corpus, split, known.get(name)


def pick(label: str, names: list[str], key: str, first: str = "", says: str | None = None) -> str:
    """One of some names."""
    return st.selectbox(
        label,
        names,
        names.index(first) if first in names else 0,
        key=key,
        bind="query-params",
        width=190,
        disabled=not names,
        help=says,
    )


def choose_split(corpus: Corpus) -> str | None:
    """Which part of a corpus; None for all of it."""
    counts = maps.splits(corpus.path) if corpus.path else {}
    everything = len(finding.labels(corpus)["name"])
    split = st.selectbox(
        "Clips",
        [maps.EVERYTHING, *counts],
        format_func=lambda name: f"{name} ({counts.get(name, everything):,})",
        key=f"find_clips_{corpus.name if corpus.path else 'examples'}",
        bind="query-params",
        width=170,
        disabled=not counts,
    )
    return None if split == maps.EVERYTHING else split


def take() -> Taken | None:
    """The sound to look for: from the slot, or a clip of a corpus that was found before."""
    name = st.query_params.get("clip")
    if name is None:
        return mixture_slot.slot("query", "Sound", asked.examples(), ANY)
    with st.container(border=True, key="query_slot"):
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ):
            st.subheader("Sound", anchor=False, width="content")
            st.button(
                "Another sound",
                key="find_another",
                icon=":material/arrow_back:",
                type="tertiary",
                on_click=st.query_params.pop,
                args=("clip", None),
            )
        try:
            corpus, row = finding.find(name)
            clip = finding.clip(corpus, row)
        except RavelError as error:
            st.error(str(error), icon=":material/error:")
            return None
        st.caption(f"{plain(clip.name)}, a clip of {plain(corpus.name)}.")
        return Taken(clip.name, (clip,))


def choose_channel() -> tuple[Checkpoint | None, int]:
    """Whether to look for one of the sound's channels: by which separator, and its number."""
    known = {found.name: found for found in list_checkpoints("separation")}
    if not known:
        return None, 0
    with st.container(horizontal=True, vertical_alignment="bottom"):
        separator = known[pick("Separator", list(known), "find_separator", SEPARATOR)]
        count = finding.channels_of(separator)
        options = [WHOLE, *(f"Channel {number}" for number in range(1, count + 1))]
        chosen = st.segmented_control(
            "Look for",
            options,
            default=WHOLE,
            required=True,
            key=f"find_what_of_{count}",
            bind="query-params",
            width="content",
            help="The sound as it is, or one of the channels that the separator takes it apart "
            "into: what only sounds in the background can be looked for as well.",
        )
    return separator, options.index(chosen)


def draw(cell: Cell, query: Query) -> None:
    """The query as picture and sound, at full level as the clips of corpora are."""
    cell.log_mel = live.log_mel(query.clip)
    cell.draw(spectrogram.Scale(float(cell.log_mel.max()), query.clip.seconds))
    if query.below is not None:
        cell.state(f"{query.below:.0f} dB below the whole".replace("-", "−"))
    cell.play(live.wav(query.clip))


corpora = finding.corpora()
corpus, split, encoder = choose(corpora)
left, right = st.columns(2)
with left:
    taken = take()
    separator, channel = choose_channel()
with right:
    detail = channels.called(taken) if taken else ""
    cell = Cell("query_cell", f"Channel {channel}" if channel else "Query", detail)
results = st.container()
notes = [f"Examples: {bundled.credits()}."]
if list(corpora) == [BUNDLED]:
    notes.insert(0, OWN)
st.caption(" ".join(notes))
player.one_at_a_time()

if encoder is None:
    results.info(
        "Train one with `python -m core train contrastive`, and put it into the folder checkpoints "
        "with `python -m core export`.",
        title="There is no trained encoder yet",
        icon=":material/model_training:",
    )
if taken is None:
    cell.leave_empty("There is no sound to look for: choose an example, mix, upload or record one.")
    st.stop()

try:
    with cell.picture.skeleton(spectrogram.HEIGHT):
        query = finding.query(taken, separator, channel)
        held = separation.separate(separator, taken) if channel else None
    draw(cell, query)
    if held and held.matches:
        cell.state(f"Holds {channels.holds(taken, held, channel - 1)}")
except RavelError as error:
    cell.leave_empty(str(error))
    st.stop()
if encoder is None:
    st.stop()

with results:
    try:
        if not finding.is_ready(corpus, encoder):
            if finding.progress(corpus, encoder).state == "missing":
                finding.start(corpus, encoder)
            matches.wait_for(corpus, encoder)
            st.stop()
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"
        ):
            st.subheader("Nearest clips", anchor=False, width="content", help=DISTANCE)
            tools = st.container(
                horizontal=True, gap="medium", vertical_alignment="bottom", width="content"
            )
        with tools:
            column, only, count = matches.restrict(corpus)
        with st.spinner("Searching"):
            index = finding.index(corpus, encoder)
            hits = index.nearest(
                finding.embedding(encoder, query.clip),
                count,
                among=finding.allowed(corpus, split, column, only),
                without=matches.own_rows(taken, corpus, channel),
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
        told = asked.hand(taken, separator, channel)
        view = matches.on_map(corpus, split, encoder)
        st.switch_page("lab/pages/map.py", query_params=view | told)
    tools.download_button(
        "CSV",
        lambda: maps.to_csv(finding.table(corpus, hits)),
        f"{query.clip.name}-in-{corpus.name}.csv",
        "text/csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        key="find_csv",
        help="The clips that are listed: rank, distance and all their labels.",
        width="content",
        disabled=not len(hits.rows),
    )
    if not len(hits.rows):
        st.info(NONE, icon=":material/filter_alt_off:")
    matches.list_found(corpus, hits, index, column)
