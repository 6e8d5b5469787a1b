"""Which of a visitor's own files a slot holds: by the file's id, in the address and in the session.

The address outlives a reload and can be opened in another tab; the session remembers the file while
the visitor looks at other pages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.service import uploads
from core.service.uploads import Upload

FILES, ACTIVE = "kept_files", "kept_active"  # in the session: by a slot's key


def parameter(key: str) -> str:
    """The name of a slot's file in the address."""
    return f"{key}_own"


def shown() -> Callable[[], dict[str, str]]:
    """A function for any thread: the ids of the files that slots show by then, by slot."""
    files, active = _of(FILES), _of(ACTIVE)
    return lambda: {key: id for key, id in files.items() if active.get(key)}


def is_held(key: str) -> bool:
    """Whether a slot shows the visitor's own file when its page is opened."""
    return parameter(key) in st.query_params or bool(_of(ACTIVE).get(key))


def show(key: str, active: bool) -> None:
    """Note whether a slot shows own files at present, or an example."""
    _of(ACTIVE)[key] = active and key in _of(FILES)
    if not active:
        st.query_params.pop(parameter(key), None)


def held(key: str) -> Upload | None:
    """The file of a slot, if it has one. Raises RavelError where it is no longer kept."""
    id = st.query_params.get(parameter(key)) or _of(FILES).get(key)
    if id is None:
        return None
    try:
        found = uploads.get(id)
    except Exception:
        forget(key)
        raise
    _hold(key, id)
    return found


def put(key: str, file: Any, name: str) -> Upload:
    """Keep a file that the visitor has just given; the same file is kept once. RavelError."""
    given = _of("kept_given")
    if given.get(key, ("",))[0] != file.file_id:
        before = given.get(key)
        upload = uploads.put(file.getvalue(), name)
        given[key] = file.file_id, upload.id
        if before:
            uploads.remove(before[1])
    _hold(key, given[key][1])
    return uploads.get(given[key][1])


def forget(key: str) -> None:
    """Let a slot be empty; its file is no longer used."""
    for name in (FILES, ACTIVE, "kept_given"):
        _of(name).pop(key, None)
    st.query_params.pop(parameter(key), None)


def _hold(key: str, id: str) -> None:
    _of(FILES)[key], _of(ACTIVE)[key] = id, True
    if st.query_params.get(parameter(key)) != id:
        st.query_params[parameter(key)] = id


def _of(name: str) -> dict[str, Any]:
    return st.session_state.setdefault(name, {})
