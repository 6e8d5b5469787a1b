"""Separated mixtures on the pages: the names of channels, their cells, and the mixer's levels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import streamlit as st

from core import service
from core.audio.clip import Clip
from core.checkpoints.checkpoint import Checkpoint
from core.service.mixtures import Channels, Mixture, MixtureSource
from lab.widgets import mixer
from lab.widgets.cell import Cell
from lab.widgets.page import plain
from lab.widgets.sound_view import Scale

IN_A_ROW = 2
GROUP = "mixture"  # the mixture and all that comes of it have one transport
NO_CLIP = "no clip of its own"


class Work(NamedTuple):
    """A mixture, by its source and as sound, the separator, and the scale of all pictures."""

    source: MixtureSource
    mixture: Mixture
    checkpoint: Checkpoint
    scale: Scale

    @property
    def stem(self) -> str:
        """The beginning of file names."""
        return f"{self.source.name}-{self.checkpoint.name}"


def title_of(source: MixtureSource) -> str:
    """A mixture's title: its sounds if they are known, else its file's name."""
    name = source.name if len(source.name) <= 32 else f"{source.name[:31]}…"
    return " + ".join(source.sources) or plain(name)


def contents(source: MixtureSource, channels: Channels, number: int) -> str:
    """The clips in a channel, counted from 0; '' where they are not known."""
    if channels.matches is None:
        return ""
    inside = channels.matches[number].references
    return " + ".join(source.sources[i] for i in inside) or NO_CLIP


def reserve(key: str, titles: Sequence[tuple[str, str]], step: str = "") -> list[Cell]:
    """Empty cells in rows, each with its title and detail; `step` tells them apart in the bar."""
    cells = []
    for first in range(0, len(titles), IN_A_ROW):
        some = list(enumerate(titles, 1))[first : first + IN_A_ROW]
        for (number, title), column in zip(some, st.columns(IN_A_ROW), strict=False):
            with column:
                short = f"{title[0]}, step {step}" if step else title[0]
                cells.append(Cell(f"{key}_{number}", *title, group=GROUP, short=short))
    return cells


def fill(cell: Cell, work: Work, wave: np.ndarray) -> None:
    """Show and play samples [S] in a cell, at their true level."""
    show_wave(cell, work, wave, "Clips when played")
    cell.play(work.mixture.wav(wave))


def show_wave(cell: Cell, work: Work, wave: np.ndarray, too_loud: str) -> None:
    """The log-mel of samples [S], with a warning where a player would clip them."""
    cell.log_mel = service.log_mel(Clip(wave))
    cell.draw(work.scale)
    if work.mixture.is_too_loud(wave):
        cell.state(f":orange[{too_loud}]")


def show_mixer(work: Work, waves: Sequence[np.ndarray], names: Sequence[str]) -> list[mixer.Strip]:
    """A mixer for waves [S] by name; returns its strips, which the address keeps."""
    strips = mixer.parse(st.query_params.get("levels", ""), len(waves))
    st.header("Mixer", anchor=False)
    mixer.show(
        [work.mixture.wav(wave) for wave in waves],
        names,
        strips,
        key="mixer",
        token=_token(work.source, len(waves)),
        on_change=_keep_levels,
    )
    return strips


def _keep_levels() -> None:
    levels = mixer.moved("mixer")
    if levels:
        st.query_params["levels"] = levels
    else:
        st.query_params.pop("levels", None)


def reset_levels(source: MixtureSource) -> None:
    """Drop the mixer's levels if they were set for another mixture."""
    token = _token(source, 0)
    if st.session_state.get("remixed", token) != token:
        st.query_params.pop("levels", None)
    st.session_state.remixed = token


def _token(source: MixtureSource, count: int) -> str:
    """A key for the levels of so many channels of a mixture."""
    digests = [clip.digest for clip in source.clips]
    return hashlib.blake2b(repr([digests, count]).encode(), digest_size=8).hexdigest()
