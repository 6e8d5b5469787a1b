"""The parts of the Find page: where and what to search, the wait for an index, the results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.checkpoints.checkpoint import Checkpoint, list_checkpoints
from core.errors import RavelError
from core.service import corpora as stores
from core.service import included, log_mel, wav
from core.service.mixtures import MixtureSource
from lab.find import data, hits, query_on_map
from lab.find.data import BUNDLED, Corpus, Query
from lab.widgets import mixture_slot, sound_view
from lab.widgets.cell import Cell
from lab.widgets.page import plain
from lab.widgets.slot import Taking

if TYPE_CHECKING:
    from core.contrastive.index import Found, Index

ENCODER, SEPARATOR = "scenes-encoder", "separator-scenes"  # shown first
STORES = ("scenes", included.NAME)  # shown first: a large corpus of scenes, else all that ships
WHOLE = "The whole sound"
COUNTS = [5, 10, 20, 50]
CORPUS = "The clips to search: a corpus with audio. **included** holds all sounds that ship."
CHECKPOINT = (
    "A checkpoint: a trained model in the folder `checkpoints`, or an encoder that was added by "
    "`python -m core encoder`."
)
PART = (
    "The whole sound, or one of the channels into which the separator splits it. Search for a "
    "channel to find a sound that is only in the background."
)
TABLE = (
    "**{}** is a table of embeddings, made elsewhere: it has those of its own clips, and none of "
    "other sounds or channels. Choose a clip to search for."
)
MOST_CLIPS = 2_000  # to choose from
ANY = Taking(
    mixture_slot.MAX_SECONDS,
    normalise=False,
    hint="Any sound, up to one minute.",
    why="The page reads up to 60 s at a time: choose where to start.",
)


def choose_corpus(corpora: dict[str, Corpus]) -> tuple[Corpus, str | None]:
    """The corpus to search, and the split of it, or None for all."""
    first = next((name for name in STORES if name in corpora), "")
    corpus = corpora[choose("Corpus", list(corpora), "find_corpus", first, CORPUS)]
    counts = stores.splits(corpus.path) if corpus.path else {}
    everything = len(data.labels(corpus)["name"])
    split = st.selectbox(
        "Clips",
        [stores.EVERYTHING, *counts],
        format_func=lambda name: f"{name} ({counts.get(name, everything):,})",
        key=f"find_clips_{corpus.name if corpus.path else 'examples'}",
        bind="query-params",
        width=170,
        disabled=not counts,
    )
    return corpus, None if split == stores.EVERYTHING else split


def choose_encoder() -> Checkpoint | None:
    """The encoder whose embeddings are compared; None where there is none yet."""
    encoders = {one.name: one for one in list_checkpoints("contrastive")}
    return encoders.get(choose("Encoder", list(encoders), "encoder", ENCODER, CHECKPOINT))


def choose(label: str, names: Sequence[str], key: str, first: str, help: str | None = None) -> str:
    """One of some names."""
    return st.selectbox(
        label,
        names,
        names.index(first) if first in names else 0,
        key=key,
        bind="query-params",
        width=190,
        disabled=not names,
        help=help,
    )


def choose_sound(corpus: Corpus) -> MixtureSource | None:
    """The sound to search for in a corpus, one of its kind at first: from the slot, or a clip that
    the address names."""
    reference = st.query_params.get("clip")
    if reference is None:
        return mixture_slot.slot(
            "query", "Sound", query_on_map.examples(data.is_music(corpus)), ANY
        )
    with st.container(border=True, key="query_slot"):
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ):
            st.header("Sound", anchor=False, width="content")
            st.button(
                "Choose another sound",
                key="find_another",
                icon=":material/arrow_back:",
                type="tertiary",
                on_click=forget_clip,
            )
        try:
            where, row = data.find(reference)
            clip = data.clip(where, row)
        except RavelError as error:
            st.error(str(error), icon=":material/error:")
            return None
        st.caption(f"{plain(clip.name)}, a clip of {plain(where.name)}.")
        return MixtureSource(clip.name, (clip,))


def place() -> tuple[Corpus, int] | None:
    """Where the sound is from, if it is a clip of a corpus that the address names. RavelError."""
    reference = st.query_params.get("clip")
    return None if reference is None else data.find(reference)


def can_search(corpus: Corpus, split: str | None, encoder: Checkpoint, query: Query) -> bool:
    """Whether the encoder can embed the query; if not, says so and offers the corpus's clips."""
    if stores.embeds_sounds(encoder) or query.place:
        return True
    st.info(TABLE.format(plain(encoder.name)), icon=":material/table:")
    if corpus.path:
        rows = np.flatnonzero(data.allowed(corpus, split, None, ()))[:MOST_CLIPS]
        names = data.labels(corpus)["name"][rows].tolist()
        chosen = st.selectbox(
            f"Clip of {plain(corpus.name)}",
            names,
            None,
            key="find_clip",
            placeholder="Choose a clip",
            width=400,
        )
        if chosen:
            search_like(f"{corpus.name}/{chosen}")
            st.rerun()
    return False


def forget_clip() -> None:
    """Return from a clip of a corpus to the slot."""
    st.query_params.pop("clip", None)


def choose_channel() -> tuple[Checkpoint | None, int]:
    """The separator and the number of the channel to search for; 0 for the whole sound."""
    separators = {one.name: one for one in list_checkpoints("separation")}
    if not separators:
        return None, 0
    with st.container(horizontal=True, vertical_alignment="bottom"):
        separator = separators[choose("Separator", list(separators), "find_separator", SEPARATOR)]
        count = data.channels_of(separator)
        options = [WHOLE, *(f"Channel {number}" for number in range(1, count + 1))]
        chosen = st.segmented_control(
            "Search for",
            options,
            default=WHOLE,
            required=True,
            key=f"find_what_of_{count}",
            bind="query-params",
            width="content",
            help=PART,
        )
    return separator, options.index(chosen)


def draw_query(cell: Cell, query: Query) -> None:
    """The query as picture and sound, at full level like the clips of a corpus."""
    cell.log_mel = log_mel(query.clip)
    cell.draw(sound_view.Scale(float(cell.log_mel.max()), query.clip.seconds))
    if query.below is not None:
        cell.state(f"{query.below:.0f} dB below the whole sound")
    cell.play(wav(query.clip))


def own_rows(taken: MixtureSource, corpus: Corpus, channel: int) -> list[int]:
    """The clips of a corpus that come from the same recording as the query."""
    reference = st.query_params.get("clip")
    if reference is not None:
        of, row = data.find(reference)
        return data.same_recording(corpus, row).tolist() if of == corpus else []
    example = st.session_state.get("query_from") == "Example" and len(taken.clips) == 1
    if corpus.name not in (BUNDLED, included.NAME) or channel or not example:
        return []
    names = data.labels(corpus)["name"].tolist()
    return [names.index(taken.name)] if taken.name in names else []


def is_indexed(corpus: Corpus, encoder: Checkpoint) -> bool:
    """Whether a corpus can be searched; if not, starts its index and shows how far it is."""
    store = corpus.path
    if store is None or stores.is_indexed(store, encoder):
        return True
    if stores.indexing_progress(store, encoder).state == "missing":
        stores.start_indexing(store, encoder)
    wait_for_index(store, encoder)
    return False


@st.fragment(run_every=1.0)
def wait_for_index(store: Path, encoder: Checkpoint) -> None:
    """Watch the process that embeds a store."""
    progress = stores.indexing_progress(store, encoder)
    if progress.state == "failed":
        st.error(f"{store.name} could not be embedded: {progress.text}", icon=":material/error:")
        st.button(
            "Try again", key="find_again", on_click=stores.start_indexing, args=(store, encoder)
        )
    elif progress.state == "done":
        st.rerun()
    else:
        says = f"{plain(store.name)}: {progress.text or 'starting'}"
        st.progress(progress.part, f"{says}. This happens once; you can close this page meanwhile.")


def choose_filter(corpus: Corpus) -> tuple[str | None, list[str], int]:
    """The label column, the values it is restricted to, and how many clips to list."""
    options = data.filters(corpus)
    at = corpus.name if corpus.path else "examples"
    column, only = None, []
    if options:
        column = st.selectbox(
            "Label",
            list(options),
            list(options).index(data.fullest(corpus, list(options))),
            key=f"find_label_{at}",
            bind="query-params",
            width=150,
        )
        only = st.multiselect(
            "Restrict to",
            options[column],
            key=f"find_only_{at}_{column}",
            bind="query-params",
            placeholder="Any",
            width=300,
        )
    count = st.selectbox("Show", COUNTS, 1, key="find_count", bind="query-params", width=90)
    return column, only, count


def search_like(reference: str) -> None:
    """Search for clips like one that was found."""
    st.query_params["clip"] = reference


def list_hits(corpus: Corpus, found: Found, index: Index, column: str | None) -> None:
    """The clips that were found, nearest first."""
    labels = data.labels(corpus)
    for rank, (row, distance) in enumerate(zip(*map(list, found), strict=True), 1):
        name = str(labels["name"][row])
        label = str(labels[column][row]) if column else ""
        if corpus.name == included.NAME:  # whose clips all have a title of their own
            label = str(labels["title"][row])
        split = str(labels["split"][row]) if "split" in labels else ""
        hit = hits.Hit(
            label or name,
            " · ".join(part for part in (name if label not in ("", name) else "", split) if part),
            float(distance),
            index.share_nearer(float(distance)),
            data.log_mel(corpus, int(row)),
            wav(data.clip(corpus, int(row))),
        )
        hits.show(rank, hit, search_like, data.reference(corpus, int(row)))
