"""The choice of a separator: by the mixture, unless the visitor names one."""

from __future__ import annotations

import streamlit as st

from core.checkpoints.checkpoint import Checkpoint, list_checkpoints
from core.errors import RavelError
from core.service import kinds
from core.service.mixtures import MixtureSource, mixture
from lab.bundled import INCLUDED, is_scene
from lab.widgets import page

BY_MIXTURE = "By the mixture"
SEPARATORS = {kinds.INSTRUMENT: "separator-duets", kinds.SCENE: "separator-scenes"}
WORDS = {kinds.INSTRUMENT: "instruments", kinds.SCENE: "everyday sounds"}


def choose(source: MixtureSource | None) -> Checkpoint | None:
    """The chosen separator, or the one for mixtures of this kind; None where there is none."""
    found = {checkpoint.name: checkpoint for checkpoint in list_checkpoints("separation")}
    automatic = [BY_MIXTURE] if set(SEPARATORS.values()) <= set(found) else []
    name = st.selectbox(
        "Separator",
        [*automatic, *found],
        key="separator",
        bind="query-params",
        width=220,
        disabled=not found,
        help="A checkpoint: a trained model in the folder checkpoints. By the mixture: "
        "separator-duets for instruments, separator-scenes for everyday sounds.",
    )
    return found.get(SEPARATORS[kind_of(source)] if name == BY_MIXTURE else name)


def is_automatic() -> bool:
    """Whether the separator is chosen by the mixture."""
    return st.session_state.get("separator") == BY_MIXTURE


def kind_of(source: MixtureSource | None) -> str:
    """What a mixture is of: by its clips if they are known, else by what it sounds like."""
    if source is None:
        return kinds.SCENE
    if source.levels:
        scenes = any(is_scene(clip.name) for clip in source.clips)
        return kinds.SCENE if scenes else kinds.INSTRUMENT
    try:
        with st.spinner("Choosing the separator"):
            return kinds.kind_of(INCLUDED, mixture(source).clip) or kinds.SCENE
    except RavelError:  # too short for the encoder, say: separating shows what is wrong
        return kinds.SCENE


def explain(checkpoint: Checkpoint, source: MixtureSource) -> None:
    """Say which separator was chosen, and why."""
    if is_automatic():
        seems = "is of" if source.levels else "sounds like"
        name = page.plain(checkpoint.path.name)
        text = f"Separated by **{name}**: the mixture {seems} {WORDS[kind_of(source)]}."
        st.caption(text, width="content")
