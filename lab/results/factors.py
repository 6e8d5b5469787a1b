"""The paper's figure 7 on the Results page: swaps whose target differs in one factor, or in two.

It is drawn for each checkpoint that was scored on a corpus of several instruments and octaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import service
from core.audio.clip import Clip, read
from core.checkpoints.checkpoint import Checkpoint, list_checkpoints
from core.experiments.results import Claim
from lab import bundled
from lab.results import dot_chart, labels
from lab.results.dot_chart import Chart, Mark, Panel, Series
from lab.widgets import sound_view
from lab.widgets.cell import Cell
from lab.widgets.page import download, show_errors

FIGURE = "figure 7"
SOURCE = "violin-octave-4"
TARGETS = {
    "instrument": "trumpet-octave-4",
    "octave": "violin-octave-5",
    "both": "trumpet-octave-5",
}
CASES = {  # how the names of the scores begin, and their labels
    "rebuilt": "No swap",
    "swap_instrument": "Another instrument",
    "swap_octave": "Another octave",
    "swap_instrument_and_octave": "Both others",
}
FACTORS = {"instrument": "Instrument", "octave": "Octave", "all": "Both"}
CLASSIFIED = {"instrument": "judge_global", "octave": "judge_global_octave"}
SPAN = (-0.04, 1.06)
ABOUT = (
    "Two factors stay the same throughout a clip here, the instrument and the octave, and `v` "
    "should encode both. The target differs from the source in the instrument, in the octave or in "
    "both. The swap takes its `v`; the source's melody should stay."
)
LDA = (
    "Share of validation clips in which an LDA on the mean of the re-encoded `v` predicts the "
    "target's instrument, octave or both after the swap. Rules are 95 % bootstrap intervals."
)
CLASSIFIER = (
    "Measured with the model's own encoder. An independent classifier on log-mels gives, after "
    "global swaps, a macro-F1 of: {}."
)


def draw(system: str, claims: Sequence[Claim]) -> None:
    """The figure for each checkpoint of a system with its scores; nothing without one."""
    scored = {one.name: (one, *of) for one in list_checkpoints(system) if (of := scores(one))}
    if not scored:
        return
    st.header("Two global factors", anchor=False)
    st.subheader("Figure 7: swaps by instrument, by octave, by both", anchor=False)
    st.caption(ABOUT)
    show_claims(claims, FIGURE)
    name = next(iter(scored))
    if len(scored) > 1:
        name = st.selectbox("Model", list(scored), key="factors_model", bind="query-params")
    checkpoint, corpus, found = scored[name]
    shares = frame(found)
    st.caption(f"**{checkpoint.name}** on {corpus}. {LDA}")
    dot_chart.show(
        chart(shares), key=f"factors_{name}", alt="Swaps predicted as the target's, by difference"
    )
    given = [f"{f} {found[key]['value']:.3f}" for f, key in CLASSIFIED.items() if key in found]
    if given:
        st.caption(CLASSIFIER.format(", ".join(given)))
    download(
        "CSV",
        lambda: shares.to_csv(index=False).encode(),
        f"figure-7-{name}.csv",
        key="factors_csv",
        mime="text/csv",
    )
    st.fragment(example)(checkpoint)


def show_claims(claims: Sequence[Claim], *figures: str) -> None:
    """The paper's statements about any of some figures or tables."""
    for claim in claims:
        if claim.table.casefold() in figures:
            st.caption(f"Published, {claim.corpus}: {claim.claim} ({claim.source})")


def scores(checkpoint: Checkpoint) -> tuple[str, Mapping[str, Any]] | None:
    """The corpus with two factors that a checkpoint was scored on, and its scores there."""
    for corpus, found in checkpoint.metrics.items():
        if isinstance(found, dict) and f"{list(CASES)[-1]}_told_all" in found:
            return corpus, found
    return None


def frame(found: Mapping[str, Any]) -> pd.DataFrame:
    """Shares of swaps with the target's factor, with their intervals: a line by case and factor."""
    return pd.DataFrame(
        {"target differs in": title, "predicted": factor, **found[f"{case}_told_{key}"]}
        for case, title in CASES.items()
        for key, factor in FACTORS.items()
    )


def chart(shares: pd.DataFrame) -> Chart:
    """The shares of `frame`: cases below each other, factors by colour."""
    marks = []
    for title, factor, value, low, high in shares[
        ["target differs in", "predicted", "value", "low", "high"]
    ].itertuples(index=False):
        text = f"{title}, predicted: {factor.lower()}<br>{value:.3f} [{low:.3f}, {high:.3f}]"
        marks.append(Mark("run", title, factor, value, text))
        marks.append(Mark("mean", title, factor, value, text, low, high))
    panel = Panel("Predicted as the target's", marks, span=SPAN)
    series = [Series(name, number) for number, name in enumerate(FACTORS.values())]
    return Chart([[panel]], list(CASES.values()), series, upright=False)


def example(checkpoint: Checkpoint) -> None:
    """One swap to look at and to play: source, target, and the source's melody with target v."""
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
    titles = [
        ("Source", _describe(SOURCE)),
        ("Target", _describe(TARGETS[differs])),
        ("Swapped", "source melody, target v"),
    ]
    cells = []
    for number, (column, title) in enumerate(zip(st.columns(3), titles, strict=True)):
        with column:
            cells.append(Cell(f"factors_{number}", *title, group="factors"))
    with show_errors():
        pair = service.Pair(checkpoint, clips[0], clips[1])
        mels = [*map(service.log_mel, clips), service.decoded(pair, "swapped")]
        scale = sound_view.Scale(max(float(mel.max()) for mel in mels), clips[0].seconds)
        wavs = [*map(service.wav, clips), service.sound(pair, "swapped")]
        for cell, mel, wav in zip(cells, mels, wavs, strict=True):
            cell.log_mel = mel
            cell.draw(scale)
            cell.play(wav)
    st.caption(f"Clips: {bundled.octaves()[SOURCE]['author']}.")


@st.cache_resource(max_entries=8, show_spinner=False)
def _clip(name: str) -> Clip:
    return read(bundled.EXAMPLES / "octaves" / f"{name}.flac")


def _describe(name: str) -> str:
    row = bundled.octaves()[name]
    return f"{labels.value('instrument', row['instrument'])}, octave {row['octave']}"
