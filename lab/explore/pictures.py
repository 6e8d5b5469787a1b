"""What the sections of the Explore page draw: small sounds in a strip, local tracks, messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.audio.clip import HOP_SECONDS
from core.errors import RavelError
from lab.explore.data import Sound
from lab.widgets import player, spectrogram
from lab.widgets.cell import Cell

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from core.dsae.latents import Latents

THUMBNAIL = 96  # pixels
TRACK = 220
SHOWN = 98  # percent of the values lie within the colours' ends
BELOW, ABOVE = "217, 84, 30", "31, 111, 120"  # legible on light and on dark


@contextmanager
def in_words() -> Iterator[None]:
    """Say what is wrong where it happens, and go on with the page."""
    try:
        yield
    except RavelError as error:
        st.error(str(error), icon=":material/error:")


def scale(sounds: Sequence[np.ndarray]) -> spectrogram.Scale:
    """What the pictures of these log-mels [T, 80] share."""
    return spectrogram.Scale(
        loudest=max(float(one.max()) for one in sounds),
        seconds=max((len(one) - 1) * HOP_SECONDS for one in sounds),
    )


def thumbnail(sound: Sound, shared: spectrogram.Scale, *, key: str, name: str) -> None:
    """A small log-mel without axes."""
    figure = spectrogram.figure(sound.log_mel, shared)
    figure.update_traces(showscale=False, hoverinfo="skip", hovertemplate=None)
    figure.update_layout(margin={"l": 0, "r": 0, "t": 0, "b": 0})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    st.plotly_chart(
        figure,
        height=THUMBNAIL,
        key=key,
        alt=f"Log-mel spectrogram. {name}",
        config={"staticPlot": True},
    )


def fill(
    cell: Cell, sound: Sound, shared: spectrogram.Scale, file_name: str, *, autoplay: bool = False
) -> None:
    """Show and play a sound in its cell."""
    cell.log_mel = sound.log_mel
    cell.draw(shared)
    if sound.lowered:
        cell.state(f"Turned down by {sound.lowered:.1f} dB")
    cell.play(sound.wav, file_name, autoplay=autoplay)


def listen(sound: Sound, latents: Latents, *, key: str, name: str, stem: str) -> None:
    """A player with its downloads beneath, for narrow places; `stem` begins the files' names."""
    if sound.lowered:
        st.caption(f"Turned down by {sound.lowered:.1f} dB")
    player.player(sound.wav, name=name)
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "WAV",
            sound.wav,
            f"{stem}.wav",
            "audio/wav",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            key=f"{key}_wav",
        )
        offer_latents(latents.to_npz, f"{stem}.npz", key=f"{key}_latents")


def offer_latents(data: Callable[[], bytes], name: str, *, key: str) -> None:
    """A download button for latents, packed when clicked."""
    st.download_button(
        "Latents",
        data,
        name,
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        key=key,
        help="The global and the local latents as NumPy arrays. What was made by hand has no "
        "spread of its own: its log-variances are minus infinity.",
    )


def tracks(before: Latents, after: Latents) -> None:
    """Both local tracks over time, to the same scales."""
    z = [one.z.numpy() for one in (before, after)]
    limit = limit_of(z[0])
    seconds = max(len(track) for track in z) * HOP_SECONDS
    titles = ("Local latents of the clip", "Local latents, edited")
    for column, track, title in zip(st.columns(2), z, titles, strict=True):
        with column.container(gap="xsmall"):
            st.markdown(f"**{title}**")
            figure = heatmap(track, limit, seconds)
            draw_track(figure, key=f"track_{title}", name=title, height=TRACK)


def draw_track(figure: go.Figure, *, key: str, name: str, height: int) -> None:
    """The heatmap of a track that is called `name`."""
    st.plotly_chart(
        figure,
        height=height,
        key=key,
        alt=f"Heatmap over time, a row for each dimension of z. {name}",
        config={"displayModeBar": False},
    )


def limit_of(z: np.ndarray) -> float:
    """The size of local latents at which colours end: few of them lie beyond."""
    return float(np.percentile(np.abs(z), SHOWN)) or 1.0


def heatmap(z: np.ndarray, limit: float, seconds: float) -> go.Figure:
    """Local latents [T, Z] over time, a row for each dimension; colours end at `limit`."""
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
