"""A mixer: channels play together, and changed levels, mutes and solos take effect at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from lab.widgets import sound_table

LOWEST, HIGHEST, STEP = -30.0, 12.0, 0.5  # dB
CSS = """
.mixer { display: flex; flex-direction: column; gap: 0.5rem; padding: 3px;
  font-variant-numeric: tabular-nums; }
.mixer .transport { display: flex; gap: 0.75rem; align-items: center; }
.mixer .transport input[type=range] { flex: 1; }
.mixer button { border: 1px solid var(--st-border-color); border-radius: var(--st-base-radius);
  background: var(--st-background-color); color: var(--st-text-color); font: inherit;
  cursor: pointer; height: 2.25rem; min-width: 2.25rem; padding: 0 0.5rem; }
.mixer button:hover { border-color: var(--st-primary-color); }
.mixer button:disabled { opacity: 0.5; cursor: default; }
.mixer button:focus-visible, .mixer input:focus-visible {
  outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
.mixer .play { min-width: 5.75rem; background: var(--st-primary-color);
  color: var(--st-background-color); border-color: var(--st-primary-color); }
.mixer button[aria-pressed=true].toggle { background: color-mix(in srgb,
  var(--st-primary-color) 22%, var(--st-background-color));
  border-color: var(--st-primary-color); font-weight: 600; }
.mixer .strip { display: grid; align-items: center; gap: 0.5rem;
  grid-template-columns: minmax(5.2rem, 0.7fr) auto auto minmax(3.5rem, 2fr) 3.8rem;
  font-size: 0.9rem; }
.mixer .strip button { height: 2rem; min-width: 2rem; }
.mixer .strip .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.mixer .strip.off .name, .mixer .strip.off output { opacity: 0.5; }
.mixer output { text-align: right; white-space: nowrap; }
.mixer input[type=range] { accent-color: var(--st-primary-color); min-width: 0; width: 100%;
  cursor: pointer; }
.mixer .foot { display: flex; justify-content: space-between; align-items: center;
  font-size: 0.85rem; }
.mixer .foot label { display: flex; gap: 0.4rem; align-items: center; cursor: pointer; }
.mixer .foot input { accent-color: var(--st-primary-color); }
"""
_MIXER = st.components.v2.component(
    "ravel_mixer",
    html="<div class='mixer' role='group' aria-label='Mixer'></div>",
    css=CSS,
    js=(Path(__file__).parent / "mixer.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


class Strip(NamedTuple):
    """A channel's settings: its level in dB, and whether it is muted or soloed."""

    level: float = 0.0
    mute: bool = False
    solo: bool = False


def show(
    sounds: Sequence[bytes],
    names: Sequence[str],
    strips: Sequence[Strip],
    *,
    key: str,
    token: str,
    on_change: Callable[[], None],
) -> None:
    """Draw the mixer for WAV files of one length, set to `strips`.

    A moved control calls `on_change`, in which `moved(key)` returns the settings of all of them.
    With another `token` the controls are set to `strips` again.
    """
    tracks = [{"id": _id(wav), "name": name} for wav, name in zip(sounds, names, strict=True)]
    data = {
        "token": token,
        "tracks": tracks,
        "strips": [strip._asdict() for strip in strips],
        "lowest": LOWEST,
        "highest": HIGHEST,
        "step": STEP,
    }
    _MIXER(key=key, data=data, on_levels_change=on_change)
    with st.container(gap=None):
        for number, (wav, track) in enumerate(zip(sounds, tracks, strict=True)):
            sound_table.sound(track["id"], wav, key=f"{key}_{number}")


def moved(key: str) -> str:
    """In `on_change`: the strips as text for `parse`."""
    return str(st.session_state[key]["levels"] or "")


def parse(text: str, count: int) -> list[Strip]:
    """Strips from text such as `-6,m0,s3`, where m is mute and s is solo.

    The text comes from an address: missing or invalid strips get the default settings.
    """
    strips = [_strip(word) for word in text.split(",")][:count]
    return strips + [Strip()] * (count - len(strips))


def _strip(word: str) -> Strip:
    flags = word[: len(word) - len(word.lstrip("ms"))]
    try:
        level = float(word.lstrip("ms"))
    except ValueError:
        return Strip()
    if not LOWEST <= level <= HIGHEST:  # nor is NaN
        return Strip()
    return Strip(level, "m" in flags, "s" in flags)


def decibels(strips: Sequence[Strip]) -> list[float | None]:
    """The level of each channel in the remix; None for one that is muted, or not soloed."""
    alone = any(strip.solo for strip in strips)
    return [None if strip.mute or (alone and not strip.solo) else strip.level for strip in strips]


def _id(wav: bytes) -> str:
    return hashlib.blake2b(wav, digest_size=8).hexdigest()
