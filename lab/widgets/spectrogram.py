"""A log-mel spectrogram: mel bands labelled in Hz, seconds, decibels, and an optional pitch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from core import service
from core.audio.clip import HOP_SECONDS, VOICED

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from core.audio.pitch import Pitch

HEIGHT = 190
RANGE_DB = 80
TICKS_HZ = (100, 500, 1000, 2000, 4000, 8000)
TICKS_SECONDS = (0.5, 1, 2, 5, 10, 20, 60, 120, 300)
MOST_TICKS = 10
FRAMES = 1250  # more are thinned out: no screen shows them, but every browser would fetch them


class Scale(NamedTuple):
    """The axes shared by pictures side by side: the log-mel value at 0 dB, and the time span."""

    loudest: float
    seconds: float


def figure(log_mel: np.ndarray, scale: Scale, pitch: Pitch | None = None) -> go.Figure:
    """The picture of a natural log-mel [T, 80], with a pitch contour over it if given."""
    import plotly.graph_objects as go

    hertz = service.band_hertz()
    every = -(-len(log_mel) // FRAMES)
    log_mel = log_mel[::every]
    decibels = 10 * np.log10(np.e) * (log_mel.T - scale.loudest)  # [80, T]
    heatmap = go.Heatmap(
        z=decibels.astype(np.float32),
        x0=0,
        dx=every * HOP_SECONDS,
        customdata=np.broadcast_to(hertz[:, None], decibels.shape).astype(np.int16),
        zmin=-RANGE_DB,
        zmax=0,
        colorbar={
            "thickness": 8,
            "outlinewidth": 0,
            "tickvals": [0, -RANGE_DB // 2, -RANGE_DB],
            "ticktext": ["0 dB", f"−{RANGE_DB // 2}", f"−{RANGE_DB}"],
        },
        hovertemplate="%{x:.2f} s, %{customdata} Hz, %{z:.0f} dB<extra></extra>",
    )
    contour = [] if pitch is None else [_contour(pitch, hertz)]
    return go.Figure([heatmap, *contour], _layout(hertz, scale.seconds))


def _contour(pitch: Pitch, hertz: np.ndarray) -> go.Scatter:
    import plotly.graph_objects as go

    f0, sure = np.ravel(pitch.f0), np.ravel(pitch.confidence) >= VOICED
    return go.Scatter(
        x=np.asarray(pitch.times),
        y=np.where(sure, np.interp(f0, hertz, np.arange(len(hertz))), np.nan),
        customdata=f0,
        mode="lines",
        line={"width": 2.5},
        hovertemplate="%{x:.2f} s, pitch %{customdata:.0f} Hz<extra></extra>",
        showlegend=False,
    )


def _layout(hertz: np.ndarray, seconds: float) -> dict:
    bands = np.interp(TICKS_HZ, hertz, np.arange(len(hertz)))
    return {
        "margin": {"l": 52, "r": 0, "t": 10, "b": 24},
        "xaxis": {
            "range": [0, seconds],
            "dtick": next(step for step in TICKS_SECONDS if step * MOST_TICKS >= seconds),
            "ticksuffix": " s",
            "showgrid": False,
            "zeroline": False,
        },
        "yaxis": {
            "range": [-0.5, len(hertz) - 0.5],
            "tickvals": bands,
            "ticktext": [f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz" for hz in TICKS_HZ],
            "showgrid": False,
            "zeroline": False,
        },
    }
