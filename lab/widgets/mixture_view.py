"""What a page on a mixture begins with: its slot, and beside it its picture and its player."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lab.bundled import READY
from lab.separate import data as separation
from lab.separate.data import Mixture
from lab.swap import data as live
from lab.widgets import channels, mixture_slot, spectrogram
from lab.widgets.cell import Cell
from lab.widgets.mixture_slot import Taken
from lab.widgets.slot import Taking


class Asked(NamedTuple):
    """What the slot holds, the side that it is on, and the cell beside it, not filled yet."""

    taken: Taken | None
    side: DeltaGenerator
    cell: Cell


def ask(
    ready: Mapping[str, tuple[str, ...]] = READY,
    taking: Taking = mixture_slot.TAKING,
    *,
    instruments: bool = False,
) -> Asked:
    """Draw the slot, and reserve the cell before anything is computed."""
    left, right = st.columns(2)
    with left:
        taken = mixture_slot.slot("mixture", "Mixture", ready, taking, instruments=instruments)
    with right:
        cell = Cell("mixture_cell", "Mixture", channels.called(taken) if taken else "")
    return Asked(taken, left, cell)


def show(asked: Asked) -> tuple[Mixture, spectrogram.Scale]:
    """Show and play the mixture; the scale is for all that comes of it.

    Where there is none the cell says so, and the page ends here.
    """
    taken, cell = asked.taken, asked.cell
    if taken is None:
        cell.leave_empty("The mixture is empty: choose an example, mix, upload or record one.")
        st.stop()
    channels.start_afresh(taken)
    with cell.picture.skeleton(spectrogram.HEIGHT):
        mixture = separation.mixture(taken)
        cell.log_mel = live.log_mel(mixture.clip)
    scale = spectrogram.Scale(float(cell.log_mel.max()), mixture.clip.seconds)
    cell.draw(scale)
    cell.play(separation.played(mixture.clip.wave, mixture.gain))
    return mixture, scale
