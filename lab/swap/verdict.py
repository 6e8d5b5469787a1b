"""How a swap went, under its player: both figures, a sentence where it went badly, and remedies."""

from __future__ import annotations

from math import isnan

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import service
from core.checkpoints.checkpoint import Checkpoint
from core.service import PARTS, Pair, swaps
from core.service.swaps import Remedy, SwapFigures
from lab.swap import instrument_target
from lab.swap.view import Row
from lab.widgets import run_chart
from lab.widgets.run_chart import Line

HALF = 0.5  # of the melody or of the way to the instrument
FIGURES = (
    "**Melody kept**: the share of pitched frames in which the result is within half a semitone of "
    "the recording that gave the melody, by the pitch tracker {tracker}.  \n"
    "**Instrument reached**: where the result, encoded again, lies between the two: 0% is the "
    "instrument of the melody's recording, 100% the other. It is measured by the model's own "
    "encoder, which flatters the model."
)
CURVE = (
    "Both figures of this result at {count} strengths, measured on its sound. The vertical line "
    "is the strength chosen above."
)
CURVE_HEIGHT = 190


def show_row(row: Row, route: str, better: Checkpoint | None, *, crepe: bool) -> None:
    """The figures of a model's results. Raises RavelError."""
    for part, place in row.verdicts.items():
        show(place, row.pair, part, route, better, crepe)


def show_curves(row: Row, route: str) -> None:
    """Both figures over the strength, under each of a model's results. Raises RavelError."""
    for part, cell in row.cells.items():
        curve(cell.below.empty(), row.pair, part, route, f"{row.name}_{part}_curve")


def show(
    place: DeltaGenerator,
    pair: Pair,
    part: str,
    route: str,
    better: Checkpoint | None,
    crepe: bool,
) -> None:
    """Measure a result and show its figures; remedies follow one by one as they are measured.

    `better`: a model that may keep more of the melody. Raises RavelError.
    """
    found = swaps.figures(pair, part, route)
    if crepe:
        melody = service.wav(getattr(pair, PARTS[part][0]))
        kept = service.melody_kept(melody, service.sound(pair, part, route))
        found = found._replace(kept=kept)
    tracker = "CREPE" if crepe else "SwiftF0"
    box = place.container(gap="xsmall")
    with box:
        st.caption(figures_text(found, part), help=FIGURES.format(tracker=tracker))
        if text := sentence(found, pair, part):
            st.caption(f":material/info: {text}")
    buttons = box.container(horizontal=True, gap="small")
    for remedy in swaps.remedies(pair, part, route, better):
        _offer(buttons, remedy, pair, part)
    if not isnan(found.moved) and found.moved < HALF and pair.strength <= 1:
        buttons.button(
            "Strength 130%",
            key=f"{pair.checkpoint.name}_{part}_stronger",
            type="tertiary",
            icon=":material/tune:",
            on_click=_set,
            args=("strength", 130),
            help="Move v further than the target's own.",
        )


def figures_text(found: SwapFigures, part: str) -> str:
    """Both figures in a line."""
    kept = "No pitch in the melody" if isnan(found.kept) else f"Melody kept **{found.kept:.0%}**"
    if len(set(PARTS[part])) == 1:
        return kept
    if isnan(found.moved):
        return f"{kept} · the model does not tell the two instruments apart"
    return f"{kept} · instrument reached **{found.moved:.0%}**"


def sentence(found: SwapFigures, pair: Pair, part: str) -> str:
    """What went badly, in plain words; '' where nothing did."""
    parts = []
    if found.kept < HALF:
        parts.append("Most of the melody is lost.")
    elif found.kept < swaps.ENOUGH:
        parts.append("Part of the melody is lost.")
    if parts and found.kept_class >= found.kept + swaps.GAIN:
        parts.append("Some notes are an octave off.")
    if parts and (apart := _apart(pair, part)):
        parts.append(apart)
    if found.moved < HALF:
        parts.append("The sound stays closer to the melody's own instrument.")
    return " ".join(parts)


def _apart(pair: Pair, part: str) -> str:
    """Where the melody lies from the other's register, if it is an octave or more away."""
    own, given = PARTS[part]
    melody = swaps.register(getattr(pair, own))
    listed = given == "target" and pair.instrument
    other = swaps.playing_range(pair.instrument) if listed else swaps.register(getattr(pair, given))
    if melody is None or other is None or not swaps.octaves_off(melody, other):
        return ""
    semitones = round(abs(melody.middle - other.middle))
    where = "above" if melody.middle > other.middle else "below"
    what = f"the usual range of the {pair.instrument}" if listed else f"the {given}’s notes"
    return f"It lies {semitones} semitones {where} {what}."


def _offer(place: DeltaGenerator, remedy: Remedy, pair: Pair, part: str) -> None:
    label, name, help = _words(remedy)
    keys = {"octave": f"{PARTS[part][0]}_octave", "instrument": instrument_target.KEY}
    value = round(100 * float(remedy.value)) if remedy.kind == "strength" else remedy.value
    place.button(
        f"{label}: melody {remedy.figures.kept:.0%}",
        key=f"{pair.checkpoint.name}_{part}_{remedy.kind}",
        type="tertiary",
        icon=name,
        on_click=_set,
        args=(keys.get(remedy.kind, remedy.kind), value),
        help=help,
    )


def _words(remedy: Remedy) -> tuple[str, str, str]:
    """A remedy's name, icon and help."""
    if remedy.kind == "strength":
        help = "v goes only part of the way to the target's."
        return f"Strength {remedy.value:.0%}", ":material/tune:", help
    if remedy.kind == "model":
        return f"{remedy.value}", ":material/swap_horiz:", "Use this model."
    if remedy.kind == "instrument":
        help = "Use the mean of this instrument in the model's training data as the target."
        return f"The model’s {remedy.value}", ":material/piano:", help
    count = abs(int(remedy.value))
    word = "An octave" if count == 1 else f"{count} octaves"
    where = "higher" if int(remedy.value) > 0 else "lower"
    return f"{word} {where}", ":material/height:", "Transpose the recording before it is encoded."


def _set(key: str, value: object) -> None:
    st.session_state[key] = value
    if key == instrument_target.KEY:  # the list has to be open
        st.session_state["target_from"] = instrument_target.FROM


def curve(place: DeltaGenerator, pair: Pair, part: str, route: str, key: str) -> None:
    """Both figures over the strength, each point measured on its sound. Raises RavelError."""
    found = []
    for strength in swaps.STRENGTHS:
        found.append(swaps.figures(pair._replace(strength=strength), part, route))
        place.caption(f"Measuring: {len(found)} of {len(swaps.STRENGTHS)} strengths")
    draw_curve(place, found, pair.strength, key)


def draw_curve(place: DeltaGenerator, found: list[SwapFigures], strength: float, key: str) -> None:
    """The curves of both figures, in percent."""
    import numpy as np

    steps = 100 * np.array(swaps.STRENGTHS)
    lines = [
        Line("Melody kept", steps, 100 * np.array([one.kept for one in found]), True),
        Line("Instrument reached", steps, 100 * np.array([one.moved for one in found]), True),
    ]
    drawn = run_chart.figure(lines, span=(-5, 135))
    drawn.update_traces(hovertemplate="%{y:.0f}%")
    marks, halves = [0, 25, 50, 75, 100, 130], [0, 50, 100]
    drawn.update_xaxes(title="strength", tickvals=marks, ticktext=[f"{one}%" for one in marks])
    drawn.update_yaxes(tickvals=halves, ticktext=[f"{one}%" for one in halves])
    drawn.add_vline(100 * strength, line={"width": 1, "dash": "dot", "color": "#888"})
    place.plotly_chart(
        drawn,
        height=CURVE_HEIGHT,
        key=key,
        alt="Melody kept and instrument reached over the strength of the swap",
        config={"displayModeBar": False},
    )
