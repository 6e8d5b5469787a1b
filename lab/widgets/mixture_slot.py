"""A slot that holds a mixture: ready or mixed here, of known clips, or a recording of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import streamlit as st

from core.audio.clip import Clip, read
from core.errors import RavelError
from lab.bundled import READY, is_scene, sources
from lab.bundled import credit as credit
from lab.widgets import slot as recording

FROM = ["Example", "Mix", "Upload", "Microphone"]
LIVE_SECONDS = 60.0
NOTHING = "None"
LEVELS = (-15.0, 15.0)  # dB
TAKING = recording.Taking(
    LIVE_SECONDS,
    normalise=False,
    hint="Anything in which several things sound at once, up to a minute of it.",
    why="The page takes up to 60 s at a time: choose where they start. A longer recording is "
    "separated whole by `python -m core separate FILE --checkpoint NAME --out FOLDER`.",
)
DEFAULTS = ("dog", "rain", None)
DUET = ("violin-2", "trumpet-1", None)


class Taken(NamedTuple):
    """What a slot holds: clips to be mixed at `levels` (dB), or one that is a mixture already."""

    name: str
    clips: tuple[Clip, ...]
    levels: tuple[float, ...] = ()

    @property
    def key(self) -> tuple[str | float, ...]:
        """Digests of the clips, and the levels: for caches."""
        return (*(clip.digest for clip in self.clips), *self.levels)

    @property
    def sources(self) -> list[str]:
        """What the clips are, if they are known."""
        return [clip.labels["source"] for clip in self.clips] if self.levels else []


def first(*, scenes: bool) -> str:
    """The first of the ready mixtures that is made of everyday sounds, or of instruments."""
    return next(title for title, names in READY.items() if is_scene(names[0]) == scenes)


def slot(
    key: str,
    title: str = "Mixture",
    ready: Mapping[str, tuple[str, ...]] = READY,
    taking: recording.Taking = TAKING,
    *,
    instruments: bool = False,
) -> Taken | None:
    """Draw the slot and return what it holds: None while empty or when that is no sound.

    `key` names its place in the URL, `ready` are its examples: the clips in each by its title; with
    `instruments`, of them alone is mixed. What is wrong is said in the slot.
    """
    with st.container(border=True, key=f"{key}_slot"):
        origin = _origin(key, title)
        try:
            if origin == "Example":
                return _ready(key, title, ready)
            if origin == "Mix":
                return _mixed(key, instruments)
            clip = recording.own(key, title, origin, taking)
            return Taken(clip.name, (clip,)) if clip else None
        except RavelError as error:
            st.error(str(error), icon=":material/error:")
            return None


def _origin(key: str, title: str) -> str:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.subheader(title, anchor=False, width="content")
        return st.segmented_control(
            f"{title} from",
            FROM,
            default=FROM[0],
            required=True,
            key=f"{key}_from",
            bind="query-params",
            label_visibility="collapsed",
            width="content",
        )


def bundled(names: tuple[str, ...]) -> Taken:
    """A bundled clip, or several of them mixed at equal levels."""
    if len(names) == 1:
        return Taken(names[0], (_clip(names[0]),))
    return _of(names, [0.0] * len(names))


def _ready(key: str, title: str, ready: Mapping[str, tuple[str, ...]]) -> Taken:
    chosen = st.selectbox(
        f"{title} example", list(ready), key=key, bind="query-params", label_visibility="collapsed"
    )
    names = ready[chosen]
    if len(names) > 1:
        titles = " · ".join(str(sources()[name]["title"]) for name in names)
        st.caption(f"{titles}. Mixed here at equal levels, so that what is in it is known.")
    return bundled(names)


def _mixed(key: str, instruments: bool) -> Taken | None:
    """Two or three of the bundled clips, each with its level."""
    known = [name for name in sources() if not (instruments and is_scene(name))]
    titles = {str(sources()[name]["title"]): name for name in known}
    names, levels = [], []
    for number, default in enumerate(DUET if instruments else DEFAULTS, 1):
        clip, level = st.columns([3, 2], vertical_alignment="center")
        options = list(titles) if default else [NOTHING, *titles]
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
            disabled=title == NOTHING,
            label_visibility="collapsed",
        )
        if title != NOTHING:
            names.append(titles[title])
            levels.append(decibels)
    if len(set(names)) < len(names):
        raise RavelError("The same clip was picked twice: pick another, so that two things sound.")
    st.caption("Clips start together, equally loud but for these levels." + _known(names))
    return _of(names, levels)


def _known(names: list[str]) -> str:
    titles = [sources()[name]["title"] for name in names if sources()[name]["fold"] == "training"]
    heard = "; ".join(map(str, titles))
    return f" Heard in training by the models of instruments: {heard}." if titles else ""


def _of(names: list[str] | tuple[str, ...], levels: list[float]) -> Taken:
    return Taken("-and-".join(names), tuple(_clip(name) for name in names), tuple(levels))


@st.cache_data(max_entries=32, show_spinner=False)
def _clip(name: str) -> Clip:
    row: Mapping[str, str] = sources()[name]
    return read(row["path"], name=name, labels={"source": row["what"]})
