"""Latents of a few clips on fixed axes, at one step of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from lab.map.plot import CATEGORIES, OTHER
from lab.widgets.run_chart import colours

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from core.dsae.trajectory import Trajectory

HEIGHT = 330
MARGIN = 1.08


def figure(trajectory: Trajectory, step: int) -> go.Figure:
    """The clips at one step, a colour for each label; both axes to one scale."""
    import plotly.graph_objects as go

    at, labels = trajectory.points[trajectory.steps.index(step)], _frequent(trajectory.labels)
    values, palette = np.unique(labels), colours()
    traces = [
        go.Scatter(
            x=at[labels == value, 0].round(4),
            y=at[labels == value, 1].round(4),
            name=value or "unknown",
            mode="markers",
            marker={"size": 6, "opacity": 0.8, "color": palette[number % len(palette)]},
            hovertemplate="%{x:.3g}, %{y:.3g}",
        )
        for number, value in enumerate(values)
    ]
    reach = MARGIN * trajectory.reach or 1.0
    axis = {"range": [-reach, reach], "zeroline": False, "tickformat": "~g", "nticks": 6}
    first, second = (f"PC {i + 1} ({share:.0%})" for i, share in enumerate(trajectory.shares[:2]))
    layout = {
        "margin": {"l": 52, "r": 8, "t": 30, "b": 40},
        "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "title": ""},
        "showlegend": True,
        "xaxis": axis | {"title": {"text": first}},
        "yaxis": axis | {"title": {"text": second}, "scaleanchor": "x", "scaleratio": 1},
        "uirevision": "kept",
    }
    return go.Figure(traces, layout)


def draw(title: str, trajectory: Trajectory, step: int, *, key: str, help: str) -> None:
    """The titled map, or a caption at a step whose latents were not saved."""
    with st.container(gap="xsmall", height=HEIGHT + 30, border=False):
        st.markdown(f"**{title}**", help=help)
        if step not in trajectory.steps:
            st.caption("The latents of this step were not saved.")
            return
        st.plotly_chart(
            figure(trajectory, step),
            height=HEIGHT,
            key=key,
            alt=f"{title} at step {step}",
            config={"displayModeBar": False},
        )


def _frequent(labels: np.ndarray) -> np.ndarray:
    found, counts = np.unique(labels, return_counts=True)
    if len(found) <= CATEGORIES:
        return labels.astype(str)
    kept = found[np.argsort(-counts, kind="stable")[: CATEGORIES - 1]]
    return np.where(np.isin(labels, kept), labels, OTHER).astype(str)
