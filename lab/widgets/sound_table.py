"""A table of sounds: every cell a button that plays, with figures and a colour of its own."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import streamlit as st

CSS = """
.sound-table { overflow-x: auto; padding: 3px; }
.sound-table table { border-collapse: separate; border-spacing: 3px; width: 100%;
  table-layout: fixed; min-width: calc(var(--columns) * 76px + 84px); }
.sound-table th { font-weight: 400; padding: 0; }
.sound-table th.corner { font-size: 0.75rem; line-height: 1.3; text-align: left;
  vertical-align: bottom; opacity: 0.7; padding: 4px; white-space: pre-line; }
.sound-table td { padding: 0; }
.sound-table button { position: relative; overflow: hidden; width: 100%; height: 4.4rem;
  padding: 4px; border: 1px solid var(--st-border-color); border-radius: var(--st-base-radius);
  color: var(--st-text-color); font: inherit; font-size: 0.78rem; line-height: 1.35;
  font-variant-numeric: tabular-nums; cursor: pointer; background: var(--st-background-color); }
.sound-table td button { background: color-mix(in srgb,
  var(--st-primary-color) calc(var(--share, 0) * 48%), var(--st-background-color)); }
.sound-table th button { background: var(--st-secondary-background-color); height: 3.9rem;
  overflow-wrap: anywhere; }
.sound-table th .text { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2;
  overflow: hidden; }
.sound-table th[scope=row] button { height: 4.4rem; }
.sound-table td.own button { border: 1px dashed color-mix(in srgb, var(--st-text-color) 55%,
  transparent); }
.sound-table button:hover { border-color: var(--st-primary-color); }
.sound-table button:focus-visible { outline: 2px solid var(--st-primary-color);
  outline-offset: 1px; }
.sound-table button:disabled { cursor: progress; opacity: 0.6; }
.sound-table button.plays { border-color: var(--st-primary-color);
  box-shadow: inset 0 0 0 1px var(--st-primary-color); }
.sound-table button .gone { position: absolute; left: 0; bottom: 0; height: 3px; width: 0;
  background: var(--st-primary-color); }
.sound-table .mark { display: block; font-size: 0.7rem; opacity: 0.75; }
.sound-table .legend { display: flex; align-items: center; gap: 0.5rem; font-size: 0.8rem;
  padding: 6px 3px 0; flex-wrap: wrap; }
.sound-table .legend .bar { width: 120px; height: 10px; border-radius: 3px;
  border: 1px solid var(--st-border-color); background: linear-gradient(to right,
  var(--st-background-color), color-mix(in srgb, var(--st-primary-color) 48%,
  var(--st-background-color))); }
.sound-table .legend .own { width: 14px; height: 12px; border-radius: 3px;
  border: 1px dashed var(--st-text-color); margin-left: 0.75rem; opacity: 0.7; }
.sound-table audio { display: none; }
"""
_TABLE = st.components.v2.component(
    "ravel_sound_table",
    html="<div class='sound-table'></div>",
    css=CSS,
    js=(Path(__file__).parent / "sound_table.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)
# Apart from the table: a browser gets each sound once, whatever becomes of the table.
_SOUND = st.components.v2.component(
    "ravel_table_sound",
    html="<span></span>",
    js="""export default ({ data, parentElement }) => {
  const sounds = (window.ravelTableSounds ??= new Map());
  const bytes = Uint8Array.from(atob(data.wav), (c) => c.charCodeAt(0));
  const mine = URL.createObjectURL(new Blob([bytes], { type: "audio/wav" }));
  sounds.set(data.id, mine);
  window.dispatchEvent(new CustomEvent("ravel-table"));
  return () => {
    URL.revokeObjectURL(mine);
    if (sounds.get(data.id) === mine) sounds.delete(data.id);
  };
};""",
)
_FIGURES = st.components.v2.component(
    "ravel_table_figures",
    html="<span></span>",
    js="""export default ({ data }) => {
  (window.ravelTableFigures ??= new Map()).set(data.id, data);
  window.dispatchEvent(new CustomEvent("ravel-table"));
};""",
)


class Cell(NamedTuple):
    """A button: the `id` of its sound and figures, and its `label` for screen readers."""

    id: str
    label: str
    text: str = ""
    own: bool = False  # drawn apart, as the diagonal is


class Legend(NamedTuple):
    """The meaning of the colours from `low` to `high`, and of cells drawn apart."""

    title: str
    low: str
    high: str
    own: str


def show(
    heads: tuple[Sequence[Cell], Sequence[Cell]],
    cells: Sequence[Sequence[Cell]],
    *,
    corner: str,
    legend: Legend,
    key: str,
) -> None:
    """Draw a table whose cells wait for their sounds: `heads` of the rows and of the columns."""
    rows, columns = ([cell._asdict() for cell in head] for head in heads)
    data = {"rows": rows, "columns": columns, "corner": corner, "legend": legend._asdict()}
    _TABLE(key=key, data=data | {"cells": [[cell._asdict() for cell in row] for row in cells]})


def sound(id: str, wav: bytes, *, key: str) -> None:
    """Give the cells `id` their sound; from then on they can be played."""
    _SOUND(key=key, data={"id": id, "wav": base64.b64encode(wav).decode()})


def figures(id: str, lines: Sequence[str], share: float | None, label: str, *, key: str) -> None:
    """Give the cell `id` its lines of text, its share of the colour (0 to 1) and its label."""
    data = {"id": id, "lines": list(lines), "share": share, "label": label}
    _FIGURES(key=key, data=data)
