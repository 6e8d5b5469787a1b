"""Sessions as zip files: there and back, and zips that are none."""

import io
import json
import zipfile

import pytest

from core.errors import RavelError
from core.service import corpora, sessions, uploads
from core.service.sessions import Session

MINE = Session(
    "swap",
    {"source_start": "1.5", "models": ["a", "b"]},
    {"source_own": ("my violin.wav", b"RIFF"), "target_own": ("../../evil.wav", b"other")},
    {"a": "digest"},
)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "DATA", tmp_path)
    monkeypatch.delenv("RAVEL_UPLOADS", raising=False)
    return tmp_path


def altered(**changes) -> bytes:
    """MINE's zip with other entries in session.json, or other files by name."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sessions.pack(MINE, {}))) as before:
        about = json.loads(before.read(sessions.ABOUT)) | changes.pop("about", {})
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after:
            for name in before.namelist():
                if name != sessions.ABOUT:
                    after.writestr(name, before.read(name))
            after.writestr(sessions.ABOUT, json.dumps(about))
            for name, content in changes.get("files", {}).items():
                after.writestr(name, content)
    return out.getvalue()


def test_files_and_choices_come_back_under_new_ids():
    found = sessions.unpack(sessions.pack(MINE, {"swap.wav": b"result"}))
    assert found.page == "swap" and found.choices == MINE.choices and found.models == MINE.models
    restored = sessions.restore(found)
    first = uploads.get(restored.pop("source_own"))
    assert (first.name, first.path.read_bytes()) == ("my violin.wav", b"RIFF")
    second = uploads.get(restored.pop("target_own"))
    assert second.name == "evil.wav" and second.path.is_relative_to(uploads.root())
    assert restored == MINE.choices


def test_results_lie_in_the_zip_for_people():
    with zipfile.ZipFile(io.BytesIO(sessions.pack(MINE, {"../a/b.wav": b"r"}))) as archive:
        assert "results/-a-b.wav" in archive.namelist()
        assert archive.testzip() is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"files": {"../outside": b"x"}}, "no part of a session"),
        ({"files": {"files/../../outside": b"x"}}, "no part of a session"),
        ({"files": {"/etc/passwd": b"x"}}, "no part of a session"),
        ({"files": {"files/..\\outside": b"x"}}, "no part of a session"),
        ({"files": {f"results/{i}": b"" for i in range(400)}}, "too many files"),
        ({"about": {"version": 2}}, "version 2, this lab opens version 1"),
        ({"about": {"format": "other"}}, "no session of Ravel"),
        ({"about": {"page": "train"}}, "page that this lab does not have"),
        ({"about": {"choices": {"a": 5}}}, "setting 'a' is damaged"),
        ({"about": {"choices": {"a": "x" * 501}}}, "setting 'a' is damaged"),
        ({"about": {"choices": {"<script>": "x"}}}, "is damaged"),
        ({"about": {"files": {"source_own": {"file": "session.json", "name": "n"}}}}, "missing or"),
        ({"about": {"files": {"source_own": {"file": "files/9", "name": "n"}}}}, "missing or"),
        ({"about": {"files": {"source": {"file": "files/0", "name": "n"}}}}, "missing or damaged"),
        ({"about": {"files": [1]}}, "list of files is damaged"),
    ],
)
def test_a_zip_that_is_none_is_named_and_nothing_is_kept(changes, says, data):
    with pytest.raises(RavelError, match=says):
        sessions.restore(sessions.unpack(altered(**changes)))
    assert not list(data.rglob("*"))


def test_an_id_of_somebody_elses_file_is_not_taken_over():
    found = sessions.unpack(altered(about={"choices": {"mixture_own": "A" * 22}}))
    assert "mixture_own" not in sessions.restore(found)


@pytest.mark.parametrize(
    "bad", [b"", b"no zip", sessions.pack(MINE, {})[:-40], sessions.pack(MINE, {})[40:]]
)
def test_what_is_no_zip_is_an_error(bad):
    with pytest.raises(RavelError):
        sessions.unpack(bad)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(sessions, "MAX_UNPACKED", 2**20)
    with pytest.raises(RavelError, match="unpack to more than"):
        sessions.unpack(altered(files={"results/zeros": bytes(2**21)}))
    monkeypatch.setattr(uploads, "MAX_BYTES", 3)
    with pytest.raises(RavelError, match="more than"):
        sessions.unpack(sessions.pack(MINE, {}))


def test_either_all_files_are_kept_or_none(monkeypatch):
    put, count = uploads.put, []

    def fails_at_second(data, name):
        count.append(name)
        if len(count) == 2:
            raise RavelError("The file cannot be kept (disk full).")
        return put(data, name)

    monkeypatch.setattr(uploads, "put", fails_at_second)
    with pytest.raises(RavelError, match="disk full"):
        sessions.restore(MINE)
    assert not [place for place in uploads.root().iterdir()]
