"""Map: every clip of a corpus as a point in a model's latent space, to be clicked and heard."""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.checkpoints import Checkpoint, list_checkpoints
from core.errors import RavelError
from lab import maps, points
from lab.widgets import latent_map, picked, player
from lab.widgets.latent_map import Marks, Panel

if TYPE_CHECKING:
    from core.dsae.projection import Projection, Settings

NOBODY, EVERYTHING = "None", "all"
SPACES = {"Global v": "v", "Local z, mean": "z", "Local z, frames": "frames"}
STORE, MODELS = "dmelodies", ("ts-dsae-dmelodies", "ts-dsae-instruments")  # what is shown first
FEW = 40  # a corpus whose validation split is smaller is shown whole
NEAR = 6
HEIGHT = 520
ABOUT = (
    "Every point is a clip, or a moment of one, where the model puts it. **Click** a point to hear "
    "it. Draw a **lasso** or a **box** around points to list and save them; double-click to let go."
)
state = st.session_state


def choose_corpus(stores: dict) -> maps.Corpus:
    """Which clips."""
    names = list(stores)
    first = names.index(STORE) if STORE in names else 0
    store = stores[
        st.selectbox("Corpus", names, first, key="map_corpus", bind="query-params", width=170)
    ]
    counts = maps.splits(store)
    options = [*counts, EVERYTHING]
    few = counts.get("validation", 0) < FEW
    split = st.selectbox(
        "Clips",
        options,
        len(options) - 1 if few else options.index("validation"),
        format_func=lambda name: f"{name} ({counts.get(name, sum(counts.values())):,})",
        key=f"map_clips_{store.name}",
        bind="query-params",
        width=190,
    )
    return maps.Corpus(store, None if split == EVERYTHING else split)


def choose_models(corpus: maps.Corpus, known: dict[str, Checkpoint]) -> list[Checkpoint]:
    """Through which models: one, or two to compare."""
    names = list(known)
    wanted = [f"ts-dsae-{corpus.store.name}", *MODELS]
    first = next((names.index(name) for name in wanted if name in names), 0)
    chosen = st.selectbox("Model", names, first, key="map_model", bind="query-params", width=190)
    other = st.selectbox(
        "Compare with",
        [NOBODY, *names],
        key="map_compare",
        bind="query-params",
        width=190,
        help="A second model's map of the same clips: what is chosen on one shows on the other.",
    )
    return [known[name] for name in dict.fromkeys((chosen, other)) if name in known]


def switch(label: str, options: list[str], says: str | None = None) -> str:
    """A choice between a few, kept in the address."""
    return st.segmented_control(
        label,
        options,
        default=options[0],
        required=True,
        key=f"map_{label.lower()}",
        bind="query-params",
        width="content",
        help=says,
    )


@st.fragment(run_every=1.0)
def wait_for(views: list[maps.View], settings: "Settings") -> None:
    """Watch the processes that make maps; the page goes on meanwhile."""
    from core.dsae import projection

    told = [projection.progress(maps.folder(view), view.space, settings) for view in views]
    for view, progress in zip(views, told, strict=True):
        if progress.state == "failed":
            st.error(
                f"UMAP of {view.checkpoint.name} failed: {progress.says}.", icon=":material/error:"
            )
            st.button(
                "Try again",
                key=f"again_{view.checkpoint.name}",
                on_click=projection.start,
                args=(maps.folder(view), view.space, settings),
            )
        elif progress.state == "running":
            says = f"UMAP of {view.checkpoint.name}: {progress.says[:1].lower()}{progress.says[1:]}"
            st.progress(progress.part, f"{says}. Meanwhile this is PCA.")
    if all(progress.state == "done" for progress in told):
        st.rerun()


@st.fragment(run_every=1.0)
def wait_for_latents(views: list[maps.View]) -> None:
    """Watch the processes that encode many clips."""
    told = [maps.encoded(view) for view in views]
    for view, progress in zip(views, told, strict=True):
        name = view.checkpoint.name
        if progress.state == "failed":
            st.error(
                f"The clips could not be encoded by {name}: {progress.says}",
                icon=":material/error:",
            )
            st.button(
                "Try again",
                key=f"encode_{name}",
                on_click=maps.start_encoding,
                args=(view,),
            )
        elif progress.state == "running":
            st.progress(progress.part, f"{name}: {progress.says}. This page may be closed.")
    if all(progress.state == "done" for progress in told):
        st.rerun()


def lay_out(views: list[maps.View], settings: "Settings") -> list["Projection"]:
    """A projection of each view: what was asked for, or PCA while UMAP is being made."""
    from core.dsae import projection

    found = [maps.projection(view, settings) for view in views]
    waiting = [view for view, one in zip(views, found, strict=True) if one is None]
    if waiting:
        for view in waiting:
            where = maps.folder(view)
            if projection.progress(where, view.space, settings).state == "missing":
                projection.start(where, view.space, settings)
        wait_for(waiting, settings)
        simple = projection.Settings("PCA", settings.dimensions)
        found = [maps.projection(view, simple) for view in views]
    return found


def say_empty(stores: dict, known: dict) -> None:
    """What is missing, and how to get it."""
    if not known:
        st.info(
            "Train one with `python -m core train`, and put it into the folder checkpoints "
            "with `python -m core export`.",
            title="There is no trained model yet",
            icon=":material/model_training:",
        )
    if not stores:
        st.info(
            "Build one with `python -m core data dmelodies --out data/dmelodies`, or take your own "
            "recordings with `python -m core data folder recordings/ --out data/mine`.",
            title="There is no corpus yet",
            icon=":material/library_music:",
        )
        st.button(
            "Map the bundled examples",
            key="map_examples",
            icon=":material/map:",
            on_click=maps.build_examples,
        )


st.title("Map", anchor=False, width="content", help=ABOUT)
stores, known = maps.stores(), {found.name: found for found in list_checkpoints("dsae")}
if not stores or not known:
    say_empty(stores, known)
    st.stop()

upper, lower = (st.container(horizontal=True) for _ in range(2))
with upper:
    corpus = choose_corpus(stores)
    models = choose_models(corpus, known)
with lower:
    space = SPACES[
        switch(
            "Latents",
            list(SPACES),
            "The global latent of a clip; its local latents averaged over time; or the local "
            "latents of single frames of 16 ms.",
        )
    ]
    method = switch(
        "Projection",
        ["PCA", "UMAP"],
        "PCA turns the space so that the widest directions show, and keeps distances: all its "
        "axes have one scale. The PCA of v is in standard deviations of the prior, so two models "
        "side by side share that scale, and a collapsed v is a dot. z has no such unit, and each "
        "model's map fills its place. UMAP keeps neighbours together and lets distances go; it is "
        "made once, in the background.",
    )
    room = switch("Dimensions", ["2-D", "3-D"])
    metric = switch(
        "Neighbours",
        ["euclidean", "cosine"],
        "How distances in the original space are measured. Neighbours are never taken from "
        "the picture: it bends the space.",
    )
with upper:
    colour = st.selectbox(
        "Colour by",
        points.colours(corpus, space, models[0]),
        key=f"map_colour_{corpus.store.name}_{'frames' if space == 'frames' else 'clips'}",
        bind="query-params",
        width=190,
    )

views = [maps.View(corpus, checkpoint, space) for checkpoint in models]
place = st.container()
try:
    with place.container():
        waiting = [view for view in views if not maps.is_encoded(view)]
        for view in waiting:
            if maps.encoded(view).state == "missing":
                maps.start_encoding(view)
        if waiting:
            wait_for_latents(waiting)
            st.stop()
    with place.container(), st.spinner("Opening the corpus"):
        every = [points.load(view) for view in views]
        from core.dsae import maps as search
        from core.dsae.projection import Settings

        found = lay_out(views, Settings(method, int(room[0])))
except RavelError as error:
    place.error(str(error), icon=":material/error:")
    st.stop()

shown = every[0]
picked.keep_marks(shown)
near, distances = np.array([], int), np.array([])
if state.map_focus is not None:
    st.query_params["clip"] = str(shown.labels["name"][shown.clips[state.map_focus]])
    near, distances = search.neighbours(
        shown.of.points(space), state.map_focus, count=NEAR, metric=metric, clips=shown.clips
    )

panels, reach = [], points.reach(space, every, found)
for one, view, made in zip(every, views, found, strict=True):
    settings = made.about["settings"]
    key = (str(maps.folder(view)), space, repr(settings))
    figure = points.drawn(key, colour, settings["method"], reach, one, made.points)
    panels.append(Panel(view.checkpoint.name if len(views) > 1 else "", figure))

wide = len(views) > 1
left, right = (place.container(), st.container()) if wide else st.columns([3, 2], gap="medium")
with left:
    marks = Marks(state.map_focus, near, state.map_chosen)
    latent_map.show(panels, marks, key="map", height=HEIGHT, on_event=picked.hear_event)
    for view, made, one in zip(views, found, every, strict=True):
        st.caption((f"**{view.checkpoint.name}** " if wide else "") + points.told_of(made, one))
with right:
    if state.map_focus is None:
        st.info("Click a point to hear it and to see its neighbours.", icon=":material/touch_app:")
    else:
        first, second = st.columns(2, gap="medium") if wide else (st.container(), st.container())
        with first:
            picked.inspect(shown)
        with second:
            size = shown.of.points(space).shape[1]
            st.markdown(f"**Nearest neighbours** :gray[{metric} distance in all {size} dimensions]")
            picked.list_near(shown, near, distances)

picked.list_chosen(shown, found[0].points)
st.html(picked.THROUGH, unsafe_allow_javascript=True)
player.one_at_a_time()
