"""A list of the trained models of one system, of which one is chosen and kept in the address."""

import streamlit as st

from core.checkpoints.checkpoint import Checkpoint, list_checkpoints


def choose(
    label: str, system: str, default: str, key: str, *, width: int = 220
) -> Checkpoint | None:
    """A checkpoint of a system, `default` unless another is chosen; None where there is none."""
    known = {checkpoint.name: checkpoint for checkpoint in list_checkpoints(system)}
    names = list(known)
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
    return known.get(name)
