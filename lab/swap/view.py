"""The parts of the Swap page: its controls, a row of results for each model, and their cells."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import service
from core.audio.clip import Clip
from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT, Checkpoint
from core.service import PARTS, Pair, swaps
from lab.widgets import page, slot
from lab.widgets.cell import Cell
from lab.widgets.sound_view import Scale

NONE = "None"
GROUP = "swap"  # all sounds of the page have one transport
MOST_STRENGTH = 130  # %
OCTAVES = [-2, -1, 0, 1, 2]
DESCRIPTIONS = {
    "Instrument": "Below each recording: **its own melody, played by the other's instrument**.",
    "Melody": "Below each recording: **its own instrument, playing the other's melody**.",
    "Nothing": "Below each recording: **its reconstruction by the model**. "
    "What is lost here is lost by the model, not by the swap.",
}
BELOW = {  # the part of the result below the source, and the one below the target
    "Instrument": ("swapped", "counterpart"),
    "Melody": ("counterpart", "swapped"),
    "Nothing": ("source_reconstruction", "target_reconstruction"),
}
TITLES = {
    "swapped": "Source melody, target instrument",
    "counterpart": "Target melody, source instrument",
    "source_reconstruction": "Source, rebuilt",
    "target_reconstruction": "Target, rebuilt",
}


SHORT = {  # in the bar
    "swapped": "Source by target",
    "counterpart": "Target by source",
    "source_reconstruction": "Source, rebuilt",
    "target_reconstruction": "Target, rebuilt",
}


class Row(NamedTuple):
    """One model's results: a place for downloads, one for a message, and for each part a cell and
    the place of its figures."""

    pair: Pair
    tools: DeltaGenerator
    message: DeltaGenerator
    cells: dict[str, Cell]
    verdicts: dict[str, DeltaGenerator]

    @property
    def name(self) -> str:
        """The model's name."""
        return self.pair.checkpoint.name

    def play(self, part: str, log_mel: np.ndarray, wav: bytes) -> None:
        """Fill a part's cell with its sound; its picture is drawn later."""
        melody, instrument = (getattr(self.pair, side).name for side in PARTS[part])
        self.cells[part].log_mel = log_mel
        self.cells[part].play(wav, f"{melody}-by-{instrument}-{self.name}.wav")


def choose_swap() -> str:
    """What to swap: one of DESCRIPTIONS."""
    return st.segmented_control(
        "What to swap",
        list(DESCRIPTIONS),
        default="Instrument",
        required=True,
        key="swap",
        bind="query-params",
        width="content",
        help="**Instrument** exchanges the global latents, **melody** the local latents; "
        "**nothing** reconstructs each recording from its own.",
    )


def choose_models(names: list[str]) -> list[str]:
    """The names of the model and, if chosen, of a second one; none where there are no models."""
    first = st.selectbox(
        "Model",
        names,
        index=names.index(DEFAULT_CHECKPOINT) if DEFAULT_CHECKPOINT in names else 0,
        key="model",
        bind="query-params",
        width=200,
        disabled=not names,
        help="A checkpoint: a trained model in the folder checkpoints.",
    )
    second = st.selectbox(
        "Compare with",
        [NONE, *names],
        key="compare",
        bind="query-params",
        width=200,
        disabled=not names,
        help="A second model, applied to the same two recordings.",
    )
    return [name for name in dict.fromkeys((first, second)) if name in names]


def choose_pitch() -> bool:
    """Whether pitch contours are drawn and compared."""
    return st.toggle(
        "Pitch contour",
        key="pitch",
        bind="query-params",
        width="content",
        help="The pitch as estimated by CREPE, a neural pitch tracker. **Melody kept** below the "
        "results is then measured by CREPE, too, which takes longer.",
    )


def choose_strength(disabled: bool) -> float:
    """How far v goes from one clip's to the other's; 1 is the other's own."""
    percent = st.slider(
        "Strength",
        0,
        MOST_STRENGTH,
        100,
        step=5,
        format="%d%%",
        key="strength",
        bind="query-params",
        width=220,
        disabled=disabled,
        help="How far the global latent goes from the melody's recording (0%) to the other one "
        "(100%), or beyond it. A lower strength may save a lost melody.",
    )
    return 1.0 if disabled else percent / 100


def choose_curve() -> bool:
    """Whether both figures are measured over the strength."""
    return st.toggle(
        "Strength curve",
        key="curve",
        bind="query-params",
        width="content",
        help="Under each result, the melody kept and the instrument reached at strengths from 0 to "
        "130%. Takes a second or two.",
    )


def choose_octave(side: str, clip: Clip) -> Clip:
    """The clip as it is, or moved by octaves, which is offered only once it has helped."""
    key = f"{side}_octave"
    if not (st.session_state.get(key) or st.query_params.get(key)):
        return clip
    octaves = st.segmented_control(
        "Octave",
        OCTAVES,
        default=0,
        required=True,
        format_func=lambda count: f"{count:+d}".replace("-", "−") if count else "As it is",
        key=key,
        bind="query-params",
        width="content",
        help="Transposes the recording by octaves before it is encoded, at its own speed.",
    )
    return swaps.transposed(clip, octaves)


def short_name(clip: Clip) -> str:
    """A clip's instrument if known, else its name, cut to fit a title."""
    name = clip.labels.get("instrument") or clip.name
    return page.plain(name if len(name) <= 24 else f"{name[:23]}…")


def input_cells(clips: dict[str, Clip | None]) -> dict[str, Cell]:
    """The cells of both recordings, side by side."""
    cells = {}
    for column, (side, clip) in zip(st.columns(2), clips.items(), strict=True):
        with column:
            title = f"{side.title()}: {short_name(clip)}" if clip else side.title()
            cells[side] = Cell(side, title, group=GROUP, short=side.title())
    return cells


def result_row(pair: Pair, what: str, several: bool) -> Row:
    """A model's heading, and the empty cells of its results; with `several`, they name it, too."""
    checkpoint = pair.checkpoint
    with page.row():
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.header(checkpoint.name, anchor=False, width="content")
            if checkpoint.title != checkpoint.name:
                st.caption(checkpoint.title, width="content")
        tools = st.container(horizontal=True, width="content")
    slot.advise_rendered(checkpoint, [pair.source, pair.target], f"{checkpoint.name}_rendered")
    message, cells, verdicts = st.container(), {}, {}
    for side, part, column in zip(("source", "target"), BELOW[what], st.columns(2), strict=True):
        givers = dict.fromkeys(short_name(getattr(pair, giver)) for giver in PARTS[part])
        with column:
            key, detail = f"{checkpoint.name}_{side}", " → ".join(givers)
            short = f"{SHORT[part]}, {checkpoint.name}" if several else SHORT[part]
            cells[part] = Cell(key, TITLES[part], detail, group=GROUP, short=short)
            # A line before it is measured, so that the page below it stays in place.
            verdicts[part] = cells[part].below.empty()
            verdicts[part].caption("Measuring melody and instrument")
    return Row(pair, tools, message, cells, verdicts)


def difference(pairs: list[Pair]) -> list[str]:
    """The keys of the two cells to compare first: the result below the source, and the source."""
    return [f"{pairs[0].checkpoint.name}_source", "source"] if pairs else []


def offer_latents(row: Row) -> None:
    """Download buttons for the latents of both recordings, computed when clicked."""
    for side, clip in (("source", row.pair.source), ("target", row.pair.target)):
        page.download(
            f"{side.title()} latents",
            partial(_npz, row.pair.checkpoint, clip),
            f"{clip.name}-{row.name}.npz",
            key=f"{row.name}_{side}_latents",
            help="Means and log-variances of the global and the local latents, as NumPy arrays.",
            place=row.tools,
        )


def _npz(checkpoint: Checkpoint, clip: Clip) -> bytes:
    return service.latents(checkpoint, clip).to_npz()


def draw(cells: list[Cell], scale: Scale) -> None:
    """The pictures of all cells that have a log-mel."""
    for cell in cells:
        if cell.log_mel is not None:
            cell.draw(scale)


def draw_pitch(cells: list[Cell], scale: Scale) -> None:
    """The pictures of all cells that have a sound, with its pitch."""
    for cell in cells:
        if cell.wav:
            cell.expect(picture=True)
            cell.draw(scale, service.pitch(cell.wav))
