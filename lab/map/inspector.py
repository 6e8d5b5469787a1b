"""The inspector of a map: the point in focus, its neighbours, the selected points, the exports."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.audio.clip import HOP_SECONDS
from core.maps.projection import nearest
from core.service import corpora, log_mel, takeaways, wav
from lab.find import query_on_map
from lab.find.query_on_map import MapQuery
from lab.map import export, plot
from lab.map.points import MapPoints
from lab.widgets import player, sound_view
from lab.widgets.cell import Cell
from lab.widgets.page import download, plain, row

if TYPE_CHECKING:
    import pandas as pd

    from core.maps.projection import Projection
    from lab.map.plot import Colour

MAX_WAVS = {True: 1000, False: 60}  # clips in a zip: of recordings, of clips to resynthesise first
SAME = 1e-5  # cosine distance below which two clips are the same, up to rounding
AUTOPLAY = """
<script>
if (!window.mapAutoplay) {
  window.mapAutoplay = true;
  document.addEventListener("ended", (event) => {
    const on = document.querySelector(".st-key-map_autoplay input")?.checked;
    if (on && event.target.closest(".st-key-map_focus_panel"))
      document.querySelector(".st-key-map_next button")?.click();
  }, true);
}
</script>
"""
state = st.session_state


def focus_on(point: int | None) -> None:
    """Put a point into focus and play it."""
    state.map_focus, state.map_play = point, point is not None


def on_map_event() -> None:
    """Handle a click, box or lasso on a map."""
    event = plot.event("map")
    if event.get("focus") is not None:
        focus_on(int(event["focus"]))
    if event.get("query") is not None:
        focus_on(None)
        state.map_play_query = int(event["query"])
    if "chosen" in event:
        state.map_chosen = [int(point) for point in event["chosen"]]


def on_table_row() -> None:
    """Handle the selection of a row in the table of selected points."""
    rows = state.map_table["selection"]["rows"]
    if rows and rows[0] < len(state.map_chosen):
        focus_on(state.map_chosen[rows[0]])


def step(by: int) -> None:
    """Move the focus to the next or previous selected point."""
    chosen, focus = state.map_chosen, state.map_focus
    at = chosen.index(focus) + by if focus in chosen else 0
    focus_on(chosen[at % len(chosen)])


def clear_selection() -> None:
    """Deselect all points."""
    state.map_chosen = []


def keep_selection(points: MapPoints) -> None:
    """Carry focus and selection over to another kind of points; drop them with another corpus."""
    subset = points.spec.subset
    signature = (str(subset.store), subset.split, len(points.clips))
    before = state.get("map_points")
    clips: np.ndarray = state.get("map_point_clips", points.clips)
    state.map_points, state.map_point_clips = signature, points.clips
    if before is None or before[:2] != signature[:2]:
        named = np.flatnonzero(points.labels["name"] == st.query_params.get("clip"))
        first = np.flatnonzero(points.clips == named[0]).tolist() if len(named) else []
        state.map_focus, state.map_chosen = (first[0] if first else None), []
    elif before != signature:
        focus = state.map_focus
        if focus is not None:
            state.map_focus = int(np.flatnonzero(points.clips == clips[focus])[0])
        chosen = np.isin(points.clips, clips[state.map_chosen] if state.map_chosen else [])
        state.map_chosen = np.flatnonzero(chosen).tolist()


def show_focus(points: MapPoints) -> None:
    """The point in focus: its log-mel, its sound, and the pages that can open it."""
    point, store = state.map_focus, points.spec.subset.store
    with st.container(key="map_focus_panel"):
        cell = Cell("map_focus_cell", plain(points.name(point)))
        st.caption(plain(points.facts(point)))
        if not corpora.open_store(store).has_audio:
            st.caption(
                ":material/info: Resynthesised from the log-mel: this corpus was built without "
                "its audio."
            )
        cell.log_mel = corpora.log_mel(store, points.row(point))
        seconds = (len(cell.log_mel) - 1) * HOP_SECONDS
        cell.draw(sound_view.Scale(float(cell.log_mel.max()), seconds))
        cell.play(points.wav(point), autoplay=bool(state.pop("map_play", False)))
    reference = f"{store.name}/{points.clip_name(point)}"
    if points.spec.is_embedding:
        offer_find(points, reference)
    else:
        offer_swap(points, reference)


def offer_swap(points: MapPoints, reference: str) -> None:
    """Buttons that open the Swap page with the clip in focus."""
    with st.container(horizontal=True):
        for side in ("source", "target"):
            if st.button(
                f"Swap as {side}",
                key=f"map_to_{side}",
                icon=":material/swap_horiz:",
                help=f"Open the Swap page with this clip as its {side}.",
            ):
                handed = state.setdefault("handed", {})
                handed[f"{side}_clip"] = reference
                query = {**handed, "model": points.spec.checkpoint.name}
                st.switch_page("lab/pages/swap.py", query_params=query)


def offer_find(points: MapPoints, reference: str) -> None:
    """A button that opens the Find page with the clip in focus as its query."""
    if st.button(
        "Find similar",
        key="map_find",
        icon=":material/search:",
        help="Open the Find page and search for clips like this one.",
    ):
        query = {"find_corpus": points.spec.subset.store.name, "clip": reference}
        query["encoder"] = points.spec.checkpoint.name
        st.switch_page("lab/pages/find.py", query_params=query)


def show_query(query: MapQuery) -> None:
    """The query of the Find page; if it is a channel, the whole sound beneath it."""
    play, (*whole, last) = state.pop("map_play_query", None), query.queries.items()
    title, one = last
    with st.container(key="map_query_panel"):
        cell = Cell("map_query_cell", title, plain(query.name))
        cell.log_mel = log_mel(one.clip)
        cell.draw(sound_view.Scale(float(cell.log_mel.max()), one.clip.seconds))
        cell.play(wav(one.clip), autoplay=play == len(whole))
        for number, (title, one) in enumerate(whole):
            st.caption(f"{title}: the whole sound")
            player.player(
                wav(one.clip),
                key=f"map_query_{number}",
                name=title,
                autoplay=play == number,
            )
    st.button(
        "Remove the query",
        key="map_forget",
        icon=":material/close:",
        type="tertiary",
        on_click=query_on_map.forget,
    )


def nearest_to_query(
    points: MapPoints, query: MapQuery, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The clips nearest to the query and their distances; the query's own clip is left out."""
    vector = query.vectors(points.spec.checkpoint)[-1]
    near, distances = nearest(points.vectors, vector, count=count + 1, metric="cosine")
    others = distances > SAME
    return near[others][:count], distances[others][:count]


def list_neighbours(points: MapPoints, near: np.ndarray, distances: np.ndarray) -> None:
    """The nearest neighbours, each with a player and a button that puts it into focus."""
    has_audio = corpora.open_store(points.spec.subset.store).has_audio
    for point, distance in zip(near.tolist(), distances.tolist(), strict=True):
        with st.container(gap=None):
            with st.container(horizontal=True, vertical_alignment="center", wrap=False):
                figure = f"{distance:#.3g}".rstrip(".")
                st.caption(f"**{figure}** {plain(points.title(point))}", width="stretch")
                st.button(
                    "",
                    key=f"map_near_{point}",
                    icon=":material/my_location:" if has_audio else ":material/play_arrow:",
                    on_click=focus_on,
                    args=(point,),
                    type="tertiary",
                    help="Play this clip and show its own neighbours.",
                )
            if has_audio:
                player.player(
                    points.wav(point), key=f"map_near_{point}_sound", name=points.name(point)
                )


def list_selection(points: MapPoints, projection: Projection, colour: Colour) -> None:
    """The playlist, table and exports of the selected points, or the exports of all."""
    places = projection.points
    chosen = np.array(state.map_chosen or range(len(points.clips)), dtype=int)

    def frame() -> pd.DataFrame:
        extra = {} if points.seconds is None else {"seconds": points.seconds[chosen].round(3)}
        labels = {k: v[points.clips[chosen]] for k, v in points.labels.items()}
        return export.table(labels, places[chosen], extra)

    noun = "clips" if points.seconds is None else "points"
    count = f"{len(chosen):,} {noun}"
    with row():
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            title = f"{count} selected" if state.map_chosen else f"All {count}"
            st.header(title, anchor=False, width="content")
            if state.map_chosen:
                show_playlist_controls()
        with st.container(horizontal=True, width="content"):
            offer_page(points, projection, colour)
            show_exports(points, frame, chosen)
    if not state.map_chosen:
        st.caption("Select points with a lasso or a box to list, play and download them.")
        return
    st.dataframe(
        frame(),
        key="map_table",
        on_select=on_table_row,
        selection_mode="single-row",
        hide_index=True,
        height=min(420, 40 + 35 * len(chosen)),
        column_config={axis: None for axis in "xyz"},
        alt="The selected points; select a row to play it",
    )


def show_playlist_controls() -> None:
    """Buttons that play the selected points in turn."""
    st.button(
        "Previous", key="map_previous", icon=":material/skip_previous:", on_click=step, args=(-1,)
    )
    st.button("Next", key="map_next", icon=":material/skip_next:", on_click=step, args=(1,))
    st.toggle("Autoplay", key="map_autoplay", help="When a clip ends, play the next one.")
    st.button(
        "Clear selection",
        key="map_let_go",
        icon=":material/close:",
        type="tertiary",
        on_click=clear_selection,
    )


def show_exports(points: MapPoints, frame: Callable[[], pd.DataFrame], chosen: np.ndarray) -> None:
    """Download buttons; a file is made when its button is clicked."""
    spec, clips = points.spec, np.unique(points.clips[chosen])
    limit = MAX_WAVS[corpora.open_store(spec.subset.store).has_audio]
    kind = "Embeddings" if spec.is_embedding else "Latents"
    stem = f"{spec.subset.store.name}-{spec.checkpoint.name}-{spec.space}"
    files = {
        "CSV": (lambda: export.to_csv(frame()), "csv", "Labels and places on the map."),
        "Parquet": (
            lambda: export.to_parquet(frame(), points.vectors[chosen]),
            "parquet",
            f"The CSV's columns and the {kind.lower()} in a column `vector`, for embedding-atlas.",
        ),
        kind: (
            lambda: export.to_npz(points.labels["name"], points.encoded, clips),
            "npz",
            "The embeddings of these clips at length 1, as NumPy arrays."
            if spec.is_embedding
            else "v, time-averaged z and the kept frames of z of these clips, as NumPy arrays.",
        ),
        "WAVs": (
            lambda: export.to_zip(spec.subset.store, points.encoded.rows[clips]),
            "zip",
            f"The sound of these clips at their own level; at most {limit:,} clips.",
        ),
    }
    for label, (make, ending, help) in files.items():
        too_many = label == "WAVs" and len(clips) > limit
        name, key = f"{stem}.{ending}", f"map_save_{label}"
        download(label, make, name, key=key, help=help, disabled=too_many)


def offer_page(points: MapPoints, projection: Projection, colour: Colour) -> None:
    """A download of the map with sounds as one HTML file."""
    spec, chosen = points.spec, list(state.map_chosen)
    groups = takeaways.Groups(colour.name, takeaways.grouped(colour.values))
    swaps = "" if spec.is_embedding else f" With up to {takeaways.MOST} clips, also all swaps."
    which = "the selected clips" if chosen else "some clips of every kind; select others first"
    download(
        "Page",
        lambda: takeaways.make(spec, projection, chosen, groups).html,
        f"{spec.subset.store.name}-{spec.checkpoint.name}-{spec.space}.html",
        key="map_save_page",
        mime="text/html",
        help=f"The map as one HTML file of less than 5 MB, which opens without a network, with "
        f"the sound of {which}.{swaps} Takes up to a minute.",
    )
