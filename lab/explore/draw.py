"""Draw: sounds sampled from the model's prior, whole or in part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import service
from core.audio.clip import Clip
from core.checkpoints.checkpoint import Checkpoint
from lab.explore.sounds import scale, thumbnail
from lab.widgets import route

if TYPE_CHECKING:
    from core.dsae.latents import Latents

EVERYTHING, MELODY, INSTRUMENT = "Everything", "The melody", "The instrument"
DRAWS = 4
LARGEST = 99_999
ABOUT = (
    "The latents are sampled from the model's prior: v from N(0, I), and z frame by frame, each "
    "conditioned on the frames before it."
)
state = st.session_state


def show(checkpoint: Checkpoint, clip: Clip | None, beside: DeltaGenerator) -> None:
    """The section, with its settings `beside` the clip. Raises RavelError."""
    with beside:
        what, seconds, seed = _settings()
    if clip is None and what != EVERYTHING:
        st.info("The other part comes from a clip: fill its slot.", icon=":material/music_note:")
        return
    places = [place.container(gap="xsmall") for place in st.columns(DRAWS)]
    with st.spinner("Drawing"):
        draws = [_draw(checkpoint, clip, what, seconds, seed + i) for i in range(DRAWS)]
        shared = scale([service.decode(checkpoint, made) for made in draws])
    for i, (place, made) in enumerate(zip(places, draws, strict=True)):
        name = f"Draw {seed + i}"
        with place:
            st.markdown(f"**{name}**")
            sound = service.render(checkpoint, made, route.current())
            stem = f"draw-{seed + i}-{checkpoint.name}"
            thumbnail(sound, made, shared, key=f"draw_{i}", name=name, stem=stem, group="draw")


def _settings() -> tuple[str, float, int]:
    with st.container(horizontal=True, gap="medium"):
        what = st.segmented_control(
            "Draw",
            [EVERYTHING, MELODY, INSTRUMENT],
            default=EVERYTHING,
            required=True,
            key="draw",
            bind="query-params",
            width="content",
            help="**The melody**: z is sampled, and v is the clip's. **The instrument**: v is "
            "sampled, and z is the clip's.",
        )
        seconds = st.slider(
            "Seconds",
            1.0,
            8.0,
            4.0,
            0.5,
            format="%.1f s",
            key="seconds",
            bind="query-params",
            width=220,
            disabled=what == INSTRUMENT,
            help="Length of the sampled melodies.",
        )
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        seed = st.number_input(
            "Seed",
            0,
            LARGEST,
            0,
            1,
            key="seed",
            bind="query-params",
            width=150,
            help="Same seed, same result. Side-by-side samples use consecutive seeds.",
        )
        st.button(
            "Draw again", key="draw_again", icon=":material/casino:", type="primary", on_click=_next
        )
    return what, seconds, seed


def _next() -> None:
    state.seed = (state.seed + DRAWS) % LARGEST


def _draw(
    checkpoint: Checkpoint, clip: Clip | None, what: str, seconds: float, seed: int
) -> Latents:
    from core.dsae import edits

    drawn = service.sample(checkpoint, seconds, seed)
    if what == EVERYTHING:
        return drawn
    assert clip is not None  # asked for above
    own = service.latents(checkpoint, clip)
    return edits.point(own.v, drawn.z) if what == MELODY else edits.point(drawn.v, own.z)
