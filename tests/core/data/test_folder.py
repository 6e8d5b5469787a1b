import csv
import shutil

import numpy as np
import pytest
import soundfile

from core.audio.clip import read
from core.audio.mel import frames_of, log_mel
from core.data import folder
from core.data.store import FeatureStore
from core.errors import RavelError

RATE = 16_000
COLUMNS = ("name", "pitch", "room", "split")


def tone(seconds, hertz=440.0, rate=RATE, level=0.5):
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write_table(root, rows):
    with (root / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def tones(tmp_path):
    """Ten short files in two folders."""
    root = tmp_path / "tones"
    for label in ("low", "high"):
        (root / label).mkdir(parents=True)
        for i in range(5):
            soundfile.write(root / label / f"{i}.wav", tone(0.6, 200 + 50 * i), RATE)
    return root


def names(root):
    return [item.name for item in folder.listing(root)]


def test_a_folder_with_metadata_becomes_a_store_that_trains(tmp_path, examples):
    store = folder.build(examples, tmp_path / "store", workers=1, progress=False)
    rows = list(csv.DictReader((examples / "metadata.csv").open()))
    assert store.kind == "folder" and store.has_audio
    assert set(rows[0]) - {"file"} <= set(store.labels)
    assert set(store.labels["split"]) == {"train", "validation"}
    for row in rows:
        stem = row["file"].rsplit(".", 1)[0]
        i = int(np.flatnonzero(store.labels["name"] == f"{stem}-0")[0])
        assert store.labels["instrument"][i] == row["instrument"]
        wave = read(examples / row["file"], duration=4.0).wave
        assert store.lengths[i] == frames_of(len(wave))
        truth = log_mel(wave).numpy().astype(np.float16)
        np.testing.assert_allclose(store.log_mel[i, : store.lengths[i]], truth, atol=0.3)
    assert FeatureStore.open(tmp_path / "store").settings == store.settings


def test_without_metadata_files_are_found_and_labelled_by_their_folder(tones):
    (tones / "notes.txt").write_text("not audio")
    found = folder.listing(tones)
    assert len(found) == 10
    assert {item.labels["label"] for item in found} == {"low", "high"}
    flat = folder.listing(tones / "low")
    assert len(flat) == 5 and all(item.labels == {} for item in flat)


def test_segments_keep_their_true_length_and_silent_ones_are_left_out(tmp_path):
    quiet = np.zeros(4 * RATE)
    long = np.concatenate([tone(4), quiet, tone(4, level=0.1), tone(1.5)])
    soundfile.write(tmp_path / "long.flac", long, RATE)
    soundfile.write(tmp_path / "short.wav", tone(0.3), RATE)
    soundfile.write(tmp_path / "rest.wav", tone(4.2), RATE)
    clips = {clip.name: clip for clip in folder.recordings(tmp_path)}
    assert {name: clip.seconds for name, clip in clips.items()} == {
        "long-0": 4.0,
        "long-2": 4.0,
        "long-3": 1.5,
        "rest-0": 4.0,
        "short-0": 0.3,
    }
    assert all(np.abs(clip.wave).max() == 1 for clip in clips.values())


def test_splits_come_from_the_split_column_then_the_fold_then_chance(tones):
    files = names(tones)
    write_table(
        tones,
        [
            {"file": f, "fold": i % 5, "split": "training" if i else "Valid"}
            for i, f in enumerate(files)
        ],
    )
    listed = folder.listing(tones)
    assert folder.splits(listed, 0.1, None, 0) == ["validation"] + ["train"] * 9
    by_fold = folder.splits(listed, 0.1, "3", 0)
    assert [i for i, split in enumerate(by_fold) if split == "validation"] == [3, 8]
    with pytest.raises(RavelError, match=r"No recording is in fold '7': there are 0, 1"):
        folder.splits(listed, 0.1, "7", 0)
    (tones / "metadata.csv").unlink()
    drawn = folder.splits(folder.listing(tones), 0.2, None, 0)
    assert drawn.count("validation") == 2
    assert drawn == folder.splits(folder.listing(tones), 0.2, None, 0)


def test_a_file_named_twice_is_never_in_both_splits(tones):
    files = names(tones)
    write_table(tones, [{"file": f, "take": t} for f in files for t in (1, 2)])
    listed = folder.listing(tones)
    for seed in range(5):
        pairs = set(
            zip([i.name for i in listed], folder.splits(listed, 0.3, None, seed), strict=True)
        )
        assert len(pairs) == len(files)


def test_a_changed_folder_is_not_mixed_into_an_old_store(tones, tmp_path):
    build = {"workers": 1, "progress": False}
    folder.build(tones, tmp_path / "store", **build)
    assert len(folder.build(tones, tmp_path / "store", **build)) == 10
    soundfile.write(tones / "low" / "new.wav", tone(1), RATE)
    with pytest.raises(RavelError, match=r"other settings .files was 10, now 11"):
        folder.build(tones, tmp_path / "store", **build)


def test_a_missing_folder_one_without_audio_and_an_empty_table_are_refused(tmp_path):
    with pytest.raises(RavelError, match="is not a folder"):
        folder.listing(tmp_path / "none")
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(RavelError, match="holds no audio"):
        folder.listing(tmp_path)
    (tmp_path / "metadata.csv").write_text("file,label\n")
    with pytest.raises(RavelError, match="holds no audio"):
        folder.listing(tmp_path)


def test_a_table_without_a_file_column_or_with_missing_files_is_refused(tones):
    write_table(tones, [{"path": "low/0.wav", "label": "low"}])
    with pytest.raises(RavelError, match="no column 'file'"):
        folder.listing(tones)
    write_table(tones, [{"file": "low/0.wav"}, {"file": "low/9.wav"}])
    with pytest.raises(RavelError, match=r"names 1 of 2 files that are not there, .*'low/9.wav'"):
        folder.listing(tones)
    (tones / "metadata.csv").write_bytes(b"file,label\n\xff\xfe\x00,b\n")
    with pytest.raises(RavelError, match="cannot be read"):
        folder.listing(tones)


def test_an_unknown_label_column_is_answered_with_the_known_ones(tones, tmp_path):
    with pytest.raises(RavelError, match="no label column 'instrument': the recordings have label"):
        folder.build(tones, tmp_path / "store", labels=["instrument"], progress=False)


@pytest.mark.parametrize("bad", ["not audio", "empty", "silent", "NaN"])
def test_a_bad_file_is_named_and_the_build_goes_on_once_it_is_gone(tones, tmp_path, bad):
    path = tones / "low" / "bad.wav"
    if bad == "NaN":
        soundfile.write(path, np.full(RATE, np.nan), RATE, subtype="FLOAT")
    elif bad == "silent":
        soundfile.write(path, np.zeros(RATE), RATE)
    else:
        path.write_bytes(b"no sound at all" if bad == "not audio" else b"")
    with pytest.raises(RavelError, match=r"low/bad\.wav"):
        list(folder.recordings(tones))


def test_a_bad_file_stops_a_build_with_its_name_and_no_half_written_store(tones, tmp_path):
    shutil.copy(__file__, tones / "low" / "bad.wav")
    with pytest.raises(RavelError, match=r"low/bad\.wav is not a sound file"):
        folder.build(tones, tmp_path / "store", workers=1, progress=False)
    with pytest.raises(RavelError, match="unfinished"):
        FeatureStore.open(tmp_path / "store")


def test_several_folders_become_one_store_with_the_labels_of_all(tones, tmp_path):
    write_table(tones, [{"file": name, "pitch": name.split("/")[0]} for name in names(tones)])
    other = tmp_path / "other" / "tones"  # of the same name
    other.mkdir(parents=True)
    for i in range(4):
        soundfile.write(other / f"{i}.wav", tone(0.7), RATE)
    write_table(other, [{"file": f"{i}.wav", "fold": i % 2, "room": "dry"} for i in range(4)])
    store = folder.build(
        [tones, other], tmp_path / "store", validation_fold="1", workers=1, progress=False
    )
    assert store.settings["folders"] == ["tones", "tones-2"]
    rows = {row[0]: row[1:] for row in zip(*map(store.labels.get, COLUMNS), strict=True)}
    assert rows["tones/low/0-0"][:2] == ("low", "")
    assert rows["tones-2/1-0"] == ("", "dry", "validation")
    assert rows["tones-2/2-0"] == ("", "dry", "train")
    splits = [split for name, (*_, split) in rows.items() if name.startswith("tones/")]
    assert splits.count("validation") == 1  # without folds, a tenth at random


def test_a_label_of_one_folder_can_be_chosen_and_a_fold_of_none_is_refused(tones, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    soundfile.write(other / "a.wav", tone(0.7), RATE)
    build = {"workers": 1, "progress": False}
    store = folder.build([tones, other], tmp_path / "store", labels=["label"], **build)
    assert set(store.labels) == {"name", "split", "label"}
    assert set(store.labels["label"]) == {"low", "high", ""}
    with pytest.raises(RavelError, match="No recording is in fold '3': there are no folds"):
        folder.build([tones, other], tmp_path / "new", validation_fold="3", **build)


def test_folders_that_share_files_are_refused(tones, tmp_path):
    for pair in ([tones, tones], [tones, tones / "low"], [tones / "low", tones]):
        with pytest.raises(RavelError, match="share files: give each folder only once"):
            folder.build(pair, tmp_path / "store", progress=False)
