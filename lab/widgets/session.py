"""A button for a page's session: saved as one zip file, opened from one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from core.audio.clip import wav_bytes
from core.checkpoints.checkpoint import list_checkpoints
from core.errors import RavelError
from core.service import corpora, sessions, uploads
from core.service.sessions import Choices, Session
from lab.widgets import kept, page

ABOUT = (
    "Your files, the settings of this page and its results as one zip file. Another lab opens it "
    "with the same files and settings."
)
SENT = "_clip"  # ends the parameter of a clip that the Map sent


@dataclass
class Menu:
    """The button of a page; the page sets `results` once they exist: files by name."""

    results: Callable[[], Mapping[str, bytes]] = dict


def menu(name: str) -> Menu:
    """Draw the button of the page `name`, one of `sessions.PAGES`."""
    made, address, shown = Menu(), _address(), kept.shown()

    def save() -> bytes:  # runs when it is clicked, outside of the page: it may not ask for state
        return sessions.pack(_session(name, address, shown()), made.results())

    with st.popover("Session", icon=":material/work_history:", type="tertiary"):
        st.caption(ABOUT)
        page.download(
            "Save this session",
            save,
            f"ravel-{name}.zip",
            key="session_save",
            mime="application/zip",
        )
        given = st.file_uploader("Open a session", ["zip"], key="session_open")
        if given is not None:
            with page.show_errors():
                _open(given)
    return made


def _address() -> Choices:
    every = {key: st.query_params.get_all(key) for key in st.query_params}
    return {key: values[0] if len(values) == 1 else values for key, values in every.items()}


def _session(name: str, address: Choices, held: Mapping[str, str]) -> Session:
    """The session of a page: a clip of a corpus becomes a file, as the other lab may lack it."""
    files, choices = {}, {}
    for key, value in address.items():
        if key.endswith(SENT) and isinstance(value, str):
            clip = corpora.clip_by_reference(value)
            files[kept.parameter(key.removesuffix(SENT))] = f"{clip.name}.wav", wav_bytes(clip.wave)
        elif not sessions.OWN.fullmatch(key):
            choices[key] = value
    for slot, id in held.items():
        upload = uploads.get(id)
        files[kept.parameter(slot)] = upload.name, upload.path.read_bytes()
    values = {text for value in choices.values() for text in _texts(value)}
    models = {one.name: one.digest for one in list_checkpoints() if one.name in values}
    return Session(name, choices, files, models)


def _open(given: Any) -> None:
    """Keep the files of a session, and go to its page."""
    session = sessions.unpack(given.getvalue())
    digests = {one.name: one.digest for one in list_checkpoints() if one.name in session.models}
    missing = [name for name in session.models if name not in digests]
    if missing:
        raise RavelError(
            f"This lab has no checkpoint called {', '.join(missing)}: put it into the folder "
            "checkpoints, then open the session again."
        )
    opened = st.session_state.setdefault("session_opened", {})
    if given.file_id not in opened:
        opened[given.file_id] = sessions.restore(session)
    others = [name for name, digest in session.models.items() if digests[name] != digest]
    path = "" if session.page == "swap" else session.page
    target = f"./{path}?{urlencode(opened[given.file_id], doseq=True)}"
    if others:
        st.warning(
            f"Here {', '.join(map(page.plain, others))} is another version than the session was "
            "made with: results will differ."
        )
        st.link_button("Open it", target)
        return
    # A new load of the page: what this one's widgets hold would otherwise stand in its way.
    script = f"<script>window.location.href = {json.dumps(target)}</script>"
    st.html(script, unsafe_allow_javascript=True)


def _texts(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
