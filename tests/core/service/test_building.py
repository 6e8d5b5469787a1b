"""Corpora built beside the caller, by real processes."""

import time

import pytest

from core.data import own
from core.errors import RavelError
from core.service import building, corpora, uploads
from tests.core.data.test_own import write


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "DATA", tmp_path / "data")
    return tmp_path / "data"


def wait(name: str, seconds: float = 240) -> building.Progress:
    deadline = time.monotonic() + seconds
    while (progress := building.progress(name)).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return progress


def test_recordings_that_were_uploaded_become_a_corpus_and_their_files_go(data):
    id, folder = uploads.new_folder()
    write(folder, "oboe-1.wav", "oboe-2.wav", "flute-1.wav", "flute-2.wav", seconds=2.2)
    found = [one.recording for one in own.survey(folder)]
    building.record("mine", found, seconds=1.0, factor="label", upload=id)
    assert list(building.builds()) == ["mine"]
    assert wait("mine").state == "done" and not building.builds()
    store = corpora.columns(corpora.stores()["mine"])
    assert len(store["name"]) == 8 and set(store["label"]) == {"oboe", "flute"}
    deadline = time.monotonic() + 60  # the process that built it removes them as its last act
    while folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(RavelError, match="already"):
        building.record("mine", found, seconds=1.0, factor="label")


def test_a_build_that_fails_says_why_and_can_be_discarded(data):
    (data / "in").mkdir(parents=True)
    (data / "in" / "bad.wav").write_bytes(b"no sound")
    found = [one.recording for one in own.survey(data / "in")]
    building.record("mine", found, seconds=1.0, factor="label")
    progress = wait("mine")
    assert progress.state == "failed" and "bad.wav" in progress.text
    assert list(building.builds()) == ["mine"] and "mine" not in corpora.stores()
    building.discard("mine")
    assert not building.builds() and not (data / "mine").exists()


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 61])
def test_a_name_that_cannot_be_is_refused(name):
    with pytest.raises(RavelError, match="cannot be called"):
        building.check_name(name)


def test_melodies_are_rendered(data, monkeypatch):
    monkeypatch.setitem(building.SETS, "dmelodies", {"few": {"count": 4}})
    building.render("dmelodies", "few")
    assert wait("few").state == "done"
    assert len(corpora.columns(corpora.stores()["few"])["name"]) >= 4
