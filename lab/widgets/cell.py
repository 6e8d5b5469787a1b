"""A cell of a comparison: a title, and a log-mel with its playhead and player beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from lab.widgets import page, player, sound_view

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
    """Places reserved at once and filled as results arrive, so that the layout does not jump.

    Cells of one `group` share a transport; without one a cell is on its own. `short` is its name in
    the bar of the group. `silent`: it has no sound, only a picture.
    """

    def __init__(
        self,
        key: str,
        title: str,
        detail: str = "",
        *,
        group: str = "",
        short: str = "",
        silent: bool = False,
    ) -> None:
        self.key = key
        self.name = f"{title} ({detail})" if detail else title
        self.wav: bytes | None = None
        self.log_mel: np.ndarray | None = None  # natural, [T, 80]
        with st.container(gap="xsmall"):
            with st.container(
                horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
            ):
                st.markdown(f"**{title}** :gray[{detail}]" if detail else f"**{title}**")
                self.facts = st.container(
                    horizontal=True, vertical_alignment="center", width="content"
                )
            with st.container(gap=None):
                self._view, self._sound, self._picture = st.empty(), st.empty(), st.empty()
                with self._view:
                    sound_view.panel(
                        key, self.name, group=group or key, short=short or title, silent=silent
                    )
            self.below = st.container(gap="xsmall")

    def expect(self, *, picture: bool = False, sound: bool = False) -> None:
        """Take away what was there before, while a picture or a sound is being made."""
        if sound:
            with self._sound:
                sound_view.wait(self.key)
        if picture:
            self._picture.empty()

    def give_up(self) -> None:
        """Remove the panel."""
        for place in (self._view, self._sound, self._picture):
            place.empty()

    def draw(self, scale: sound_view.Scale, pitch: Pitch | None = None) -> None:
        """Show `log_mel`, with a pitch contour over it if given."""
        assert self.log_mel is not None
        with self._picture:
            sound_view.picture(self.key, self.log_mel, scale, pitch)

    def play(self, wav: bytes, file_name: str | None = None, *, autoplay: bool = False) -> None:
        """Give it its sound, started at once with `autoplay`; with a name, offer it as a file."""
        self.wav = wav
        self.state(player.level(wav))
        with self._sound:
            sound_view.sound(self.key, wav, autoplay=autoplay)
        if file_name:
            page.download(
                "WAV", wav, file_name, key=f"{self.key}_wav", mime="audio/wav", place=self.facts
            )

    def state(self, fact: str) -> None:
        """A figure about the sound, beside the title."""
        self.facts.caption(fact, width="content")

    def leave_empty(self, text: str) -> None:
        """Show what is missing in place of the panel."""
        self.give_up()
        with self._view.container(
            border=True,
            height=sound_view.HEIGHT,
            horizontal_alignment="center",
            vertical_alignment="center",
        ):
            st.caption(text, text_alignment="center")
