"""Map: every clip of a corpus as a point in a model's latent space, to be clicked and heard."""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.checkpoints.checkpoint import USUAL, Checkpoint, list_checkpoints
from core.errors import RavelError
from lab.find import query_on_map as asked
from lab.map import data as maps
from lab.map import inspector as picked
from lab.map import plot as latent_map
from lab.map import points
from lab.map.plot import CATEGORIES, Marks, Panel
from lab.widgets import player

if TYPE_CHECKING:
    from core.maps.projection import Projection, Settings

NOBODY = "None"
STORE, MODELS = "dmelodies", ("ts-dsae-dmelodies", USUAL)  # what is shown first
ENCODER = "scenes-encoder"  # and of what is no music
FEW = 40  # a corpus whose validation split is smaller is shown whole
NEAR = 6
HEIGHT = 520
ABOUT = (
    "Every point is a clip, or a moment of one, where the model puts it: by the latents of a "
    "**disentangling model**, or by the embedding of an **encoder** of scenes. **Click** a point "
    "to hear it. Draw a **lasso** or a **box** around points to list and save them; double-click "
    "to let go."
)
LATENTS = (
    "The global latent of a clip; its local latents averaged over time; or the local latents of "
    "single frames of 16 ms. Beside an encoder, which knows whole clips only, there are no frames."
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
    options = [*counts, maps.EVERYTHING]
    few = counts.get("validation", 0) < FEW
    split = st.selectbox(
        "Clips",
        options,
        len(options) - 1 if few else options.index("validation"),
        format_func=lambda name: maps.counted(store, name),
        key=f"map_clips_{store.name}",
        bind="query-params",
        width=190,
    )
    return maps.Corpus(store, None if split == maps.EVERYTHING else split)


def choose_models(corpus: maps.Corpus, known: dict[str, Checkpoint]) -> list[Checkpoint]:
    """Through which models: one, or two to compare."""
    names = list(known)
    music = "instrument" in maps.columns(corpus.store)
    wanted = [f"ts-dsae-{corpus.store.name}", *(MODELS if music else (ENCODER, *MODELS))]
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


def choose_spaces(models: list[Checkpoint]) -> list[str]:
    """Which of its spaces each model shows: beside an encoder, none of single frames."""
    every = [maps.spaces(model) for model in models]
    several = next((some for some in every if len(some) > 1), None)
    if several is None:
        return [next(iter(some.values())) for some in every]
    alone = all(len(some) > 1 for some in every)
    options = [name for name, space in several.items() if alone or space != "frames"]
    chosen = switch("Latents", options, LATENTS)
    return [some.get(chosen, next(iter(some.values()))) for some in every]


def choose_classes(corpus: maps.Corpus, colour: str) -> list[str]:
    """Which labels have a colour of their own, where there are too many for all."""
    options = points.classes(corpus, colour)
    if not options:
        return []
    return st.multiselect(
        "Highlight",
        options,
        key=f"map_highlight_{corpus.store.name}_{colour}",
        bind="query-params",
        max_selections=CATEGORIES - 1,
        placeholder="The most frequent",
        width=300,
        help=f"There are {len(options)} of them, more than colours can tell apart. Choose up to "
        f"{CATEGORIES - 1}; the rest are grey, and say what they are under the pointer.",
    )


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
    from core.maps import projection

    told = [projection.progress(maps.folder(view), view.space, settings) for view in views]
    for view, progress in zip(views, told, strict=True):
        if progress.state == "failed":
            st.error(
                f"UMAP of {view.checkpoint.name} failed: {progress.says}.", icon=":material/error:"
            )
            st.button(
                "Try again",
                key=f"again_{view.checkpoint.name}",
                on_click=maps.start_projection,
                args=(view, settings),
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
    from core.maps import projection

    found = [maps.projection(view, settings) for view in views]
    waiting = [view for view, one in zip(views, found, strict=True) if one is None]
    if waiting:
        for view in waiting:
            where = maps.folder(view)
            if projection.progress(where, view.space, settings).state == "missing":
                maps.start_projection(view, settings)
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
stores = maps.stores()
every_model = [*list_checkpoints("dsae"), *list_checkpoints("contrastive")]
known = {found.name: found for found in every_model}
if not stores or not known:
    say_empty(stores, known)
    st.stop()

upper, lower = (st.container(horizontal=True) for _ in range(2))
with upper:
    corpus = choose_corpus(stores)
    models = choose_models(corpus, known)
with lower:
    chosen_spaces = choose_spaces(models)
    space = chosen_spaces[0]
    method = switch(
        "Projection",
        ["PCA", "UMAP"],
        "PCA turns the space so that the widest directions show, and keeps distances: all its "
        "axes have one scale. The PCA of v is in standard deviations of the prior, so two models "
        "side by side share that scale, and a collapsed v is a dot. z and h have no such unit, "
        "and each model's map fills its place. UMAP keeps neighbours together and lets distances "
        "go; it is made once, in the background.",
    )
    room = switch("Dimensions", ["2-D", "3-D"])
    metric = "cosine"  # of embeddings, of which only the direction says something
    if space != "h":
        metric = switch(
            "Neighbours",
            ["euclidean", "cosine"],
            "How distances in the original space are measured. Neighbours are never taken from "
            "the picture: it bends the space.",
        )
views = [maps.View(corpus, model, own) for model, own in zip(models, chosen_spaces, strict=True)]
with upper:
    kind = {"frames": "frames", "h": "embeddings"}.get(space, "clips")
    colour = st.selectbox(
        "Colour by",
        points.colours(views[0]),
        key=f"map_colour_{corpus.store.name}_{kind}",
        bind="query-params",
        width=190,
    )
with lower:
    wanted = choose_classes(corpus, colour)

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
        from core.maps.points import neighbours
        from core.maps.projection import Settings

        found = lay_out(views, Settings(method, int(room[0])))
except RavelError as error:
    place.error(str(error), icon=":material/error:")
    st.stop()

shown, query, near, distances = every[0], None, np.array([], int), np.array([])
picked.keep_marks(shown)
try:
    with place.container(), st.spinner("Placing the query"):
        query = asked.asked() if any(view.space == "h" for view in views) else None
        marks = [
            query.marks(view, one.vectors, made) if query else []
            for view, one, made in zip(views, every, found, strict=True)
        ]
except RavelError as error:
    place.warning(str(error), icon=":material/search_off:")
    query, marks = None, [[] for _ in views]
if state.map_focus is not None:
    st.query_params["clip"] = str(shown.labels["name"][shown.clips[state.map_focus]])
    near, distances = neighbours(
        shown.vectors, state.map_focus, count=NEAR, metric=metric, clips=shown.clips
    )
else:
    st.query_params.pop("clip", None)
    if query and space == "h":
        near, distances = picked.nearest(shown, query, NEAR)

panels, reach = [], points.reach(every, found)
for one, view, made, some in zip(every, views, found, marks, strict=True):
    settings = made.about["settings"]
    key = (str(maps.folder(view)), view.space, repr(settings))
    figure = points.drawn(key, colour, wanted, settings["method"], reach, one, made.points)
    panels.append(Panel(view.checkpoint.name if len(views) > 1 else "", figure, some))

wide = len(views) > 1
left, right = (place.container(), st.container()) if wide else st.columns([3, 2], gap="medium")
with left:
    drawn = Marks(state.map_focus, near, state.map_chosen)
    latent_map.show(panels, drawn, key="map", height=HEIGHT, on_event=picked.hear_event)
    for view, made, one, some in zip(views, found, every, marks, strict=True):
        told = points.told_of(made, one) + (f" {points.placed(made)}" if some else "")
        st.caption((f"**{view.checkpoint.name}** " if wide else "") + told)
with right:
    if state.map_focus is None and query is None:
        st.info("Click a point to hear it and to see its neighbours.", icon=":material/touch_app:")
    else:
        first, second = st.columns(2, gap="medium") if wide else (st.container(), st.container())
        with first:
            if state.map_focus is None:
                picked.inspect_query(query)
            else:
                picked.inspect(shown)
        with second:
            size = shown.vectors.shape[1]
            st.markdown(f"**Nearest neighbours** :gray[{metric} distance in all {size} dimensions]")
            picked.list_near(shown, near, distances)

picked.list_chosen(shown, found[0].points)
st.html(picked.THROUGH, unsafe_allow_javascript=True)
player.one_at_a_time()
