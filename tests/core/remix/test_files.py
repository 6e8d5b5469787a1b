"""A remix in a folder and in a zip."""

import io
import json
import time
import zipfile

import numpy as np
import pytest
import soundfile

from core.errors import RavelError
from core.remix.files import about, save, to_zip


def test_files_hold_what_was_made_and_what_was_done(swapped, tmp_path):
    folder = save(swapped, tmp_path / "out")
    waves = {path.stem: soundfile.read(path)[0] for path in folder.glob("*.wav")}
    assert set(waves) == {"mixture", "remix", "channel-1", "channel-2", "stem-1", "stem-2"}
    assert np.abs(waves["stem-1"] + waves["stem-2"] - waves["remix"]).max() < 1e-6
    assert np.abs(waves["channel-1"] + waves["channel-2"] - waves["mixture"]).max() < 1e-5
    written = json.loads((folder / "remix.json").read_text())
    assert written == about(swapped)
    assert [channel["instrument"] for channel in written["channels"]] == ["violin", "kept"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]

    with zipfile.ZipFile(io.BytesIO(to_zip(swapped, "Thanks."))) as archive:
        assert set(archive.namelist()) == {p.name for p in folder.iterdir()} | {"README.txt"}
        assert archive.read("remix.wav") == (folder / "remix.wav").read_bytes()


def test_the_same_remix_has_the_same_bytes_whenever_it_is_saved(swapped, tmp_path):
    first = save(swapped, tmp_path / "now")
    time.sleep(1.1)  # a header with the time of writing has whole seconds
    later = save(swapped, tmp_path / "later")
    for path in first.iterdir():
        assert path.read_bytes() == (later / path.name).read_bytes(), path.name


def test_a_folder_that_holds_something_is_left_alone(swapped, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RavelError, match="is there already"):
        save(swapped, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_when_the_disk_is_full_nothing_is_left_behind(swapped, tmp_path, monkeypatch):
    written = []

    def write_bytes(path, data):
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(path)

    monkeypatch.setattr("pathlib.Path.write_bytes", write_bytes)
    with pytest.raises(RavelError, match="No space left"):
        save(swapped, tmp_path / "out")
    assert len(written) == 2 and not list(tmp_path.iterdir())
