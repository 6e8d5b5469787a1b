"""A list of one system's checkpoints, with the choice kept in the address."""

import streamlit as st

from core.checkpoints.checkpoint import Checkpoint, list_checkpoints


def choose(
    label: str, system: str, default: str, key: str, *, width: int = 220
) -> Checkpoint | None:
    """The chosen checkpoint of a system, at first `default`; None where the system has none."""
    found = {checkpoint.name: checkpoint for checkpoint in list_checkpoints(system)}
    names = list(found)
    name = st.selectbox(
        label,
        names,
        index=names.index(default) if default in names else 0,
        key=key,
        bind="query-params",
        width=width,
        disabled=not names,
        help="A checkpoint: a trained model in the folder checkpoints.",
    )
    return found.get(name)
