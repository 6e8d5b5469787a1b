"""A form made from a config's schema: a field for each flag of the command line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic import BaseModel

from core.training.config import flat_fields

COLUMNS = 4


def form(
    schema: type[BaseModel],
    values: Mapping[str, Any],
    *,
    key: str,
    without: Collection[str] = (),
    renewed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Draw a tab for each section and return what the fields hold, by dotted name.

    Numbers are text, as on the command line, and `none` is none, so that both have the same
    validation. A new `key` gives new fields, and a new word in `renewed` a new field of that name.
    """
    sections: dict[str, list[str]] = {}
    fields = {n: f for n, f in flat_fields(schema).items() if "." in n and n not in without}
    for name in fields:
        sections.setdefault(name.split(".")[0], []).append(name)
    held: dict[str, Any] = {}
    for tab, names in zip(
        st.tabs([section.capitalize() for section in sections]), sections.values(), strict=True
    ):
        for start in range(0, len(names), COLUMNS):
            row = names[start : start + COLUMNS]
            for column, name in zip(tab.columns(COLUMNS), row, strict=False):
                with column:
                    of = f"{key} {(renewed or {}).get(name, '')}".rstrip()
                    held[name] = _field(name, fields[name], _value(values, name), of)
    return held


def changed(base: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Which fields differ from `base`, as text: "training.steps 5000 → 300"; "" for none."""
    before = {name: text(_value(base, name)) for name in given}
    now = {name: text(value) for name, value in given.items()}
    return ", ".join(f"{n} {before[n]} → {now[n] or '?'}" for n in given if now[n] != before[n])


def text(value: Any) -> str:
    """A setting as it is typed: 0.003, 5000, none; a list as 0, 500."""
    if isinstance(value, tuple | list):
        return ", ".join(map(text, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _value(values: Mapping[str, Any], name: str) -> Any:
    section, _, setting = name.partition(".")
    return values[section][setting]


def _field(name: str, field: Any, value: Any, key: str) -> Any:
    label = name.split(".")[1]
    about: dict[str, Any] = {"key": f"{key}/{name}", "help": _help(name, field)}
    if get_origin(field.annotation) is Literal:
        choices = list(get_args(field.annotation))
        return st.selectbox(label, choices, index=choices.index(value), **about)
    if field.annotation is bool:
        st.space("small")
        return st.toggle(label, value, **about)
    typed = st.text_input(label, text(value), **about).strip()
    return None if typed.lower() == "none" else typed


def _help(name: str, field: Any) -> str:
    described = field.description[0].upper() + field.description[1:]
    return f"{described}. Default: {text(field.default)}. On the command line: `--{name}`."
