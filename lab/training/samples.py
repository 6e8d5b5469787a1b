"""What a run's model makes of validation clips, step by step: maps of latents, and sounds."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from lab.training import latents, runs
from lab.widgets import player

SOUNDS_IN_ROW = 4
SPACES: dict[str, runs.Space] = {"Global latent v": "v", "Local latents z, mean over time": "z"}
SAMPLES_HELP = (
    "What the model made of validation clips at the chosen step. TS-DSAE: their latents on a map, "
    "and two clips of different labels, reconstructed from their own latents and with their global "
    "latents swapped."
)
MAP_HELP = (
    "Up to 240 validation clips on two principal components, centred. One PCA is fitted to all "
    "steps together and both axes have one scale: as the slider moves, points move and axes stay. "
    "Colours are the label that v should carry: they should separate in v and mix in z."
)


def draw(name: str) -> None:
    """Draw maps and sounds at a step that a slider chooses. Nothing without samples."""
    states = runs.states(name)
    if not states:
        return
    steps, key, seen = list(states), f"step/{name}", f"seen/{name}"
    if st.session_state.get(key) in (None, st.session_state.get(seen)):
        st.session_state[key] = steps[-1]  # who looks at the latest moves on to the next
    st.session_state[seen] = steps[-1]
    st.header("Samples during training", anchor=False, help=SAMPLES_HELP)
    step = steps[0]
    if len(steps) > 1:
        step = st.select_slider("Step", steps, key=key, format_func="{:,}".format)
    else:
        st.caption(f"Step {step:,}. More follow.")
    _maps(name, states, step)
    _sounds(runs.sounds(states[step]), step)


def _maps(name: str, states: dict[int, Path], step: int) -> None:
    every = {title: runs.latents(states, space) for title, space in SPACES.items()}
    found = {title: trajectory for title, trajectory in every.items() if trajectory}
    for column, (title, trajectory) in zip(st.columns(2), found.items(), strict=False):
        with column:
            latents.draw(title, trajectory, step, key=f"{title}/{name}", help=MAP_HELP)


def _sounds(files: list[Path], step: int) -> None:
    for start in range(0, len(files), SOUNDS_IN_ROW):
        row = files[start : start + SOUNDS_IN_ROW]
        places = st.columns(SOUNDS_IN_ROW, vertical_alignment="bottom")
        for number, (column, file) in enumerate(zip(places, row, strict=False), start):
            with column:
                title = file.stem.split(" ", 1)[-1]
                st.caption(f"{title[0].upper()}{title[1:]}")
                player.player(
                    file.read_bytes(),
                    key=f"sample_{number}",
                    name=f"{title}, step {step}",
                    group="samples",
                )
