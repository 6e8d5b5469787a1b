"""Visitors' files: under ids that cannot be guessed, bounded in size, number of bytes and age."""

import os
import time

import pytest

from core.errors import RavelError
from core.service import corpora, uploads


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "DATA", tmp_path)
    monkeypatch.delenv("RAVEL_UPLOADS")
    return tmp_path


def test_a_file_is_found_by_its_id_alone(data):
    first, second = (uploads.put(b"sound", "my violin.wav") for _ in range(2))
    assert first.id != second.id and len(first.id) == 22
    found = uploads.get(first.id)
    assert found.path.read_bytes() == b"sound" and found.name == "my violin.wav"
    assert (uploads.root().stat().st_mode & 0o077) == 0  # nobody else on the machine reads it
    uploads.remove(first.id)
    with pytest.raises(RavelError, match="no longer kept"):
        uploads.get(first.id)
    assert uploads.get(second.id).path.exists()


@pytest.mark.parametrize("id", ["", "..", "../../etc/passwd", "a" * 22 + "/..", "é" * 22, "a" * 21])
def test_an_id_that_is_none_is_refused(id):
    with pytest.raises(RavelError, match="names no recording"):
        uploads.get(id)


def test_too_large_a_file_is_refused(monkeypatch):
    monkeypatch.setattr(uploads, "MAX_BYTES", 10)
    with pytest.raises(RavelError, match="up to"):
        uploads.put(bytes(11), "long.wav")
    assert not list(uploads.root().glob("*"))


def test_what_is_old_goes_and_what_was_used_stays(monkeypatch):
    old, used = uploads.put(b"a", "old.wav"), uploads.put(b"b", "used.wav")
    long_ago = time.time() - uploads.MAX_AGE - 1
    for one in (old, used):
        os.utime(one.path.parent, (long_ago, long_ago))
    uploads.get(used.id)
    uploads.put(b"c", "new.wav")
    assert uploads.get(used.id)
    with pytest.raises(RavelError, match="Upload it again"):
        uploads.get(old.id)


def test_the_oldest_go_where_all_are_too_large(monkeypatch):
    monkeypatch.setattr(uploads, "MAX_TOTAL", 1000)
    kept = []
    for number in range(4):
        one = uploads.put(bytes(300), f"{number}.wav")
        os.utime(one.path.parent, (time.time() - 100 + number,) * 2)
        kept.append(one)
    with pytest.raises(RavelError):
        uploads.get(kept[0].id)
    assert all(uploads.get(one.id) for one in kept[1:])
    id, folder = uploads.new_folder()
    assert folder.parent.name == id and folder.is_dir()
