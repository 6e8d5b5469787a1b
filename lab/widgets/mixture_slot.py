"""A slot for a mixture: an example, clips mixed on the page, or the visitor's own recording."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.audio.clip import Clip, read
from core.errors import RavelError
from core.service.mixtures import MixtureSource
from lab.bundled import READY, is_scene, sources
from lab.widgets import kept, page
from lab.widgets import slot as recording

FROM = ["Example", "Mix", "Upload", "Microphone"]
MAX_SECONDS = 60.0
NONE = "None"
LEVELS = (-15.0, 15.0)  # dB
TAKING = recording.Taking(
    MAX_SECONDS,
    normalise=False,
    hint="Any recording of several sounds at once, up to a minute.",
    why="The page uses up to 60 s at a time: choose where they start. To separate a longer "
    "recording as a whole, run `python -m core separate FILE --checkpoint NAME --out FOLDER`.",
)
DEFAULTS = ("dog", "rain", None)
DUET = ("violin-2", "trumpet-1", None)


def first(*, scenes: bool) -> str:
    """The first example mixture of everyday sounds, or of instruments."""
    return next(title for title, names in READY.items() if is_scene(names[0]) == scenes)


def slot(
    key: str,
    title: str = "Mixture",
    ready: Mapping[str, tuple[str, ...]] = READY,
    taking: recording.Taking = TAKING,
    *,
    instruments: bool = False,
) -> MixtureSource | None:
    """Draw the slot and return its mixture: None while it is empty or holds no sound.

    `key` is its name in the URL and `ready` are its examples, the clips in each by title. With
    `instruments`, only they can be mixed. Errors are shown in the slot.
    """
    with st.container(border=True, key=f"{key}_slot"), page.show_errors():
        origin = _origin(key, title)
        kept.show(key, origin in recording.OWN)
        if origin == "Example":
            return _ready(key, title, ready)
        if origin == "Mix":
            return _mixed(key, instruments)
        clip = recording.own(key, title, origin, taking)
        return MixtureSource(clip.name, (clip,)) if clip else None
    return None  # after an error


def _origin(key: str, title: str) -> str:
    with page.row():
        st.header(title, anchor=False, width="content")
        return st.segmented_control(
            f"{title} from",
            FROM,
            default="Upload" if kept.is_held(key) else FROM[0],
            required=True,
            key=f"{key}_from",
            bind="query-params",
            label_visibility="collapsed",
            width="content",
        )


def bundled(names: tuple[str, ...]) -> MixtureSource:
    """A bundled clip, or several of them mixed at equal levels."""
    if len(names) == 1:
        return MixtureSource(names[0], (_clip(names[0]),))
    return _mix(names, [0.0] * len(names))


def _ready(key: str, title: str, ready: Mapping[str, tuple[str, ...]]) -> MixtureSource:
    chosen = st.selectbox(
        f"{title} example", list(ready), key=key, bind="query-params", label_visibility="collapsed"
    )
    names = ready[chosen]
    if len(names) > 1:
        titles = " · ".join(str(sources()[name]["title"]) for name in names)
        st.caption(f"{titles}. Mixed here at equal levels, so its contents are known.")
    return bundled(names)


def _mixed(key: str, instruments: bool) -> MixtureSource | None:
    """Two or three of the bundled clips, each with its level."""
    names_offered = [name for name in sources() if not (instruments and is_scene(name))]
    titles = {str(sources()[name]["title"]): name for name in names_offered}
    names, levels = [], []
    for number, default in enumerate(DUET if instruments else DEFAULTS, 1):
        clip, level = st.columns([3, 2], vertical_alignment="center")
        options = list(titles) if default else [NONE, *titles]
        title = clip.selectbox(
            f"Clip {number}",
            options,
            options.index(str(sources()[default]["title"])) if default else 0,
            key=f"{key}_clip_{number}",
            bind="query-params",
            label_visibility="collapsed",
        )
        decibels = level.slider(
            f"Level of clip {number}",
            *LEVELS,
            0.0,
            0.5,
            format="%+.1f dB",
            key=f"{key}_level_{number}",
            bind="query-params",
            disabled=title == NONE,
            label_visibility="collapsed",
        )
        if title != NONE:
            names.append(titles[title])
            levels.append(decibels)
    if len(set(names)) < len(names):
        raise RavelError("The same clip was chosen twice: choose two different ones.")
    st.caption("Clips start together at equal loudness, plus these levels." + _trained_on(names))
    return _mix(names, levels)


def _trained_on(names: list[str]) -> str:
    titles = [sources()[name]["title"] for name in names if sources()[name]["fold"] == "training"]
    listed = "; ".join(map(str, titles))
    return f" In the training data of the instrument models: {listed}." if titles else ""


def _mix(names: list[str] | tuple[str, ...], levels: list[float]) -> MixtureSource:
    return MixtureSource("-and-".join(names), tuple(_clip(name) for name in names), tuple(levels))


@st.cache_data(max_entries=32, show_spinner=False)
def _clip(name: str) -> Clip:
    row: Mapping[str, str] = sources()[name]
    return read(row["path"], name=name, labels={"source": row["what"]})
