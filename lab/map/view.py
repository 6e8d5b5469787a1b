"""The controls of the Map page, and how it waits for latents and projections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT, Checkpoint
from core.maps.projection import Settings
from core.service import corpora, included, maps
from core.service.corpora import EVERYTHING
from core.service.maps import MapSpec, Subset
from lab.bundled import INCLUDED, build_stores
from lab.map import points
from lab.map.plot import CATEGORIES
from lab.widgets.corpus import has_files
from lab.widgets.page import choice, no_model, show_errors

if TYPE_CHECKING:
    from core.jobs import Progress
    from core.maps.projection import Metric, Projection

NONE = "None"
STORES, MODELS = (included.NAME, "dmelodies"), (DEFAULT_CHECKPOINT,)  # shown first
ENCODER = "scenes-encoder"  # shown first of a corpus without instruments
SMALL = 40  # a corpus with a smaller validation split is shown whole
LATENTS = (
    "The global latent of a clip, its local latents averaged over time, or the local latents of "
    "single 16 ms frames. An encoder embeds whole clips, so frames are not offered beside one."
)
PROJECTION = (
    "**UMAP** keeps neighbours together but not distances; it is computed once, in the background. "
    "**PCA** rotates the latent space so that the directions of largest variance are visible, and "
    "keeps distances: all axes have one scale. PCA of v is in standard deviations of the prior, so "
    "two models side by side share a scale and a collapsed v is a dot. z and h have no such unit; "
    "each of their maps fills its frame."
)
METRIC = (
    "How distances are measured in the original space. Neighbours are never read off the map, "
    "which distorts distances."
)


def choose_subset(stores: Mapping[str, Path]) -> Subset:
    """The clips to map."""
    names = list(stores)
    first = next((names.index(name) for name in STORES if name in names), 0)
    store = stores[
        st.selectbox("Corpus", names, first, key="map_corpus", bind="query-params", width=170)
    ]
    counts = corpora.splits(store)
    options = [*counts, EVERYTHING]
    small = counts.get("validation", 0) < SMALL
    split = st.selectbox(
        "Clips",
        options,
        len(options) - 1 if small else options.index("validation"),
        format_func=lambda name: corpora.split_label(store, name),
        key=f"map_clips_{store.name}",
        bind="query-params",
        width=190,
    )
    return Subset(store, None if split == EVERYTHING else split)


def choose_models(subset: Subset, models: Mapping[str, Checkpoint]) -> list[Checkpoint]:
    """One model, or two to compare."""
    names = list(models)
    music = "instrument" in corpora.columns(subset.store)
    preferred = [f"ts-dsae-{subset.store.name}", *(MODELS if music else (ENCODER, *MODELS))]
    first = next((names.index(name) for name in preferred if name in names), 0)
    chosen = st.selectbox("Model", names, first, key="map_model", bind="query-params", width=190)
    other = st.selectbox(
        "Compare with",
        [NONE, *names],
        key="map_compare",
        bind="query-params",
        width=190,
        help="A second model's map of the same clips. A selection on one map shows on the other.",
    )
    return [models[name] for name in dict.fromkeys((chosen, other)) if name in models]


def choose_spaces(models: list[Checkpoint]) -> list[str]:
    """The space that each model's map shows; single frames only if every model has them."""
    every = [maps.spaces(model) for model in models]
    several = next((spaces for spaces in every if len(spaces) > 1), None)
    if several is None:
        return [next(iter(spaces.values())) for spaces in every]
    alone = all(len(spaces) > 1 for spaces in every)
    options = [name for name, space in several.items() if alone or space != "frames"]
    chosen = choice("map", "Latents", options, LATENTS)
    return [spaces.get(chosen, next(iter(spaces.values()))) for spaces in every]


def choose_settings() -> Settings:
    """The method of projection and its dimensions."""
    method = choice("map", "Projection", ["UMAP", "PCA"], PROJECTION)
    dimensions = choice("map", "Dimensions", ["2-D", "3-D"])
    return Settings("UMAP" if method == "UMAP" else "PCA", int(dimensions[0]))


def choose_metric(space: str) -> Metric:
    """The distance between neighbours."""
    if space == "h":  # of an embedding only the direction has a meaning
        return "cosine"
    metric = choice("map", "Neighbours", ["euclidean", "cosine"], METRIC)
    return "cosine" if metric == "cosine" else "euclidean"


def choose_colour(spec: MapSpec) -> str:
    """The label or figure that colours the points."""
    kind = {"frames": "frames", "h": "embeddings"}.get(spec.space, "clips")
    return st.selectbox(
        "Colour by",
        points.colour_names(spec),
        key=f"map_colour_{spec.subset.store.name}_{kind}",
        bind="query-params",
        width=190,
    )


def choose_highlights(subset: Subset, colour: str) -> list[str]:
    """The labels that have a colour of their own, in a column of too many for one each."""
    options = points.classes(subset, colour)
    if not options:
        return []
    return st.multiselect(
        "Highlight",
        options,
        key=f"map_highlight_{subset.store.name}_{colour}",
        bind="query-params",
        max_selections=CATEGORIES - 1,
        placeholder="The most frequent",
        width=300,
        help=f"{len(options)} labels are too many for a colour each. Choose up to "
        f"{CATEGORIES - 1}; the others are grey and show their label under the pointer.",
    )


def are_encoded(specs: list[MapSpec]) -> bool:
    """Whether all clips are encoded or soon will be; if not, starts it and shows how far it is."""
    waiting = [spec for spec in specs if not maps.is_encoded(spec)]
    for spec in waiting:
        if maps.encoding_progress(spec).state == "missing":
            maps.start_encoding(spec)
    if waiting:
        wait_for_latents(waiting)
    return not waiting


@st.fragment(run_every=1.0)
def wait_for_latents(specs: list[MapSpec]) -> None:
    """Watch the processes that encode many clips."""
    progress = [maps.encoding_progress(spec) for spec in specs]
    for spec, one in zip(specs, progress, strict=True):
        name = spec.checkpoint.name
        if one.state == "failed":
            st.error(f"{name} could not encode the clips: {one.text}", icon=":material/error:")
            st.button("Try again", key=f"encode_{name}", on_click=maps.start_encoding, args=(spec,))
        elif one.state == "running":
            st.progress(one.part, f"{name}: {one.text}. You can close this page meanwhile.")
    _rerun_when_done(progress)


def project(specs: list[MapSpec], settings: Settings) -> list[Projection]:
    """The projection of each map: the one chosen, or PCA while UMAP is being computed."""
    projections = [maps.projection(spec, settings) for spec in specs]
    waiting = [spec for spec, one in zip(specs, projections, strict=True) if one is None]
    if waiting:
        for spec in waiting:
            if maps.projection_progress(spec, settings).state == "missing":
                maps.start_projection(spec, settings)
        wait_for_projections(waiting, settings)
        simple = Settings("PCA", settings.dimensions)
        projections = [maps.projection(spec, simple) for spec in specs]
    return [one for one in projections if one is not None]


@st.fragment(run_every=0.5)
def wait_for_projections(specs: list[MapSpec], settings: Settings) -> None:
    """Watch the processes that compute projections; the page stays usable."""
    progress = [maps.projection_progress(spec, settings) for spec in specs]
    for spec, one in zip(specs, progress, strict=True):
        name = spec.checkpoint.name
        if one.state == "failed":
            st.error(f"UMAP of {name} failed: {one.text}.", icon=":material/error:")
            st.button(
                "Try again",
                key=f"again_{name}",
                on_click=maps.start_projection,
                args=(spec, settings),
            )
        elif one.state == "running":
            says = f"UMAP of {name}: {one.text[:1].lower()}{one.text[1:]}"
            st.progress(one.part, f"{says}. PCA is shown meanwhile.")
    _rerun_when_done(progress)


def _rerun_when_done(progress: list[Progress]) -> None:
    if all(one.state == "done" for one in progress):
        st.rerun()


def show_missing(stores: Mapping[str, Path], models: Mapping[str, Checkpoint]) -> None:
    """Explain what is missing for a map; without any corpus, unpack the one that ships."""
    if not models:
        no_model("model")
    elif not stores:
        with show_errors():
            included.start(INCLUDED)
            wait_for_included()


@st.fragment(run_every=0.5)
def wait_for_included() -> None:
    """Watch the process that unpacks the corpus that ships."""
    progress = included.progress(INCLUDED)
    if progress.state == "done":
        if not has_files():  # a rerun would close the dialog over the files
            st.rerun()
        return
    if progress.state == "running":
        st.progress(progress.part, f"{progress.text}. This happens once.")
        return
    st.error(f"The included sounds could not be unpacked: {progress.text}", icon=":material/error:")
    with st.container(horizontal=True):
        st.button("Try again", key="map_unpack", on_click=included.start, args=(INCLUDED,))
        st.button(
            "Map the bundled examples",
            key="map_examples",
            icon=":material/map:",
            on_click=build_stores,
        )
