"""A player at true level: players that normalise would hide differences in loudness."""

import io

import numpy as np
import soundfile
import streamlit as st

from lab.widgets import sound_view

HEIGHT = 40


def player(
    wav: bytes,
    *,
    key: str,
    name: str,
    group: str = "",
    autoplay: bool = False,
    picture: tuple[np.ndarray, sound_view.Scale] | None = None,
    height: int = HEIGHT,
) -> None:
    """Play a WAV file as it is, in one line with its waveform, or with its log-mel if given.

    `key` is its own on the page.
    """
    with st.container(gap=None):
        sound_view.panel(key, name, group=group or key, look="row", height=height)
        sound_view.sound(key, wav, autoplay=autoplay)
        if picture:
            sound_view.picture(key, *picture)


def level(wav: bytes) -> str:
    """How loud a WAV file gets, in words: 'Peak −3.1 dBFS' (dB below full scale)."""
    samples, _ = soundfile.read(io.BytesIO(wav), dtype="float32")
    peak = float(np.abs(samples).max(initial=0))
    if not peak:
        return "Silent"
    decibels = f"{20 * np.log10(peak):.1f}"
    return f"Peak {'0.0' if decibels == '-0.0' else decibels.replace('-', '−')} dBFS"
