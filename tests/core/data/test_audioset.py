"""AudioSet in its published layout, as a small tree of tables and of sounds of the examples."""

import pytest
import soundfile

from core.audio.clip import read
from core.cli import main
from core.data import audioset, folder
from core.data.store import FeatureStore
from core.errors import RavelError

HEADER = """# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=4, num_segs=4, num_unique_labels=4, num_positive_labels=6
# YTID, start_seconds, end_seconds, positive_labels
"""
TRAIN = [
    '--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"',
    '_aY_bT-cI9d, 0.000, 10.000, "/m/04brg2"',
    'YouTubeGone, 20.000, 30.000, "/m/09x0r"',
    'Yabcdefghij, 170.500, 180.500, "/m/04brg2,/t/dd00003"',
]
EVAL = ['0123456789A, 5.000, 15.000, "/t/dd00003"', 'zzzzzzzzzzz, 0.000, 10.000, "/m/09x0r"']
CLASSES = """index,mid,display_name
0,/m/09x0r,"Speech"
1,/t/dd00003,"Male speech, man speaking"
2,/t/dd00088,"Gush"
3,/m/04brg2,"Dishes, pots, and pans"
"""
FILES = {  # by name: which example
    "audio/--PJHxphWEs.wav": "dog",
    "audio/_aY_bT-cI9d_0.000_10.000.flac": "rain",
    "other/Yabcdefghij_170500_180500.wav": "sea",
    "other/Yabcdefghij_10000_20000.wav": "clock",
    "eval/Y0123456789A.wav": "baby",
    "eval/notes on the set.wav": "clock",
}


@pytest.fixture
def root(tmp_path, examples):
    root = tmp_path / "audioset"
    for name, example in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        wave = read(examples / "scenes" / f"{example}.flac", duration=1.5).wave
        soundfile.write(root / name, 0.2 * wave, 16_000)
    write(root, "balanced_train_segments.csv", TRAIN)
    write(root, "eval_segments.csv", EVAL)
    (root / "class_labels_indices.csv").write_text(CLASSES)
    return root


def write(root, name, rows):
    (root / name).write_text(HEADER + "\n".join(rows) + "\n")


def labels(root):
    return {item.name: item.labels["labels"] for item in folder.listing(root)}


def test_segments_have_all_their_classes_spelt_as_those_of_fsd50k(root):
    assert labels(root) == {
        "audio/--PJHxphWEs.wav": "Speech,Gush",
        "audio/_aY_bT-cI9d_0.000_10.000.flac": "Dishes_and_pots_and_pans",
        "other/Yabcdefghij_170500_180500.wav": "Dishes_and_pots_and_pans,"
        "Male_speech_and_man_speaking",
        "eval/Y0123456789A.wav": "Male_speech_and_man_speaking",
    }


def test_segments_whose_sound_is_missing_are_counted(root):
    found = audioset.listing(root)
    assert len(found.recordings) == 4 and found.missing == ["YouTubeGone", "zzzzzzzzzzz"]
    assert audioset.summary(root) == (
        f"AudioSet: 4 of 6 segments are in {root}; 2 have no file and are left out, such as "
        "YouTubeGone."
    )
    write(root, "eval_segments.csv", EVAL[:1])
    write(root, "balanced_train_segments.csv", TRAIN[:2])
    assert audioset.summary(root) == f"AudioSet: 3 of 3 segments are in {root}."
    assert audioset.summary(root / "audio") is None


def test_a_tenth_of_the_training_videos_is_held_out_always_the_same(root, monkeypatch):
    splits = {item.name: item.labels["split"] for item in folder.listing(root)}
    assert splits.pop("eval/Y0123456789A.wav") == "eval"
    assert set(splits.values()) <= {"train", "validation"}
    ids = [f"{number:011d}" for number in range(1000)]
    rows = [f'{ytid}, 0.000, 10.000, "/m/09x0r"' for ytid in ids]
    write(root, "balanced_train_segments.csv", rows)
    files = {ytid: [(None, root / f"{ytid}.wav")] for ytid in ids}
    monkeypatch.setattr(audioset, "_files", lambda root: files)
    held_out = [r.labels["split"] == "validation" for r in audioset.layout(root)]
    assert 70 < sum(held_out) < 130
    assert [r.labels["split"] == "validation" for r in audioset.layout(root)] == held_out


def test_tables_may_lie_in_a_folder_of_their_own_and_one_is_enough(root):
    whole = labels(root)
    (root / "eval_segments.csv").unlink()
    assert labels(root) == {k: v for k, v in whole.items() if not k.startswith("eval")}
    (root / "metadata").mkdir()
    for name in ("balanced_train_segments.csv", "class_labels_indices.csv"):
        (root / name).rename(root / "metadata" / name)
    assert len(labels(root)) == 3


def test_tables_that_are_damaged_or_without_sound_are_refused(root):
    write(root, "eval_segments.csv", ["0123456789A, 5.000, 15.000"])
    with pytest.raises(RavelError, match=r"eval_segments\.csv cannot be read .*positive_labels"):
        folder.listing(root)
    write(root, "eval_segments.csv", ['0123456789A, 5.000, 15.000, "/m/nothing"'])
    with pytest.raises(RavelError, match=r"a class '/m/nothing' that class_labels_indices\.csv"):
        folder.listing(root)
    write(root, "eval_segments.csv", EVAL)
    (root / "class_labels_indices.csv").rename(root / "classes.csv")
    with pytest.raises(RavelError, match=r"no class_labels_indices\.csv: put it beside them"):
        folder.listing(root)
    (root / "classes.csv").rename(root / "class_labels_indices.csv")
    for name in FILES:
        (root / name).unlink()
    with pytest.raises(RavelError, match="the sound of none of its 6 segments"):
        folder.listing(root)


def test_audioset_becomes_a_store_from_the_command_line(root, tmp_path, capsys):
    out = tmp_path / "store"
    assert main(["data", "folder", str(root), "--workers", "1", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "AudioSet: 4 of 6 segments" in said and "4 clips in" in said
    store = FeatureStore.open(out)
    row = store.labels["name"].tolist().index("audio/--PJHxphWEs-0")
    assert store.labels["labels"][row] == "Speech,Gush" and store.has_audio
