"""What was looked for on the Find page, as the Map page marks it among the clips of a corpus.

An example or a clip of a corpus is told by the address alone. A sound of a visitor's own is kept in
their session, and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from core.checkpoints.checkpoint import Checkpoint, list_checkpoints
from core.errors import RavelError
from lab.bundled import READY, is_scene, sources
from lab.find import data as finding
from lab.find.data import Query
from lab.map import data as maps
from lab.map import plot as latent_map
from lab.widgets import channels, mixture_slot
from lab.widgets.mixture_slot import Taken

if TYPE_CHECKING:
    from core.maps.projection import Projection

OWN, WHOLE = "own", "Query"
PARAMETERS = NAME, SEPARATOR, CHANNEL = "asked", "asked_separator", "asked_channel"


class Asked(NamedTuple):
    """A sound's name, and what was looked for: the whole of it, and the channel if it was one."""

    name: str
    queries: dict[str, Query]

    def vectors(self, encoder: Checkpoint) -> np.ndarray:
        """Their embeddings at length 1, [Q, D]. Raises RavelError."""
        from core.contrastive.index import unit

        every = [finding.embedding(encoder, query.clip) for query in self.queries.values()]
        return unit(np.stack(every))

    def marks(self, view: maps.View, x: np.ndarray, made: Projection) -> list[latent_map.Query]:
        """Their places on a map of the points x; none on one that is not an encoder's."""
        if view.checkpoint.system != "contrastive":
            return []
        from core.maps.projection import place

        places = place(x, made, self.vectors(view.checkpoint))
        return [latent_map.Query(*pair) for pair in zip(self.queries, places, strict=True)]


def examples() -> dict[str, tuple[str, ...]]:
    """The examples to look for: everyday sounds, mixtures, instruments."""
    titles = {str(row["title"]): name for name, row in sources().items()}
    scenes = {title: (name,) for title, name in titles.items() if is_scene(name)}
    return scenes | READY | {title: (name,) for title, name in titles.items()}


def hand(taken: Taken, separator: Checkpoint | None, channel: int) -> dict[str, str]:
    """Keep the Find page's sound for the Map page; returns what the address says of it."""
    state = st.session_state
    name = st.query_params.get("clip")
    if name is None:
        name = state["query"] if state.get("query_from") == "Example" else OWN
    state.asked = taken
    state.pop("map_points", None)  # the map opens with the query, not with what was in focus
    told = {SEPARATOR: separator.name, CHANNEL: str(channel)} if channel and separator else {}
    return {NAME: name, **told}


def asked() -> Asked | None:
    """What the address asks to be marked. Raises RavelError where that is gone."""
    name, separator, channel = (st.query_params.get(key) for key in PARAMETERS)
    if name is None:
        return None
    taken = _taken(name)
    queries = {WHOLE: finding.query(taken)}
    if channel is not None:
        known = {found.name: found for found in list_checkpoints("separation")}
        if separator not in known:
            raise RavelError(f"There is no separator called {separator!r}: look on the Find page.")
        count = finding.channels_of(known[separator])
        if channel not in map(str, range(1, count + 1)):
            raise RavelError(f"{separator} has {count} channels, none called {channel!r}.")
        queries[f"Channel {channel}"] = finding.query(taken, known[separator], int(channel))
    return Asked(channels.called(taken), queries)


def forget() -> None:
    """Mark nothing."""
    st.session_state.pop("asked", None)
    for key in PARAMETERS:
        st.query_params.pop(key, None)


def _taken(name: str) -> Taken:
    if name == OWN:
        held = st.session_state.get("asked")
        if held is None:
            raise RavelError(
                "The sound that was looked for is no longer here: look for it on the Find page "
                "again."
            )
        return held
    if name in examples():
        return mixture_slot.bundled(examples()[name])
    clip = finding.clip(*finding.find(name))
    return Taken(clip.name, (clip,))
