"""The top of a page about a mixture: its slot, and beside it its picture and its player."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import service
from core.service import mixtures
from core.service.mixtures import Mixture, MixtureSource
from lab.bundled import READY
from lab.widgets import channels, mixture_slot, sound_view
from lab.widgets.cell import Cell
from lab.widgets.slot import Taking


class Choice(NamedTuple):
    """The slot's mixture, the column of the slot, and the cell beside it, still empty."""

    source: MixtureSource | None
    side: DeltaGenerator
    cell: Cell


def choose(
    ready: Mapping[str, tuple[str, ...]] = READY,
    taking: Taking = mixture_slot.TAKING,
    *,
    instruments: bool = False,
) -> Choice:
    """Draw the slot, and reserve the cell before anything is computed."""
    left, right = st.columns(2)
    with left:
        source = mixture_slot.slot("mixture", "Mixture", ready, taking, instruments=instruments)
    with right:
        detail = channels.title_of(source) if source else ""
        cell = Cell("mixture_cell", "Mixture", detail, group=channels.GROUP)
    return Choice(source, left, cell)


def show(choice: Choice) -> tuple[MixtureSource, Mixture, sound_view.Scale]:
    """Show and play the mixture; the scale is for its channels, too.

    Without a mixture the cell asks for one, and the page ends.
    """
    source, cell = choice.source, choice.cell
    if source is None:
        cell.leave_empty("The mixture is empty: choose an example, mix, upload or record one.")
        st.stop()
    channels.reset_levels(source)
    cell.expect(picture=True, sound=True)
    mixture = mixtures.mixture(source)
    cell.log_mel = service.log_mel(mixture.clip)
    scale = sound_view.Scale(float(cell.log_mel.max()), mixture.clip.seconds)
    cell.draw(scale)
    cell.play(mixture.wav(mixture.clip.wave))
    return source, mixture, scale
