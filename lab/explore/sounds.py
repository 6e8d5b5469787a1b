"""Sounds on the Explore page: in cells, as thumbnails in a strip, and with their latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.audio.clip import HOP_SECONDS
from core.service import Rendering
from lab.widgets import heatmap, page, player, spectrogram
from lab.widgets.cell import Cell

if TYPE_CHECKING:
    from core.dsae.latents import Latents

THUMBNAIL = 96  # pixels
TRACK = 220  # pixels


def scale(sounds: Sequence[np.ndarray]) -> spectrogram.Scale:
    """The axes shared by the pictures of log-mels [T, 80]."""
    return spectrogram.Scale(
        loudest=max(float(one.max()) for one in sounds),
        seconds=max((len(one) - 1) * HOP_SECONDS for one in sounds),
    )


def thumbnail(sound: Rendering, shared: spectrogram.Scale, *, key: str, name: str) -> None:
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
    cell: Cell,
    sound: Rendering,
    shared: spectrogram.Scale,
    file_name: str,
    *,
    autoplay: bool = False,
) -> None:
    """Show and play a sound in its cell."""
    cell.log_mel = sound.log_mel
    cell.draw(shared)
    if sound.lowered:
        cell.state(f"Turned down by {sound.lowered:.1f} dB")
    cell.play(sound.wav, file_name, autoplay=autoplay)


def listen(sound: Rendering, latents: Latents, *, key: str, name: str, stem: str) -> None:
    """A player with its downloads below, for narrow columns; `stem` begins the file names."""
    if sound.lowered:
        st.caption(f"Turned down by {sound.lowered:.1f} dB")
    player.player(sound.wav, name=name)
    with st.container(horizontal=True, gap="small"):
        page.download("WAV", sound.wav, f"{stem}.wav", key=f"{key}_wav", mime="audio/wav")
        offer_latents(latents.to_npz, f"{stem}.npz", key=f"{key}_latents")


def offer_latents(data: Callable[[], bytes], name: str, *, key: str) -> None:
    """A download button for latents, packed when clicked."""
    page.download(
        "Latents",
        data,
        name,
        key=key,
        help="The global and the local latents as NumPy arrays. Edited latents have no variance: "
        "their log-variances are minus infinity.",
    )


def tracks(before: Latents, after: Latents) -> None:
    """The local latents before and after an edit, on the same axes and colours."""
    z = [one.z.numpy() for one in (before, after)]
    limit = heatmap.limit_of(z[0])
    seconds = max(len(track) for track in z) * HOP_SECONDS
    titles = ("Local latents of the clip", "Local latents, edited")
    for column, track, title in zip(st.columns(2), z, titles, strict=True):
        with column.container(gap="xsmall"):
            st.markdown(f"**{title}**")
            heatmap.draw(track, limit, seconds, key=f"track_{title}", name=title, height=TRACK)
