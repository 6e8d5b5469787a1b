"""Corpora of one's own recordings: labels found, splits with every label, safe zip files."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.audio.clip import write_wav
from core.data import own
from core.data.recording import Recording
from core.errors import RavelError
from tests.lab.tones import tone


def write(folder: Path, *names: str, seconds: float = 0.6) -> Path:
    """Tones under these names."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_wav(folder / name, tone(220 + 20 * number, True, seconds))
    return folder


def labels(folder: Path) -> dict[str, dict[str, str]]:
    return {one.recording.name: one.recording.labels for one in own.survey(folder)}


def test_labels_come_from_a_table_from_folders_or_from_names(tmp_path):
    table = write(tmp_path / "table", "a.wav", "b.wav")
    (table / "metadata.csv").write_text("file,instrument,room\na.wav,oboe,hall\nb.wav,flute,\n")
    assert labels(table)["a.wav"] == {"instrument": "oboe", "room": "hall"}
    nested = write(tmp_path / "nested", "oboe/1.wav", "flute/1.wav")
    assert labels(nested)["oboe/1.wav"] == {"label": "oboe"}
    named = write(tmp_path / "named", "Oboe-1.wav", "oboe 2.wav", "flute_01.wav", "Flute02.wav")
    assert {name: row["label"] for name, row in labels(named).items()} == {
        "Oboe-1.wav": "oboe", "oboe 2.wav": "oboe", "flute_01.wav": "flute", "Flute02.wav": "flute",
    }  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [
        ["take1.wav", "take2.wav", "take3.wav"],  # one label says nothing
        ["monday.wav", "tuesday.wav"],  # as many as files
        ["1.wav", "2.wav", "31.wav"],  # numbers are none
        ["rain in may.wav", "a dog 2.wav", "sea.wav", "street.wav"],  # hardly any is numbered
    ],
)
def test_names_without_labels_give_none(names):
    assert own.labels_of_names(names) == {}


def test_a_file_that_cannot_be_read_says_so_and_the_others_are_kept(tmp_path):
    folder = write(tmp_path, "good.wav")
    (folder / "bad.wav").write_bytes(b"no sound")
    found = {one.recording.name: one for one in own.survey(folder)}
    assert "cannot" not in found["good.wav"].problem and found["good.wav"].seconds == 0.6
    assert found["bad.wav"].problem == "not a sound file that can be read"


def listed(*given: tuple[str, str]) -> list[Recording]:
    return [Recording(Path(name), name, {"label": label}) for name, label in given]


def test_every_label_of_several_files_is_in_both_parts():
    given = [(f"{label}-{n}.wav", label) for label in "abc" for n in range(2 + 11 * (label == "a"))]
    split = own.with_splits(listed(*given), "label", 0.1, 0)
    for label in "abc":
        parts = [item.labels["split"] for item in split if item.labels["label"] == label]
        assert parts.count("validation") == 1 and parts.count("train") == len(parts) - 1


def test_the_only_file_of_a_label_is_split_in_time(tmp_path):
    folder = write(tmp_path / "in", "long.wav", seconds=5.0)
    write(folder, "short-1.wav", "short-2.wav")
    found = [one.recording for one in own.survey(folder)]
    named = [
        Recording(r.path, r.name, {"label": r.name.split("-")[0].split(".")[0]}) for r in found
    ]
    store = own.build(named, tmp_path / "store", seconds=1.0, workers=1, progress=False)
    split = dict(zip(store.labels["name"], store.labels["split"], strict=True))
    assert [split[f"long-{n}"] for n in range(5)] == ["train"] * 4 + ["validation"]
    assert {split["short-1-0"], split["short-2-0"]} == {"train", "validation"}
    assert set(store.labels["recording"]) == {"long", "short-1", "short-2"} and store.has_audio


def test_unlabelled_recordings_make_a_corpus_and_tell_how_far_it_is(tmp_path):
    folder = write(tmp_path / "in", *(f"{n}.wav" for n in range(10)))
    reports = []
    found = [one.recording for one in own.survey(folder)]
    store = own.build(
        found, tmp_path / "store", workers=1, progress=lambda *done: reports.append(done)
    )
    assert sorted(set(store.labels)) == ["name", "recording", "split"]
    assert [len(store.indices(split)) for split in ("train", "validation")] == [9, 1]
    assert reports[-1] == (10, 10)


def zipped(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_a_zip_file_gives_its_recordings_and_nothing_outside_the_folder(tmp_path):
    buffer = io.BytesIO()
    write_wav(tmp_path / "tone.wav", tone(220, True))
    sound = (tmp_path / "tone.wav").read_bytes()
    names = ["oboe/1.wav", "../../evil.wav", "/etc/evil.wav", "__MACOSX/1.wav", "notes.txt",
             "metadata.csv"]  # fmt: skip
    packed = zipped(tmp_path / "a.zip", **{name: sound for name in names})
    own.unzip(packed, tmp_path / "deep" / "out")
    out = tmp_path / "deep" / "out"
    found = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert found == ["a.zip", *(f"deep/out/{n}" for n in ("etc/evil.wav", "evil.wav")),
                     "deep/out/metadata.csv", "deep/out/oboe/1.wav", "tone.wav"]  # fmt: skip
    assert (out / "oboe" / "1.wav").read_bytes() == sound and not buffer.getvalue()


def test_a_zip_file_that_is_none_or_too_large_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(RavelError, match="cannot be read"):
        own.unzip(tmp_path / "a.zip", tmp_path / "out")
    monkeypatch.setattr(own, "MAX_UNZIPPED", 1000)
    packed = zipped(tmp_path / "b.zip", **{"1.wav": bytes(2000)})
    with pytest.raises(RavelError, match="more than 4 GB"):
        own.unzip(packed, tmp_path / "out")


def test_the_label_that_most_recordings_have_is_offered_first():
    rows = [{"room": "x", "label": "a"}, {"room": "x", "label": "b"}, {"room": "x", "label": "b"}]
    given = [Recording(Path(str(n)), str(n), row) for n, row in enumerate(rows)]
    assert own.common_label(given) == "label"
    assert own.common_label([]) == "label"
    assert np.all([own.with_splits(given, "room", 0.1, s)[0].labels["room"] == "x" for s in (0, 1)])
