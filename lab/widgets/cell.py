"""A cell of a comparison: a title, a log-mel, and its player with its level beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from lab.widgets import page, player, spectrogram

if TYPE_CHECKING:
    from core.audio.pitch import Pitch

# Streamlit fades elements that the current run of the page has not drawn again yet.
STEADY = """
<style>
.stElementContainer { opacity: 1 !important; transition: none !important; }
</style>
"""


def steady() -> None:
    """Keep this page's elements as they are until they are drawn again.

    For a page whose cells show placeholders. Elements would start to fade only after half a second,
    but the browser prepares an animation and a layer for each of them in every run.
    """
    st.html(STEADY)


class Cell:
    """Places reserved at once and filled as results arrive, so that the layout does not jump."""

    def __init__(self, key: str, title: str, detail: str = "") -> None:
        self.key = key
        self.name = f"{title} ({detail})" if detail else title
        self.wav: bytes | None = None
        self.log_mel: np.ndarray | None = None  # natural, [T, 80]
        with st.container(gap="xsmall"):
            with st.container(
                horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
            ):
                st.markdown(f"**{title}** :gray[{detail}]" if detail else f"**{title}**")
                self.facts = st.container(horizontal=True, width="content")
            self.picture = st.container()
            self.sound = st.container()
            self.below = st.container(gap="xsmall")

    def expect(self, *, picture: bool = False, sound: bool = False) -> None:
        """Show placeholders for a picture or a sound that is being made."""
        if picture:
            self.picture = self.picture.skeleton(spectrogram.HEIGHT)
        if sound:
            self.sound = self.sound.skeleton(player.HEIGHT)

    def give_up(self) -> None:
        """Remove the placeholders."""
        self.picture.empty()
        self.sound.empty()

    def draw(self, scale: spectrogram.Scale, pitch: Pitch | None = None) -> None:
        """Show `log_mel`, with a pitch contour over it if given."""
        assert self.log_mel is not None
        self.picture.plotly_chart(
            spectrogram.figure(self.log_mel, scale, pitch),
            height=spectrogram.HEIGHT,
            key=f"{self.key}_picture",
            alt=f"Log-mel spectrogram. {self.name}",
            config={"displayModeBar": False},
        )

    def play(self, wav: bytes, file_name: str | None = None, *, autoplay: bool = False) -> None:
        """Add a player, which starts at once with `autoplay`, and with a name a download button."""
        self.wav = wav
        self.state(player.level(wav))
        with self.sound.container(
            horizontal=True, vertical_alignment="center", gap="small", wrap=False
        ):
            player.player(wav, name=self.name, autoplay=autoplay)
            if file_name:
                page.download("WAV", wav, file_name, key=f"{self.key}_wav", mime="audio/wav")

    def state(self, fact: str) -> None:
        """A figure about the sound, beside the title."""
        self.facts.caption(fact, width="content")

    def leave_empty(self, text: str) -> None:
        """Show what is missing in place of the picture."""
        with self.picture.container(
            border=True,
            height=spectrogram.HEIGHT,
            horizontal_alignment="center",
            vertical_alignment="center",
        ):
            st.caption(text, text_alignment="center")
