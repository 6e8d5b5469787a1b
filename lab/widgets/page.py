"""What every page repeats: rows, download buttons, errors in place, names as plain text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import RavelError

T = TypeVar("T")


def plain(text: str) -> str:
    """A name with its Markdown characters escaped: file names may hold any of them."""
    return re.sub(r"([\\`*_\[\]<>:$~|#])", r"\\\1", text)


@contextmanager
def show_errors(place: Any = st, *, stop: bool = False) -> Iterator[None]:
    """Show a RavelError in `place` and continue after the block, or end the page with `stop`."""
    try:
        yield
    except RavelError as error:
        place.error(str(error), icon=":material/error:")
        if stop:
            st.stop()


def row(align: Literal["center", "bottom"] = "center") -> DeltaGenerator:
    """A row with its contents at both ends: a title on the left, its controls on the right."""
    return st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment=align
    )


def controls(align: Literal["top", "center", "bottom"] = "top") -> DeltaGenerator:
    """Controls side by side, as wide as they are."""
    return st.container(horizontal=True, gap="medium", width="content", vertical_alignment=align)


def download(
    label: str,
    data: bytes | Callable[[], bytes],
    name: str,
    *,
    key: str,
    mime: str | None = None,
    help: str | None = None,
    disabled: bool = False,
    place: Any = st,
) -> None:
    """A download button; a file that is given as a function is made when it is clicked."""
    place.download_button(
        label,
        data,
        name,
        mime,
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",  # a download changes nothing on the page: no rerun
        key=key,
        help=help,
        disabled=disabled,
        width="content",
    )


def choice(room: str, label: str, options: Sequence[T], help: str | None = None) -> T:
    """One of a few options, the first by default; the address keeps it as ROOM_LABEL."""
    return st.segmented_control(
        label,
        options,
        default=options[0],
        required=True,
        key=f"{room}_{label.lower()}",
        bind="query-params",
        width="content",
        help=help,
    )


def no_model(kind: str, command: str = "python -m core train", place: Any = st) -> None:
    """Explain how to get a checkpoint where there is none of this kind."""
    place.info(
        f"Train one with `{command}`, then add it to the folder checkpoints with "
        "`python -m core export`.",
        title=f"There is no trained {kind} yet",
        icon=":material/model_training:",
    )
