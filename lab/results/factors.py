"""The paper's figure 7 on the Results page: a swap whose target differs in one factor, or in two.

It is drawn by a checkpoint that was scored on a corpus of several instruments and octaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core.audio.clip import Clip, read
from core.checkpoints.checkpoint import Checkpoint, list_checkpoints
from core.errors import RavelError
from core.experiments.results import Claim
from lab import bundled
from lab.results import dot_chart
from lab.results import labels as words
from lab.results.dot_chart import Chart, Dot, Group, Panel, Series
from lab.swap import data as live
from lab.widgets import player, spectrogram
from lab.widgets.cell import Cell

FIGURE = "figure 7"
SOURCE = "violin-octave-4"
TARGETS = {
    "instrument": "trumpet-octave-4",
    "octave": "violin-octave-5",
    "both": "trumpet-octave-5",
}
CASES = {  # as they begin in the scores, and as they are told
    "rebuilt": "No swap",
    "swap_instrument": "Another instrument",
    "swap_octave": "Another octave",
    "swap_instrument_and_octave": "Both others",
}
TOLD = {"instrument": "Instrument", "octave": "Octave", "all": "Both"}
JUDGED = {"instrument": "judge_global", "octave": "judge_global_octave"}
SCORED = f"{list(CASES)[-1]}_told_all"
SPAN = (-0.04, 1.06)
ABOUT = (
    "Two factors stay the same through a clip here, the instrument and the octave, and `v` should "
    "carry both. A target that differs from the source in the instrument, in the octave or in both "
    "gives its `v`; the melody should stay."
)
LDA = (
    "Share of validation clips whose swap is told as the target's, by an LDA on the mean of the "
    "re-encoded `v`; rules are 95 % bootstrap intervals."
)


def draw(claims: list[Claim]) -> None:
    """The figure, by each checkpoint that has its scores; nothing where none has."""
    scored = {one.name: (one, found) for one in list_checkpoints("dsae") if (found := scores(one))}
    if not scored:
        return
    st.header("Two global factors", anchor=False)
    st.subheader("Figure 7: swaps by instrument, by octave, by both", anchor=False)
    st.caption(ABOUT)
    for claim in claims:
        if claim.table == FIGURE:
            st.caption(f"Published, {claim.corpus}: {claim.claim} ({claim.source})")
    name = next(iter(scored))
    if len(scored) > 1:
        name = st.selectbox("Model", list(scored), key="factors_model", bind="query-params")
    checkpoint, (corpus, found) = scored[name]
    st.caption(f"**{checkpoint.name}** on {corpus}. {LDA}")
    dot_chart.show(
        shares(found), key=f"factors_{name}", alt="Swaps told as the target's, by what differs"
    )
    judged = [
        f"{factor} {found[key]['value']:.3f}" for factor, key in JUDGED.items() if key in found
    ]
    if judged:
        st.caption(
            "That is the model's own encoder's word. A judge that never saw the model, taught by "
            f"log-mels, says after global swaps (macro-F1): {', '.join(judged)}."
        )
    st.download_button(
        "CSV",
        lambda: frame(found).to_csv(index=False).encode(),
        f"figure-7-{name}.csv",
        "text/csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        key="factors_csv",
    )
    st.fragment(example)(checkpoint)


def scores(checkpoint: Checkpoint) -> tuple[str, Mapping[str, Any]] | None:
    """The corpus that a checkpoint was scored on with two factors, and its scores there."""
    for corpus, found in checkpoint.metrics.items():
        if isinstance(found, dict) and SCORED in found:
            return corpus, found
    return None


def shares(found: Mapping[str, Any]) -> Chart:
    """How often a swap is told as the target's: cases below each other, factors by colour."""
    groups = []
    for place, (case, title) in enumerate(CASES.items()):
        for series, (key, told) in enumerate(TOLD.items()):
            score = found[f"{case}_told_{key}"]
            between = f"[{score['low']:.3f}, {score['high']:.3f}]"
            says = f"{title}, told by: {told.lower()}<br>{score['value']:.3f} {between}"
            reach = score["low"], score["high"]
            dots = [Dot(score["value"], says)]
            groups.append(Group(place, series, dots, score["value"], says, reach))
    panel = Panel("Told as the target's, in", groups, False, SPAN)
    named = [Series(name, number) for number, name in enumerate(TOLD.values())]
    return Chart([[panel]], list(CASES.values()), named, False)


def frame(found: Mapping[str, Any]) -> pd.DataFrame:
    """The same in numbers."""
    return pd.DataFrame(
        {"target differs in": title, "told": told, **found[f"{case}_told_{key}"]}
        for case, title in CASES.items()
        for key, told in TOLD.items()
    )


def example(checkpoint: Checkpoint) -> None:
    """One swap to be seen and heard: source, target, and the source's melody with its v."""
    differs = st.segmented_control(
        "The target differs in",
        list(TARGETS),
        default="both",
        required=True,
        key="factors_target",
        bind="query-params",
        format_func=lambda what: "instrument and octave" if what == "both" else what,
    )
    clips = [_clip(SOURCE), _clip(TARGETS[differs])]
    titles = [("Source", _called(SOURCE)), ("Target", _called(TARGETS[differs]))]
    titles.append(("Swapped", "source melody, target v"))
    cells = []
    for number, (column, title) in enumerate(zip(st.columns(3), titles, strict=True)):
        with column:
            cells.append(Cell(f"factors_{number}", *title))
    pair = live.Pair(checkpoint, *clips)
    try:
        swapped = live.made(pair, "swapped")
    except RavelError as error:
        st.error(str(error), icon=":material/error:")
        return
    mels = [*map(live.log_mel, clips), swapped]
    scale = spectrogram.Scale(max(float(mel.max()) for mel in mels), clips[0].seconds)
    wavs = [*map(live.wav, clips), live.sound(pair, "swapped")]
    for cell, mel, wav in zip(cells, mels, wavs, strict=True):
        cell.log_mel = mel
        cell.draw(scale)
        cell.play(wav)
    player.one_at_a_time()
    st.caption(f"Clips: {bundled.octaves()[SOURCE]['author']}.")


@st.cache_resource(max_entries=8, show_spinner=False)
def _clip(name: str) -> Clip:
    return read(bundled.EXAMPLES / "octaves" / f"{name}.flac")


def _called(name: str) -> str:
    row = bundled.octaves()[name]
    return f"{words.value('instrument', row['instrument'])}, octave {row['octave']}"
