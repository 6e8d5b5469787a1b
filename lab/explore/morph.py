"""Morph: on the way from one clip to another, in steps and continuously."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from core.audio.clip import Clip
from core.checkpoints.checkpoint import Checkpoint
from lab.explore import data as live
from lab.explore.pictures import fill, in_words, listen, offer_latents, scale, thumbnail
from lab.widgets.cell import Cell
from lab.widgets.page import plain

if TYPE_CHECKING:
    from core.dsae.latents import Latents

WHAT = {"Both": "both", "Global v": "global", "Local z": "local"}
WAYS = {"Straight": "straight", "Arc": "arc"}
STEPS = [5, 7, 9]
IN_A_ROW = 5
ABOUT = (
    "Global v alone changes the instrument, local z alone the melody. Melodies of different "
    "length are stretched to a length in between, so that they start and end together."
)
state = st.session_state


class Pair(NamedTuple):
    """Two clips in a model, and how to go from one to the other."""

    checkpoint: Checkpoint
    clips: tuple[Clip, Clip]
    what: str
    way: str

    def at(self, position: float) -> Latents:
        """The latents at a position between 0 and 1. Raises RavelError."""
        from core.dsae import edits

        ends = (live.latents(self.checkpoint, clip) for clip in self.clips)
        return edits.morph(*ends, position, self.what, self.way)

    def sound(self, position: float) -> live.Sound:
        """How it sounds there. Raises RavelError."""
        return live.render(self.checkpoint, self.at(position))

    def name(self, position: float) -> str:
        """What a file of it is called, without its ending."""
        first, last = (clip.name for clip in self.clips)
        return f"{first}-to-{last}-{self.what}-{position:.2f}-{self.checkpoint.name}"


def show(checkpoint: Checkpoint, clip: Clip, other: Clip) -> None:
    """The section. Raises RavelError."""
    with st.container(horizontal=True, gap="medium"):
        what = _switch("What moves", WHAT, "morph", "The other part stays as it is in the clip.")
        way = _switch(
            "Path of v",
            WAYS,
            "path",
            "Straight mixes the two in proportion. An **arc** keeps the length of v: draws from a "
            "prior of many dimensions all lie about as far from its mean, and a straight line "
            "between two of them cuts through where none lies.",
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
    pair = Pair(checkpoint, (clip, other), WHAT[what], WAYS[way])
    with st.spinner("Loading the model"):
        pair.at(0)
    anywhere(pair)
    _strip(pair, [round(i / (steps - 1), 2) for i in range(steps)])


def _switch(
    label: str, options: dict[str, str], key: str, says: str, *, disabled: bool = False
) -> str:
    return st.segmented_control(
        label,
        list(options),
        default=next(iter(options)),
        required=True,
        key=key,
        bind="query-params",
        width="content",
        help=says,
        disabled=disabled,
    )


@st.fragment
def anywhere(pair: Pair) -> None:
    """Any position between the two; moving it runs this alone."""
    first, last = (plain(clip.name) for clip in pair.clips)
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
    cell = Cell("morph", f"At {position:.2f}", f"{first} → {last}")
    with in_words():
        mels = [live.log_mel(pair.checkpoint, pair.at(at)) for at in (position, 0, 1)]
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
    """The steps as small multiples, each filled as it is made."""
    st.markdown("**Step by step**")
    places = []
    for first in range(0, len(positions), IN_A_ROW):
        row = positions[first : first + IN_A_ROW]
        places += st.columns(IN_A_ROW)[: len(row)]
    shared = scale([live.log_mel(pair.checkpoint, pair.at(end)) for end in (0, 1)])
    for number, (place, at) in enumerate(zip(places, positions, strict=True)):
        with place.container(gap="xsmall"):
            st.button(
                f"{at:.2f}",
                key=f"step_{number}",
                type="tertiary",
                on_click=_go_to,
                args=(at,),
                help="Bring the position there.",
            )
            sound = pair.sound(at)
            thumbnail(sound, shared, key=f"step_{number}_picture", name=f"At {at:.2f}")
            listen(
                sound, pair.at(at), key=f"step_{number}", name=f"At {at:.2f}", stem=pair.name(at)
            )
