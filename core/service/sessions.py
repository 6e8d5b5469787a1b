"""A visitor's work on one page as a zip file, which another lab opens: files, settings, results.

session.json names the page, its settings (the parameters of its address) and the visitor's files;
these lie in files/, and what the page made of them in results/, for people. A zip may come from
anybody: it is checked whole before anything of it is kept.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from core.errors import RavelError
from core.service import uploads

FORMAT, VERSION = "ravel session", 1
ABOUT, FILES, RESULTS = "session.json", "files/", "results/"
PAGES = ("swap", "explore", "separate", "remix", "find")
MAX_ZIP = 50 * 2**20  # what the lab's uploader takes
MAX_UNPACKED = 200 * 2**20
MAX_ENTRIES, MAX_CHOICES, MAX_TEXT, MAX_ABOUT = 300, 100, 500, 2**20
PARAMETER = re.compile(r"[A-Za-z][\w .:()-]{0,99}")
OWN = re.compile(r"[a-z][a-z0-9_]{0,40}_own")  # the parameter that holds the id of a file

Choices = dict[str, str | list[str]]


class Session(NamedTuple):
    """A page by its name, the parameters of its address, the visitor's files (a name and a
    content) by the parameter that holds each one's id, and digests of checkpoints by name."""

    page: str
    choices: Choices
    files: dict[str, tuple[str, bytes]]
    models: dict[str, str]


def pack(session: Session, results: Mapping[str, bytes]) -> bytes:
    """A session and the files of its results, by name, as a zip. RavelError if it is too large."""
    listed = {}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (parameter, (name, data)) in enumerate(session.files.items()):
            listed[parameter] = {"file": f"{FILES}{number}", "name": name}
            archive.writestr(f"{FILES}{number}", data)
        for name, data in results.items():
            archive.writestr(RESULTS + re.sub(r"[^\w .()-]", "-", name).lstrip("."), data)
        about = {"format": FORMAT, "version": VERSION, "page": session.page}
        about |= {"choices": session.choices, "files": listed, "models": session.models}
        archive.writestr(ABOUT, json.dumps(about, indent=2, ensure_ascii=False))
    if len(packed.getvalue()) > MAX_ZIP:
        raise RavelError(
            f"The session has {len(packed.getvalue()) / 1e6:.0f} MB, more than the "
            f"{MAX_ZIP / 1e6:.0f} MB that a lab opens: use shorter recordings."
        )
    return packed.getvalue()


def unpack(data: bytes) -> Session:
    """The session in a zip; nothing is written. Raises RavelError for any other file."""
    if len(data) > MAX_ZIP:
        raise RavelError(f"The file has more than {MAX_ZIP / 1e6:.0f} MB: it cannot be opened.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_entries(archive.infolist())
            about = _about(archive)
            return Session(
                about["page"],
                _choices(about.get("choices")),
                _files(archive, about.get("files")),
                _models(about.get("models")),
            )
    except RavelError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds for damaged and unusual files
        raise RavelError(
            f"The file is no readable zip ({error}): give one that Save this session made."
        ) from error


def restore(session: Session) -> Choices:
    """Keep the session's files under new ids; returns the parameters of the page's address.

    Either all files are kept or none. Raises RavelError.
    """
    kept: dict[str, str | list[str]] = {}
    try:
        for parameter, (name, data) in session.files.items():
            kept[parameter] = uploads.put(data, name).id
    except RavelError:
        for id in kept.values():
            uploads.remove(str(id))
        raise
    return session.choices | kept


def _check_entries(entries: Sequence[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    for name in names:
        inside = name == ABOUT or (name.startswith((FILES, RESULTS)) and "/" in name)
        parts = re.split(r"[/\\]", name)
        if not inside or ".." in parts or "\\" in name or "\0" in name or len(parts) > 2:
            raise RavelError(f"The zip holds {name[:80]!r}, which is no part of a session.")
    if len(names) > MAX_ENTRIES or len(set(names)) < len(names):
        raise RavelError("The zip holds too many files, or one name twice: it is no session.")
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise RavelError(f"The zip would unpack to more than {MAX_UNPACKED / 1e6:.0f} MB.")
    if any(entry.flag_bits & 1 for entry in entries):
        raise RavelError("The zip is encrypted: give one without a password.")


def _about(archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        about = json.loads(_read(archive, ABOUT, MAX_ABOUT))
    except (KeyError, ValueError, RecursionError) as error:
        raise RavelError(f"The zip has no readable {ABOUT}: it is no session.") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise RavelError("The zip is no session of Ravel: give one that Save this session made.")
    if about.get("version") != VERSION:
        raise RavelError(
            f"The session has version {str(about.get('version'))[:20]}, this lab opens version "
            f"{VERSION}: open it with the lab's version that made it."
        )
    if about.get("page") not in PAGES:
        raise RavelError("The session is of a page that this lab does not have.")
    return about


def _read(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """An entry of at most so many bytes; what the zip says of its size is not trusted."""
    with archive.open(name) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise RavelError(f"{name} in the zip has more than {most / 1e6:.0f} MB.")
    return data


def _choices(given: Any) -> Choices:
    """The parameters of the address that may be taken over: short texts, and no ids of files."""
    if not isinstance(given, dict) or len(given) > MAX_CHOICES:
        raise RavelError("The session's settings are damaged: save the session again.")
    found: Choices = {}
    for key, value in given.items():
        texts = value if isinstance(value, list) else [value]
        short = all(isinstance(text, str) and len(text) <= MAX_TEXT for text in texts)
        if not PARAMETER.fullmatch(key) or not short or len(texts) > MAX_CHOICES:
            raise RavelError(f"The session's setting {key[:80]!r} is damaged.")
        if not OWN.fullmatch(key):
            found[key] = value
    return found


def _files(archive: zipfile.ZipFile, given: Any) -> dict[str, tuple[str, bytes]]:
    if not isinstance(given, dict):
        raise RavelError("The session's list of files is damaged: save the session again.")
    found = {}
    for parameter, one in given.items():
        entry, name = (one.get("file"), one.get("name")) if isinstance(one, dict) else (None, None)
        known = isinstance(entry, str) and entry.startswith(FILES) and entry in archive.namelist()
        if not OWN.fullmatch(parameter) or not known or not isinstance(name, str):
            raise RavelError(f"The session's file {parameter[:80]!r} is missing or damaged.")
        assert isinstance(entry, str)
        title = re.split(r"[/\\]", name)[-1][:200] or "recording"
        found[parameter] = title, _read(archive, entry, uploads.MAX_BYTES)
    return found


def _models(given: Any) -> dict[str, str]:
    pairs = given.items() if isinstance(given, dict) else ()
    return {name: digest for name, digest in pairs if isinstance(digest, str)}
