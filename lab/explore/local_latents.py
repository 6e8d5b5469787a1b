"""Melody: the local latents of a clip, changed by a list of edits with undo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from core import service
from core.audio.clip import HOP_SECONDS, Clip
from core.checkpoints.checkpoint import Checkpoint
from lab.explore.sounds import fill, offer_latents, scale, tracks
from lab.widgets import page, route, sound_view
from lab.widgets.cell import Cell

if TYPE_CHECKING:
    from core.dsae.latents import Latents

MOST = 20  # edits in the list
ABOUT = (
    "Edits are applied in the order of the list; the global latent stays the clip's. Choose an "
    "edit, move its sliders, keep or discard it."
)
NUDGED = (
    "This is not a transposition: pitches do not lie on a straight line in z, so a pitch may stay "
    "unchanged for a while, then jump."
)
state = st.session_state


class Tool(NamedTuple):
    """A kind of edit: its help, its line in the list, and how many numbers it has."""

    description: str
    line: str
    numbers: int
    needs_other: bool = False


TOOLS = {
    "hold": Tool(
        "Freeze a time span at one moment, so that a note is held.",
        "Hold {0:.2f} to {1:.2f} s as it is at {2:.2f} s",
        3,
    ),
    "nudge": Tool(
        f"Move each frame towards the other clip's melody. {NUDGED}",
        "Nudge {0:.0%} of the way to the other clip",
        1,
        True,
    ),
    "shift": Tool(
        f"Shift the whole melody from its own mean towards the other clip's mean. {NUDGED}",
        "Shift by {0:.0%} of the way to the other clip's mean",
        1,
        True,
    ),
    "stretch": Tool(
        "Slow down or speed up at the same pitch, by interpolation between frames.",
        "Stretch to {0:.0%} of the time",
        1,
    ),
    "splice": Tool(
        "This clip up to a moment, then the other clip from a moment of its own, with a crossfade "
        "of five frames (80 ms).",
        "Up to {0:.2f} s, then the other clip from {1:.2f} s",
        2,
        True,
    ),
}


def show(checkpoint: Checkpoint, clip: Clip, other: Clip | None) -> None:
    """The section. Raises RavelError."""
    with st.spinner("Loading the model"):
        service.latents(checkpoint, clip)
    editor(checkpoint, clip, other)


@st.fragment
def editor(checkpoint: Checkpoint, clip: Clip, other: Clip | None) -> None:
    """The tools, the list of edits and the result; a moved slider reruns only this part."""
    kept = read(st.query_params.get("edits", ""))
    own = service.latents(checkpoint, clip)
    second = service.latents(checkpoint, other) if other else None
    left, right = st.columns(2)
    with right:
        with page.row():
            st.markdown("**Edits, in order**")
            _undo(kept)
        listed = st.container(gap="xsmall")
    with left:
        before = _edited(own, kept, second)
        in_hand = _tool(before or own, second, full=len(kept) >= MOST)
        made = before
        if in_hand:
            made = _edited(own, [*kept, in_hand], second) or before
    with listed:
        _list(kept, in_hand)
    if made is not None:
        tracks(own, made)
        with page.show_errors():
            _sounds(checkpoint, clip, own, made)


def read(text: str) -> list[tuple[str, tuple[float, ...]]]:
    """The edits in an address, such as hold:0.5,1,0.7;stretch:2; invalid ones are left out."""
    found = []
    for part in text.split(";"):
        kind, _, numbers = part.partition(":")
        try:
            values = tuple(float(number) for number in numbers.split(","))
        except ValueError:
            continue
        sensible = all(0 <= value <= 100 for value in values)
        if kind in TOOLS and len(values) == TOOLS[kind].numbers and sensible:
            found.append((kind, values))
    return found[:MOST]


def _write(edits: Sequence[tuple[str, tuple[float, ...]]]) -> None:
    if edits:
        parts = (f"{kind}:{','.join(f'{n:g}' for n in numbers)}" for kind, numbers in edits)
        st.query_params["edits"] = ";".join(parts)
    else:
        st.query_params.pop("edits", None)


def _edited(own: Latents, done: list, second: Latents | None) -> Latents | None:
    """The clip after these edits; None, with an error shown, if one of them is not possible."""
    from core.dsae import edits

    if not done:
        return own
    with page.show_errors():
        steps = [edits.Edit(*step) for step in done]
        return edits.point(own.v, edits.apply(own.z, steps, None if second is None else second.z))
    return None


def _tool(track: Latents, second: Latents | None, full: bool) -> tuple | None:
    """The current edit: chosen and set by its sliders, but not kept yet."""
    kind = st.segmented_control(
        "Edit",
        list(TOOLS),
        format_func=str.title,
        key="tool",
        width="content",
        disabled=full,
        help="Click again to deselect.",
    )
    if full:
        st.caption(f"The list is full with {MOST} edits: undo one first.")
        return None
    if kind is None:
        st.caption("No edit chosen.")
        return None
    st.caption(TOOLS[kind].description)
    if TOOLS[kind].needs_other and second is None:
        st.info(f"To {kind}, fill the slot of the other clip.", icon=":material/music_note:")
        return None
    edit = kind, _numbers(kind, _seconds(track), _seconds(second))
    st.button("Keep this edit", key="keep", icon=":material/add:", on_click=_keep, args=(edit,))
    return edit


def _numbers(kind: str, seconds: float, others: float) -> tuple[float, ...]:
    """The values of an edit's sliders."""
    if kind == "hold":
        third = round(seconds / 3, 2)
        start, end = st.slider(
            "Span", 0.0, seconds, (third, 2 * third), 0.02, format="%.2f s", key="hold_span"
        )
        at = st.slider("Moment held", 0.0, seconds, third, 0.02, format="%.2f s", key="hold_at")
        return start, end, at
    if kind == "splice":
        half = round(seconds / 2, 2)
        until = st.slider("This clip until", 0.0, seconds, half, 0.02, format="%.2f s", key="until")
        since = st.slider(
            "The other clip from",
            0.0,
            others,
            min(half, round(others / 2, 2)),
            0.02,
            format="%.2f s",
            key="since",
        )
        return until, since
    label, low, high, first = {
        "nudge": ("How far", 0.0, 1.0, 0.5),
        "shift": ("How far", 0.0, 2.0, 1.0),
        "stretch": ("Times as long", 0.5, 2.0, 1.5),
    }[kind]
    return (st.slider(label, low, high, first, 0.05, key=f"{kind}_amount"),)


def _seconds(track: Latents | None) -> float:
    return 0.0 if track is None else round((len(track.z) - 1) * HOP_SECONDS, 2)


def _keep(edit: tuple[str, tuple[float, ...]]) -> None:
    _write([*read(st.query_params.get("edits", "")), edit])
    state.tool = None


def _drop(number: int | None) -> None:
    kept = read(st.query_params.get("edits", ""))
    if number is None:
        state.tool, kept = None, []
    else:
        kept.pop(number)
    _write(kept)


def _undo(kept: list) -> None:
    with st.container(horizontal=True, width="content"):
        st.button(
            "Undo",
            key="undo",
            icon=":material/undo:",
            type="tertiary",
            on_click=_drop,
            args=(-1,),
            disabled=not kept,
            help="Undo the last edit.",
        )
        st.button(
            "Reset",
            key="reset",
            icon=":material/restart_alt:",
            type="tertiary",
            on_click=_drop,
            args=(None,),
            disabled=not (kept or state.get("tool")),
            help="Remove all edits.",
        )


def _list(kept: list, in_hand: tuple | None) -> None:
    for number, (kind, numbers) in enumerate(kept):
        with page.row():
            st.markdown(f"{number + 1}. {TOOLS[kind].line.format(*numbers)}", width="content")
            st.button(
                "",
                key=f"drop_{number}",
                icon=":material/close:",
                type="tertiary",
                on_click=_drop,
                args=(number,),
                help="Remove this edit.",
            )
    if in_hand:
        kind, numbers = in_hand
        st.markdown(f":gray[{len(kept) + 1}. {TOOLS[kind].line.format(*numbers)}, not kept yet]")
    elif not kept:
        st.caption("No edits yet.")


def _sounds(checkpoint: Checkpoint, clip: Clip, own: Latents, made: Latents) -> None:
    by = route.current()
    sounds = [service.render(checkpoint, latents, by) for latents in (own, made)]
    sound_view.bar("track", difference=("track_after", "track_before"))
    left, right = st.columns(2)
    with left:
        original = Cell("track_before", "The clip, rebuilt", group="track")
    with right:
        title = "Edited" if made is not own else "Not edited yet"
        edited = Cell("track_after", title, group="track")
    shared = scale([sound.log_mel for sound in sounds])
    names = [f"{clip.name}-{what}-{checkpoint.name}" for what in ("rebuilt", "edited")]
    for cell, sound, name in zip((original, edited), sounds, names, strict=True):
        fill(cell, sound, shared, f"{name}.wav")
    with right:
        offer_latents(made.to_npz, f"{names[1]}.npz", key="track_latents")
