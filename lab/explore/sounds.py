"""Sounds on the Explore page: in cells, as thumbnails in a strip, and with their latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.audio.clip import HOP_SECONDS
from core.service import Rendering
from lab.widgets import heatmap, page, sound_view
from lab.widgets.cell import Cell
from lab.widgets.sound_view import Scale

if TYPE_CHECKING:
    from core.dsae.latents import Latents

THUMBNAIL = 80  # pixels: one for each band
TRACK = 220  # pixels


def scale(sounds: Sequence[np.ndarray]) -> Scale:
    """The axes shared by the pictures of log-mels [T, 80]."""
    return Scale(
        loudest=max(float(one.max()) for one in sounds),
        seconds=max((len(one) - 1) * HOP_SECONDS for one in sounds),
    )


def thumbnail(
    sound: Rendering,
    latents: Latents,
    shared: Scale,
    *,
    key: str,
    name: str,
    stem: str,
    group: str,
) -> None:
    """A small log-mel without axes, its player, and the downloads below, for narrow columns.

    `stem` begins the file names; the thumbnails of one `group` share a transport.
    """
    with st.container(gap=None):
        sound_view.panel(key, name, group=group, look="thumb", height=THUMBNAIL)
        sound_view.sound(key, sound.wav)
        sound_view.picture(key, sound.log_mel, shared)
    if sound.lowered:
        st.caption(f"Turned down by {sound.lowered:.1f} dB")
    with st.container(horizontal=True, gap="small"):
        page.download("WAV", sound.wav, f"{stem}.wav", key=f"{key}_wav", mime="audio/wav")
        offer_latents(latents.to_npz, f"{stem}.npz", key=f"{key}_latents")


def fill(
    cell: Cell,
    sound: Rendering,
    shared: Scale,
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
