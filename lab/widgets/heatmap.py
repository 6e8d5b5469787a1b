"""Local latents over time as a heatmap, a row for each dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.audio.clip import HOP_SECONDS

if TYPE_CHECKING:
    import plotly.graph_objects as go

SHOWN = 98  # percent of the values lie within the colour scale
BELOW, ABOVE = "217, 84, 30", "31, 111, 120"  # legible on light and on dark


def limit_of(z: np.ndarray) -> float:
    """The magnitude of local latents at the ends of the colour scale; few lie beyond."""
    return float(np.percentile(np.abs(z), SHOWN)) or 1.0


def draw(z: np.ndarray, limit: float, seconds: float, *, key: str, name: str, height: int) -> None:
    """Draw local latents [T, Z] on an axis of `seconds`; the colour scale ends at `limit`."""
    st.plotly_chart(
        figure(z, limit, seconds),
        height=height,
        key=key,
        alt=f"Heatmap over time, a row for each dimension of z. {name}",
        config={"displayModeBar": False},
    )


def figure(z: np.ndarray, limit: float, seconds: float) -> go.Figure:
    """The heatmap of local latents [T, Z]."""
    import plotly.graph_objects as go

    ends = [[0, f"rgba({BELOW}, 1)"], [0.5, "rgba(128, 128, 128, 0)"], [1, f"rgba({ABOVE}, 1)"]]
    heatmap = go.Heatmap(
        z=z.T.astype(np.float32),
        x0=0,
        dx=HOP_SECONDS,
        y0=1,
        zmin=-limit,
        zmax=limit,
        colorscale=ends,
        colorbar={"thickness": 8, "outlinewidth": 0, "nticks": 5},
        hovertemplate="%{x:.2f} s, z %{y}: %{z:.2f}<extra></extra>",
    )
    ticks = [1, *range(4, z.shape[1] + 1, 4)]
    axes = {"showgrid": False, "zeroline": False}
    return go.Figure(
        heatmap,
        {
            "margin": {"l": 40, "r": 0, "t": 10, "b": 24},
            "xaxis": {"range": [0, seconds], "dtick": 0.5, "ticksuffix": " s", **axes},
            "yaxis": {"tickvals": ticks, "ticktext": [f"z {tick}" for tick in ticks], **axes},
        },
    )
