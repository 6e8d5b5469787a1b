"""What is picked on a map: in focus, heard, near, chosen, saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.audio.clip import HOP_SECONDS
from lab.find import query_on_map as asked
from lab.find.query_on_map import Asked
from lab.map import data as maps
from lab.map import plot as latent_map
from lab.map.points import Shown
from lab.swap import data as live
from lab.widgets import player, spectrogram
from lab.widgets.cell import Cell
from lab.widgets.page import plain

if TYPE_CHECKING:
    import pandas as pd

MAX_WAVS = {True: 1000, False: 60}  # in a zip: recordings; what has to be resynthesised first
SAME = 1e-5  # cosine distance of a clip to itself, but for rounding
THROUGH = """
<script>
if (!window.playThrough) {
  window.playThrough = true;
  document.addEventListener("ended", (event) => {
    const on = document.querySelector(".st-key-map_through input")?.checked;
    if (on && event.target.closest(".st-key-map_heard"))
      document.querySelector(".st-key-map_next button")?.click();
  }, true);
}
</script>
"""
state = st.session_state


def focus_on(point: int | None) -> None:
    """Bring a point into focus and let it sound."""
    state.map_focus, state.map_play = point, point is not None


def hear_event() -> None:
    """A click, box or lasso on a map."""
    event = latent_map.picked("map")
    if event.get("focus") is not None:
        focus_on(int(event["focus"]))
    if event.get("query") is not None:
        focus_on(None)
        state.map_play_query = int(event["query"])
    if "chosen" in event:
        state.map_chosen = [int(point) for point in event["chosen"]]


def hear_row() -> None:
    """A row of the table of chosen points."""
    rows = state.map_table["selection"]["rows"]
    if rows and rows[0] < len(state.map_chosen):
        focus_on(state.map_chosen[rows[0]])


def step(by: int) -> None:
    """On to the next of the chosen points, or back."""
    chosen, focus = state.map_chosen, state.map_focus
    at = chosen.index(focus) + by if focus in chosen else 0
    focus_on(chosen[at % len(chosen)])


def let_go() -> None:
    """Choose nothing."""
    state.map_chosen = []


def keep_marks(shown: Shown) -> None:
    """Carry focus and choice over to another kind of points; drop them with another corpus."""
    signature = (str(shown.view.corpus.store), shown.view.corpus.split, len(shown.clips))
    before, clips = state.get("map_points"), state.get("map_point_clips")
    state.map_points, state.map_point_clips = signature, shown.clips
    if before is None or before[:2] != signature[:2]:
        named = np.flatnonzero(shown.labels["name"] == st.query_params.get("clip"))
        first = np.flatnonzero(shown.clips == named[0]) if len(named) else []
        state.map_focus, state.map_chosen = (int(first[0]) if len(first) else None), []
    elif before != signature:
        focus = state.map_focus
        if focus is not None:
            state.map_focus = int(np.flatnonzero(shown.clips == clips[focus])[0])
        chosen = np.isin(shown.clips, clips[state.map_chosen] if state.map_chosen else [])
        state.map_chosen = np.flatnonzero(chosen).tolist()


def inspect(shown: Shown) -> None:
    """The point in focus: its sound, its log-mel, where it can go."""
    point, store = state.map_focus, shown.view.corpus.store
    row = int(shown.of.rows[shown.clips[point]])
    with st.container(key="map_heard"):
        cell = Cell("map_focus_cell", plain(shown.name(point)))
        st.caption(shown.facts(point))
        if not maps.open_store(store).has_audio:
            st.caption(
                ":material/info: Resynthesised from its log-mel: this corpus was built without "
                "its sound."
            )
        cell.log_mel = maps.log_mel(store, row)
        seconds = (len(cell.log_mel) - 1) * HOP_SECONDS
        cell.draw(spectrogram.Scale(float(cell.log_mel.max()), seconds))
        cell.play(shown.wav(point), autoplay=bool(state.pop("map_play", False)))
    if shown.view.checkpoint.system == "contrastive":
        find_similar(shown, point)
        return
    with st.container(horizontal=True):
        for side in ("source", "target"):
            st.button(
                f"Swap: as {side}",
                key=f"map_to_{side}",
                icon=":material/swap_horiz:",
                help=f"Open the Swap page with this clip as its {side}.",
            )
            if state.get(f"map_to_{side}"):
                name = shown.labels["name"][shown.clips[point]]
                handed = state.setdefault("handed", {})
                handed[f"{side}_clip"] = f"{store.name}/{name}"
                query = {**handed, "model": shown.view.checkpoint.name}
                st.switch_page("lab/pages/swap.py", query_params=query)


def find_similar(shown: Shown, point: int) -> None:
    """On to the Find page with the clip in focus."""
    store = shown.view.corpus.store.name
    if st.button(
        "Find similar",
        key="map_find",
        icon=":material/search:",
        help="Open the Find page with this clip as what is looked for.",
    ):
        query = {"find_corpus": store, "encoder": shown.view.checkpoint.name}
        query["clip"] = f"{store}/{shown.labels['name'][shown.clips[point]]}"
        st.switch_page("lab/pages/find.py", query_params=query)


def inspect_query(query: Asked) -> None:
    """What was looked for on the Find page; of a channel, the whole sound beneath it."""
    play, (*whole, last) = state.pop("map_play_query", None), query.queries.items()
    title, one = last
    with st.container(key="map_asked"):
        cell = Cell("map_query_cell", title, plain(query.name))
        cell.log_mel = live.log_mel(one.clip)
        cell.draw(spectrogram.Scale(float(cell.log_mel.max()), one.clip.seconds))
        cell.play(live.wav(one.clip), autoplay=play == len(whole))
        for number, (title, one) in enumerate(whole):
            st.caption(f"{title}: the whole sound")
            player.player(live.wav(one.clip), name=title, autoplay=play == number)
    st.button(
        "Take the query off the map",
        key="map_forget",
        icon=":material/close:",
        type="tertiary",
        on_click=asked.forget,
    )


def nearest(shown: Shown, query: Asked, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The clips nearest to what was looked for, and how far they are; a clip that it is itself is
    left out."""
    from core.maps.projection import nearest

    vector = query.vectors(shown.view.checkpoint)[-1]
    found, distances = nearest(shown.vectors, vector, count=count + 1, metric="cosine")
    others = distances > SAME
    return found[others][:count], distances[others][:count]


def list_near(shown: Shown, near: np.ndarray, distances: np.ndarray) -> None:
    """The nearest neighbours, each playable and one click from being in focus itself."""
    has_audio = maps.open_store(shown.view.corpus.store).has_audio
    for point, distance in zip(near.tolist(), distances.tolist(), strict=True):
        with st.container(gap=None):
            with st.container(horizontal=True, vertical_alignment="center", wrap=False):
                what = plain(shown.what(point))
                st.caption(f"**{distance:.3g}** {what}", width="stretch")
                st.button(
                    "",
                    key=f"map_near_{point}",
                    icon=":material/my_location:" if has_audio else ":material/play_arrow:",
                    on_click=focus_on,
                    args=(point,),
                    type="tertiary",
                    help="Go there: hear it and see its own neighbours.",
                )
            if has_audio:
                player.player(shown.wav(point), name=shown.name(point))


def list_chosen(shown: Shown, points: np.ndarray) -> None:
    """The playlist, the table and the exports of what a box or lasso holds, or of everything."""
    chosen = np.array(state.map_chosen or range(len(shown.clips)), dtype=int)
    clips = np.unique(shown.clips[chosen])

    def frame() -> pd.DataFrame:
        extra = {} if shown.seconds is None else {"seconds": shown.seconds[chosen].round(3)}
        names = {k: v[shown.clips[chosen]] for k, v in shown.labels.items()}
        return maps.table(names, points[chosen], extra)

    noun = "points" if shown.seconds is not None else "clips"
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            title = (
                f"{len(chosen):,} {noun} chosen"
                if state.map_chosen
                else f"All {len(chosen):,} {noun}"
            )
            st.subheader(title, anchor=False, width="content")
            if state.map_chosen:
                play_through()
        export(shown, frame, chosen, clips)
    if not state.map_chosen:
        st.caption("Draw a lasso or a box on the map to list, play and save some of them.")
        return
    st.dataframe(
        frame(),
        key="map_table",
        on_select=hear_row,
        selection_mode="single-row",
        hide_index=True,
        height=min(420, 40 + 35 * len(chosen)),
        column_config={axis: None for axis in "xyz"},
        alt="The chosen points; select a row to hear it",
    )


def play_through() -> None:
    """Buttons to hear the chosen one after the other."""
    st.button(
        "Previous", key="map_previous", icon=":material/skip_previous:", on_click=step, args=(-1,)
    )
    st.button("Next", key="map_next", icon=":material/skip_next:", on_click=step, args=(1,))
    st.toggle("Play through", key="map_through", help="When one ends, the next one starts.")
    st.button("Let go", key="map_let_go", icon=":material/close:", type="tertiary", on_click=let_go)


def export(
    shown: Shown, frame: Callable[[], pd.DataFrame], chosen: np.ndarray, clips: np.ndarray
) -> None:
    """Download buttons; a file is made when its button is clicked."""
    view, names = shown.view, shown.labels["name"]
    limit = MAX_WAVS[maps.open_store(view.corpus.store).has_audio]
    vectors = shown.vectors[chosen]
    latents = view.space != "h"
    stem = f"{view.corpus.store.name}-{view.checkpoint.name}-{view.space}"
    files = {
        "CSV": (lambda: maps.to_csv(frame()), f"{stem}.csv", "Labels and places on the map."),
        "Parquet": (
            lambda: maps.to_parquet(frame(), vectors),
            f"{stem}.parquet",
            f"The same with the {'latents' if latents else 'embeddings'} as a column `vector`, for "
            "embedding-atlas.",
        ),
        "Latents" if latents else "Embeddings": (
            lambda: maps.to_npz(names, shown.of, clips),
            f"{stem}.npz",
            "v, time-averaged z and kept frames of z of these clips, as NumPy arrays."
            if latents
            else "The embeddings of these clips at length 1, as NumPy arrays.",
        ),
        "WAVs": (
            lambda: maps.to_zip(view.corpus.store, shown.of.rows[clips]),
            f"{stem}.zip",
            f"The sound of these clips at their own level; up to {limit} clips.",
        ),
    }
    with st.container(horizontal=True, width="content"):
        for label, (make, name, says) in files.items():
            st.download_button(
                label,
                make,
                name,
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
                key=f"map_save_{label}",
                help=says,
                disabled=label == "WAVs" and len(clips) > limit,
            )
