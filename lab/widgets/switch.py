"""Renderings of one thing to switch between while they play, to be compared in place."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import streamlit as st

CSS = """
.switch { display: flex; flex-direction: column; gap: 0.6rem; align-items: center; padding: 3px; }
.switch .keys { display: flex; flex-wrap: wrap; gap: 0.75rem; width: 100%;
  justify-content: center; }
.switch button { flex: 0 1 170px; height: 6.5rem; border: 1px solid var(--st-border-color);
  border-radius: var(--st-base-radius); background: var(--st-secondary-background-color);
  color: var(--st-text-color); font: inherit; cursor: pointer; }
.switch button .letter { display: block; font-size: 2rem; font-weight: 600; line-height: 1.2; }
.switch button .hint { font-size: 0.8rem; opacity: 0.75; }
.switch button:hover { border-color: var(--st-primary-color); }
.switch button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
.switch button.plays { border-color: var(--st-primary-color);
  box-shadow: inset 0 0 0 1px var(--st-primary-color); background: color-mix(in srgb,
  var(--st-primary-color) 18%, var(--st-background-color)); }
.switch .track { width: 100%; max-width: 560px; height: 4px; border-radius: 2px;
  background: var(--st-border-color); }
.switch .gone { width: 0; height: 100%; border-radius: 2px; background: var(--st-primary-color); }
.switch label { display: flex; gap: 0.4rem; align-items: center; font-size: 0.85rem;
  cursor: pointer; }
.switch input { accent-color: var(--st-primary-color); }
"""
_SWITCH = st.components.v2.component(
    "ravel_switch",
    html="<div class='switch'></div>",
    css=CSS,
    js=(Path(__file__).parent / "switch.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def show(sounds: Mapping[str, bytes], *, key: str) -> None:
    """Buttons that play WAV files of one length, by their letters; keys 1, 2, 3 do the same.

    Another letter goes on where the one before has come to; the same letter again stops it.
    """
    tracks = [[letter, base64.b64encode(wav).decode()] for letter, wav in sounds.items()]
    _SWITCH(key=key, data={"tracks": tracks})
