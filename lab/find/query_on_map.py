"""The query of the Find page as the Map page marks it among the clips of a corpus.

For an example or a clip of a corpus the address says everything. A visitor's own sound is kept in
their session, and nowhere else.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import streamlit as st

from core.checkpoints.checkpoint import Checkpoint, list_checkpoints
from core.contrastive.index import unit
from core.errors import RavelError
from core.service.mixtures import MixtureSource
from lab.bundled import READY, is_scene, sources
from lab.find import data
from lab.find.data import Corpus, Query
from lab.widgets import channels, mixture_slot

OWN, WHOLE = "own", "Query"
PARAMETERS = NAME, SEPARATOR, CHANNEL = "asked", "asked_separator", "asked_channel"


class MapQuery(NamedTuple):
    """A sound's name and its queries: the whole sound and, if one was searched for, a channel."""

    name: str
    queries: dict[str, Query]

    def vectors(self, encoder: Checkpoint) -> np.ndarray:
        """The embeddings of the queries at length 1, [Q, D]. Raises RavelError."""
        return unit(np.stack([data.embedding(one, encoder) for one in self.queries.values()]))


def examples(music: bool = False) -> dict[str, tuple[str, ...]]:
    """The examples to search for: everyday sounds, mixtures, instruments; with `music`, instruments
    are the first."""
    titles = {str(row["title"]): name for name, row in sources().items()}
    first = {title: (name,) for title, name in titles.items() if is_scene(name) != music}
    return first | READY | {title: (name,) for title, name in titles.items()}


def hand_over(taken: MixtureSource, separator: Checkpoint | None, channel: int) -> dict[str, str]:
    """Keep the Find page's sound for the Map page; returns the query's address parameters."""
    state = st.session_state
    name = st.query_params.get("clip")
    if name is None:
        name = state["query"] if state.get("query_from") == "Example" else OWN
    state.map_query = taken
    state.pop("map_points", None)  # the map opens with the query, not with the last clip in focus
    of_channel = {SEPARATOR: separator.name, CHANNEL: str(channel)} if channel and separator else {}
    return {NAME: name, **of_channel}


def from_address() -> MapQuery | None:
    """The query that the address names. Raises RavelError where it no longer exists."""
    name, separator, channel = (st.query_params.get(key) for key in PARAMETERS)
    if name is None:
        return None
    taken, place = _taken(name)
    queries = {WHOLE: data.query(taken, place=place)}
    if channel is not None:
        separators = {one.name: one for one in list_checkpoints("separation")}
        if separator not in separators:
            raise RavelError(
                f"There is no separator called {separator!r}: search again on the Find page."
            )
        count = data.channels_of(separators[separator])
        if channel not in map(str, range(1, count + 1)):
            raise RavelError(f"{separator} has {count} channels, none called {channel!r}.")
        queries[f"Channel {channel}"] = data.query(taken, separators[separator], int(channel))
    return MapQuery(channels.title_of(taken), queries)


def forget() -> None:
    """Remove the query from the map."""
    st.session_state.pop("map_query", None)
    for key in PARAMETERS:
        st.query_params.pop(key, None)


def _taken(name: str) -> tuple[MixtureSource, tuple[Corpus, int] | None]:
    """A sound, and its place if it is a clip of a corpus."""
    if name == OWN:
        own = st.session_state.get("map_query")
        if own is None:
            raise RavelError("Your sound is no longer available: search again on the Find page.")
        return own, None
    if name in examples():
        return mixture_slot.bundled(examples()[name]), None
    place = data.find(name)
    clip = data.clip(*place)
    return MixtureSource(clip.name, (clip,)), place
