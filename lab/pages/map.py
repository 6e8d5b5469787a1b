"""Map: every clip of a corpus as a point in a model's latent space, to be clicked and played."""

import numpy as np
import streamlit as st

from core.errors import RavelError
from core.maps.points import neighbours
from core.service import corpora, maps
from core.service.maps import MapSpec
from lab.find import query_on_map
from lab.map import inspector, plot, points, view
from lab.map.plot import Marks, Panel
from lab.widgets import corpus, page

NEAR = 6
HEIGHT = 520
ABOUT = (
    "Every point is a clip, or one frame of a clip, placed by a model: by the latents of a "
    "**disentangling model**, or by the embedding of an **encoder** of scenes. **Click** a point "
    "to play it, or a name in the **legend** to play an example; double-click a name to show only "
    "its points. Draw a **lasso** or a **box** around points to list and download them; "
    "double-click the map to clear the selection."
)
state = st.session_state

with page.row("bottom"):
    st.title("Map", anchor=False, width="content", help=ABOUT)
    corpus.add_button("map")
corpus.show_builds()
corpus.choose_new("map_corpus")
stores, models = corpora.stores(), maps.mappable()
if not stores or not models:
    view.show_missing(stores, models)
    st.stop()

upper, lower = (st.container(horizontal=True) for _ in range(2))
with upper:
    subset = view.choose_subset(stores)
    chosen_models = view.choose_models(subset, models)
with lower:
    spaces = view.choose_spaces(chosen_models)
    settings = view.choose_settings()
    metric = view.choose_metric(spaces[0])
pairs = zip(chosen_models, spaces, strict=True)
specs = [MapSpec(subset, model, space) for model, space in pairs]
with upper:
    colour = view.choose_colour(specs[0])
with lower:
    highlighted = view.choose_highlights(subset, colour)

place = st.container()
try:
    with place.container():
        if not view.are_encoded(specs):
            st.stop()
    with place.container(), st.spinner("Opening the corpus"):
        every = [points.load(spec) for spec in specs]
        projections = view.project(specs, settings)
except RavelError as error:
    place.error(str(error), icon=":material/error:")
    st.stop()

first, query = every[0], None
marks: list[list[plot.Query]] = [[] for _ in specs]
inspector.keep_selection(first)
try:
    with place.container(), st.spinner("Placing the query"):
        query = query_on_map.from_address() if any(spec.is_embedding for spec in specs) else None
        if query:
            every_projection = zip(every, projections, strict=True)
            marks = [points.place_query(query, one, made) for one, made in every_projection]
except RavelError as error:
    place.warning(str(error), icon=":material/search_off:")
    query = None

near, distances = np.array([], int), np.array([])
if state.map_focus is not None:
    st.query_params["clip"] = first.clip_name(state.map_focus)
    near, distances = neighbours(
        first.vectors, state.map_focus, count=NEAR, metric=metric, clips=first.clips
    )
else:
    st.query_params.pop("clip", None)
    if query and specs[0].is_embedding:
        near, distances = inspector.nearest_to_query(first, query, NEAR)

compares, reach = len(specs) > 1, points.common_reach(every, projections)
panels, captions = [], []
for spec, one, made, queries in zip(specs, every, projections, marks, strict=True):
    key = (str(maps.folder(spec)), spec.space, repr(made.about["settings"]))
    method = made.about["settings"]["method"]
    figure = points.figure(key, colour, highlighted, method, reach, one, made.points)
    panels.append(Panel(spec.checkpoint.name if compares else "", figure, queries))
    caption = points.quality(made, one) + (f" {points.query_placement(made)}" if queries else "")
    captions.append(f"**{spec.checkpoint.name}** {caption}" if compares else caption)

left, right = (place.container(), st.container()) if compares else st.columns([3, 2], gap="medium")
with left:
    drawn = Marks(state.map_focus, near.tolist(), state.map_chosen)
    plot.show(panels, drawn, key="map", height=HEIGHT, on_event=inspector.on_map_event)
    for caption in captions:
        st.caption(caption)
with right:
    if state.map_focus is None and query is None:
        st.info("Click a point to play it and see its neighbours.", icon=":material/touch_app:")
    else:
        about, nearby = st.columns(2, gap="medium") if compares else [st.container()] * 2
        with about:
            if state.map_focus is not None:
                inspector.show_focus(first)
            elif query:
                inspector.show_query(query)
        with nearby:
            size = first.vectors.shape[1]
            measure = f"{metric.capitalize()} distance in all {size} dimensions"
            st.markdown(f"**Nearest neighbours** :gray[{measure}]")
            inspector.list_neighbours(first, near, distances)

inspector.list_selection(first, projections[0], points.colour(colour, first, highlighted))
st.html(inspector.AUTOPLAY, unsafe_allow_javascript=True)
