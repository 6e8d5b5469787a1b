"""Morph: interpolation between two clips, in steps and at any position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import streamlit as st

from core import service
from core.audio.clip import Clip
from core.checkpoints.checkpoint import Checkpoint
from core.service import Rendering
from lab.explore.sounds import fill, offer_latents, scale, thumbnail
from lab.widgets import page, route, sound_view
from lab.widgets.cell import Cell

if TYPE_CHECKING:
    from core.dsae.latents import Latents

What = Literal["both", "global", "local"]
Path = Literal["straight", "arc"]
WHAT: dict[str, What] = {"Both": "both", "Global v": "global", "Local z": "local"}
PATHS: dict[str, Path] = {"Straight": "straight", "Arc": "arc"}
STEPS = [5, 7, 9]
GROUP = "morph"  # its sounds have one transport
IN_A_ROW = 5
ABOUT = (
    "Moving only the global v changes the instrument, moving only the local z the melody. Melodies "
    "of different lengths are stretched to a length in between."
)
state = st.session_state


class Pair(NamedTuple):
    """Two clips, the model, and how to interpolate between them."""

    checkpoint: Checkpoint
    clips: tuple[Clip, Clip]
    what: What
    path: Path

    def at(self, position: float) -> Latents:
        """The latents at a position between 0 and 1. Raises RavelError."""
        from core.dsae import edits

        start, end = (service.latents(self.checkpoint, clip) for clip in self.clips)
        return edits.morph(start, end, position, self.what, self.path)

    def sound(self, position: float) -> Rendering:
        """The sound at a position. Raises RavelError."""
        return service.render(self.checkpoint, self.at(position), route.current())

    def name(self, position: float) -> str:
        """The name of a file of it, without suffix."""
        first, last = (clip.name for clip in self.clips)
        return f"{first}-to-{last}-{self.what}-{position:.2f}-{self.checkpoint.name}"


def show(checkpoint: Checkpoint, clip: Clip, other: Clip) -> None:
    """The section. Raises RavelError."""
    with st.container(horizontal=True, gap="medium"):
        what = _switch("What moves", WHAT, "morph", "The other part stays the clip's.")
        path = _switch(
            "Path of v",
            PATHS,
            "path",
            "**Straight** interpolates linearly. An **arc** keeps the length of v: in many "
            "dimensions, samples of the prior all lie at about the same distance from its mean, "
            "and a straight line between two of them leaves that shell.",
            disabled=what == "Local z",
        )
        steps = st.segmented_control(
            "Steps",
            STEPS,
            default=STEPS[0],
            required=True,
            key="steps",
            bind="query-params",
            width="content",
        )
    pair = Pair(checkpoint, (clip, other), WHAT[what], PATHS[path])
    with st.spinner("Loading the model"):
        pair.at(0)
    anywhere(pair)
    _strip(pair, [round(i / (steps - 1), 2) for i in range(steps)])


def _switch(
    label: str, options: Mapping[str, str], key: str, help: str, *, disabled: bool = False
) -> str:
    return st.segmented_control(
        label,
        list(options),
        default=next(iter(options)),
        required=True,
        key=key,
        bind="query-params",
        width="content",
        help=help,
        disabled=disabled,
    )


@st.fragment
def anywhere(pair: Pair) -> None:
    """Any position between the two; moving it reruns only this part of the page."""
    first, last = (page.plain(clip.name) for clip in pair.clips)
    position = st.slider(
        f"Position from {first} (0) to {last} (1)",
        0.0,
        1.0,
        0.5,
        0.01,
        key="position",
        bind="query-params",
        on_change=_moved,
    )
    sound_view.bar(GROUP, difference=("morph", "morph_0"))
    cell = Cell("morph", f"At {position:.2f}", f"{first} → {last}", group=GROUP, short="Position")
    with page.show_errors():
        mels = [service.decode(pair.checkpoint, pair.at(at)) for at in (position, 0, 1)]
        sound, shared, name = pair.sound(position), scale(mels), pair.name(position)
        play = bool(state.pop("morph_play", False))
        fill(cell, sound, shared, f"{name}.wav", autoplay=play)
        with st.container(horizontal=True, vertical_alignment="center"):
            offer_latents(pair.at(position).to_npz, f"{name}.npz", key="morph_latents")
            st.toggle(
                "Play when it moves", key="autoplay", persist_state="session", width="content"
            )


def _moved() -> None:
    state.morph_play = state.get("autoplay", False)


def _go_to(position: float) -> None:
    state.position = position
    _moved()


def _strip(pair: Pair, positions: list[float]) -> None:
    """The steps as thumbnails, each filled as soon as it is made."""
    st.markdown("**Step by step**")
    places = []
    for first in range(0, len(positions), IN_A_ROW):
        row = positions[first : first + IN_A_ROW]
        places += st.columns(IN_A_ROW)[: len(row)]
    shared = scale([service.decode(pair.checkpoint, pair.at(end)) for end in (0, 1)])
    for number, (place, at) in enumerate(zip(places, positions, strict=True)):
        with place.container(gap="xsmall"):
            st.button(
                f"{at:.2f}",
                key=f"step_{number}",
                type="tertiary",
                on_click=_go_to,
                args=(at,),
                help="Move the position here.",
            )
            sound = pair.sound(at)
            thumbnail(
                sound,
                pair.at(at),
                shared,
                key=f"morph_{number}",
                name=f"At {at:.2f}",
                stem=pair.name(at),
                group=GROUP,
            )
