"""Which part of a longer recording is used: its waveform, with a window to move over it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import streamlit as st

CSS = """
.part { font-size: 0.85rem; color: var(--st-text-color); font-variant-numeric: tabular-nums;
  padding: 3px; }
.part .track { position: relative; height: 56px; background: var(--st-secondary-background-color);
  border-radius: var(--st-base-radius); cursor: pointer; touch-action: pan-y; overflow: hidden; }
.part canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.part .window { position: absolute; top: 0; bottom: 0; box-sizing: border-box; cursor: grab;
  min-width: 8px; border: 2px solid var(--st-primary-color); border-radius: 6px;
  box-shadow: 0 0 0 9999px color-mix(in srgb, var(--st-background-color) 62%, transparent); }
.part .window:active { cursor: grabbing; }
.part .window:focus-visible { outline: 2px solid var(--st-text-color); outline-offset: -4px; }
.part .words { padding-top: 2px; }
"""
_PART = st.components.v2.component(
    "ravel_part",
    html="<div class='part'></div>",
    css=CSS,
    js=(Path(__file__).parent / "part.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def choose(
    key: str,
    label: str,
    peaks: np.ndarray,
    *,
    duration: float,
    length: float,
    of: str,
    name: str = "",
) -> float:
    """Let the visitor move a window of `length` s over a recording; returns its start in s.

    `peaks` [steps, 2] is the recording's overview, `of` its id, and `name` is shown beside it. The
    address keeps the start as `key`, until another recording is there.
    """
    last = math.floor(10 * (duration - length) + 1e-6) / 10
    held = st.session_state.get(f"{key}_held")  # for a visitor who comes back from another page
    if held and held[0] != of:
        held = None
        st.query_params.pop(key, None)
    wanted = _read(st.query_params[key]) if key in st.query_params else held[1] if held else 0.0
    start = min(max(0.0, wanted), last)
    _keep(key, of, start)
    data = {
        "label": label,
        "peaks": np.rint(100 * peaks).astype(int).tolist(),
        "duration": duration,
        "length": length,
        "start": start,
        "of": of,
        "name": name,
    }
    _PART(key=f"{key}_window", data=data, on_start_change=lambda: _moved(key, of))
    return start


def _moved(key: str, of: str) -> None:
    _keep(key, of, float(st.session_state[f"{key}_window"]["start"] or 0))


def _read(text: str) -> float:
    """A start from an address, in steps of 0.1 s; 0 where it is none."""
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return round(seconds, 1) if math.isfinite(seconds) else 0.0


def _keep(key: str, of: str, start: float) -> None:
    st.session_state[f"{key}_held"] = of, start
    text = f"{start:.1f}" if start else None
    if text == st.query_params.get(key):
        return
    if text:
        st.query_params[key] = text
    else:
        st.query_params.pop(key, None)
