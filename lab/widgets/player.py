"""A player at true level: players that normalise would hide differences in loudness."""

import io

import numpy as np
import soundfile
import streamlit as st

HEIGHT = 54

# Two sounds at once cannot be compared: starting one player pauses the others.
ONE_AT_A_TIME = """
<script>
if (!window.onePlayerAtATime) {
  window.onePlayerAtATime = true;
  document.addEventListener("play", (event) => {
    for (const player of document.querySelectorAll("audio"))
      if (player !== event.target) player.pause();
  }, true);
}
</script>
"""


def player(wav: bytes, *, name: str, autoplay: bool = False) -> None:
    """Play a WAV file as it is: st.audio brings arrays to full scale, but leaves files alone."""
    st.audio(wav, format="audio/wav", alt=name, autoplay=autoplay)


def one_at_a_time() -> None:
    """Let every player on the page pause the others when it starts."""
    st.html(ONE_AT_A_TIME, unsafe_allow_javascript=True)


def level(wav: bytes) -> str:
    """How loud a WAV file gets, in words: 'Peak −3.1 dBFS' (dB below full scale)."""
    samples, _ = soundfile.read(io.BytesIO(wav), dtype="float32")
    peak = float(np.abs(samples).max(initial=0))
    if not peak:
        return "Silent"
    decibels = f"{20 * np.log10(peak):.1f}"
    return f"Peak {'0.0' if decibels == '-0.0' else decibels.replace('-', '−')} dBFS"
