"""Public corpora in the layouts they are published in, as small copies made of the examples."""

import csv

import numpy as np
import pytest
import soundfile
import soxr

from core.audio.clip import read
from core.cli import main
from core.data import folder, layouts
from core.data.store import FeatureStore
from core.errors import RavelError

ESC50 = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
UUIDS = ["0e4371ac-1c6a-51ab-fdb7-f8abd5fbf1a3", "163fd2b1-8e98-515a-f501-4742cc6d066f"]


@pytest.fixture(scope="module")
def sounds(examples):
    """A second and a half of four examples, at 16 kHz."""
    names = ["violin-1", "trumpet-1", "flute-1", "clarinet-1"]
    return [0.2 * read(examples / f"{name}.flac", duration=1.5).wave for name in names]


def write(path, wave, rate=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave if rate == 16_000 else soxr.resample(wave, 16_000, rate), rate)


def write_csv(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def labels(root):
    return {item.name: item.labels for item in folder.listing(root)}


@pytest.fixture
def esc50(tmp_path, sounds):
    root = tmp_path / "ESC-50-master"
    rows = [
        ("1-100032-A-0.wav", 1, 0, "dog", True, 100032, "A"),
        ("1-100038-A-14.wav", 1, 14, "chirping_birds", False, 100038, "A"),
        ("2-114280-A-0.wav", 2, 0, "dog", True, 114280, "A"),
        ("2-114280-B-0.wav", 2, 0, "dog", True, 114280, "B"),
    ]
    write_csv(root / "meta" / "esc50.csv", ESC50, rows)
    for row, wave in zip(rows, sounds, strict=True):
        write(root / "audio" / row[0], wave, 44_100)
    return root


@pytest.fixture
def fsd50k(tmp_path, sounds):
    root = tmp_path / "FSD50K"
    dev = [
        (64760, "Electric_guitar,Guitar,Music", "/m/02sgy,/m/0342h,/m/04rlf", "train"),
        (16399, "Bark,Dog", "/m/05tny_,/m/0bt9lr", "val"),
    ]
    write_csv(root / "FSD50K.ground_truth/dev.csv", ["fname", "labels", "mids", "split"], dev)
    write_csv(
        root / "FSD50K.ground_truth/eval.csv",
        ["fname", "labels", "mids"],
        [(37199, "Rain,Water", "/m/06mb1,/m/0838f")],
    )
    write(root / "FSD50K.dev_audio" / "64760.wav", sounds[0], 44_100)
    write(root / "FSD50K.dev_audio" / "16399.wav", sounds[1], 44_100)
    write(root / "FSD50K.eval_audio" / "37199.wav", sounds[2], 44_100)
    return root


@pytest.fixture
def fuss(tmp_path, sounds):
    """Mixtures of one, three and two sources, dry and reverberant, with their lists."""
    root = tmp_path / "FUSS"
    for kind, gain in (("ssdata", 1.0), ("ssdata_reverb", 0.5)):
        for split, examples in {"train": [1, 3], "validation": [2]}.items():
            lines = []
            for number, count in enumerate(examples):
                stem = f"{split}/example{number:05d}"
                names = ["background0_sound", *(f"foreground{i}_sound" for i in range(count - 1))]
                files = [f"{stem}_sources/{name}.wav" for name in names]
                for file, wave in zip(files, sounds, strict=False):
                    write(root / kind / file, gain * wave)
                write(root / kind / f"{stem}.wav", gain * np.sum(sounds[:count], axis=0))
                lines.append("\t".join([f"{stem}.wav", *files]))
            (root / kind / f"{split}_example_list.txt").write_text("\n".join(lines) + "\n")
    return root


def test_esc50_has_its_classes_folds_and_sources(esc50):
    found = labels(esc50)
    assert len(found) == 4
    assert found["audio/1-100038-A-14.wav"] == {
        "label": "chirping_birds",
        "fold": "1",
        "target": "14",
        "esc10": "False",
        "source": "100038",
    }
    held_out = folder.splits(folder.listing(esc50), 0.1, "2", 0)
    assert held_out == ["train", "train", "validation", "validation"]


def test_takes_of_one_source_are_never_split_at_random(esc50):
    files = folder.listing(esc50)
    drawn = [folder.splits(files, 0.4, None, seed) for seed in range(12)]
    assert all(split[2] == split[3] for split in drawn)
    assert {split[2] for split in drawn} == {"train", "validation"}


def test_esc50_without_its_audio_a_file_or_a_column_is_refused(esc50):
    (esc50 / "audio" / "2-114280-B-0.wav").unlink()
    with pytest.raises(RavelError, match=r"names 1 of 4 recordings .*'2-114280-B-0'"):
        folder.listing(esc50)
    (esc50 / "audio").rename(esc50 / "sounds")
    with pytest.raises(RavelError, match=r"esc50\.csv is there, but not its recordings"):
        folder.listing(esc50)
    write_csv(esc50 / "meta" / "esc50.csv", ESC50[:3], [("1-100032-A-0.wav", 1, 0)])
    with pytest.raises(RavelError, match="no column 'category'"):
        folder.listing(esc50)


def test_esc10_has_its_classes_by_folder_and_its_folds_by_name(tmp_path, sounds):
    write(tmp_path / "001 - Dog bark" / "1-100032-A.ogg", sounds[0], 44_100)
    write(tmp_path / "004 - Baby cry" / "5-198411-C.ogg", sounds[1], 44_100)
    assert labels(tmp_path) == {
        "001 - Dog bark/1-100032-A.ogg": {"label": "Dog bark", "fold": "1", "source": "100032"},
        "004 - Baby cry/5-198411-C.ogg": {"label": "Baby cry", "fold": "5", "source": "198411"},
    }
    (tmp_path / "002 - Rain").mkdir()
    with pytest.raises(RavelError, match="no recordings in '002 - Rain'"):
        folder.listing(tmp_path)
    write(tmp_path / "002 - Rain" / "my own.ogg", sounds[2])  # so it is a user's own folder
    assert labels(tmp_path)["001 - Dog bark/1-100032-A.ogg"] == {"label": "001 - Dog bark"}


def test_fsd50k_has_all_labels_of_a_clip_and_its_three_splits(fsd50k):
    assert labels(fsd50k) == {
        "FSD50K.dev_audio/64760.wav": {"labels": "Electric_guitar,Guitar,Music", "split": "train"},
        "FSD50K.dev_audio/16399.wav": {"labels": "Bark,Dog", "split": "val"},
        "FSD50K.eval_audio/37199.wav": {"labels": "Rain,Water", "split": "eval"},
    }
    splits = folder.splits(folder.listing(fsd50k), 0.1, None, 0)
    assert splits == ["validation", "train", "eval"]


def test_fsd50k_in_parts_is_read_or_refused(fsd50k):
    (fsd50k / "FSD50K.eval_audio").rename(fsd50k / "elsewhere")
    with pytest.raises(RavelError, match=r"eval\.csv is there, but not its recordings"):
        folder.listing(fsd50k)
    (fsd50k / "FSD50K.ground_truth" / "eval.csv").unlink()
    assert len(folder.listing(fsd50k)) == 2
    (fsd50k / "FSD50K.dev_audio" / "64760.wav").unlink()
    with pytest.raises(RavelError, match=r"names 1 of 2 recordings .*'64760'"):
        folder.listing(fsd50k)
    (fsd50k / "elsewhere").rename(fsd50k / "FSD50K.eval_audio")
    with pytest.raises(RavelError, match="eval_audio has no table"):
        write(fsd50k / "FSD50K.dev_audio" / "64760.wav", np.ones(8000))
        folder.listing(fsd50k)


def test_fuss_mixtures_are_the_sums_of_their_sources(fuss):
    scenes = list(layouts.mixtures(fuss))
    assert [scene.name for scene in scenes] == [
        "train/example00000",
        "train/example00001",
        "validation/example00000",
    ]
    assert [len(scene.sources) for scene in scenes] == [1, 3, 2]
    for scene in scenes:
        mixture, _ = soundfile.read(scene.mixture)
        total = sum(soundfile.read(source)[0] for source in scene.sources)
        np.testing.assert_allclose(mixture, total, atol=4 / 32768)


def test_fuss_reverberant_mixtures_are_taken_unless_the_dry_ones_are_named(fuss):
    (reverberant,) = layouts.mixtures(fuss, "validation")
    (dry,) = layouts.mixtures(fuss / "ssdata", "validation")
    assert reverberant.mixture.parent.parent.name == "ssdata_reverb"
    assert dry.mixture.parent.parent.name == "ssdata"


def test_fuss_is_read_without_its_lists_too(fuss):
    listed = list(layouts.mixtures(fuss))
    for file in (fuss / "ssdata_reverb").glob("*.txt"):
        file.unlink()
    assert list(layouts.mixtures(fuss)) == listed


def test_fuss_single_sources_are_listed_and_its_mixtures_are_not(fuss):
    found = labels(fuss)
    assert len(found) == 6
    assert found["ssdata_reverb/train/example00001_sources/foreground1_sound.wav"] == {
        "split": "train",
        "example": "example00001",
        "kind": "foreground",
    }
    kinds = [item["kind"] for item in found.values()]
    assert kinds.count("background") == 3


def test_fuss_original_sounds_go_before_its_mixtures_and_rooms(fuss, sounds):
    write(fuss / "fsd_data" / "train" / "sound" / "64760.wav", sounds[0])
    write(fuss / "fsd_data" / "eval" / "sound" / "37199.wav", sounds[1])
    write(fuss / "rir_data" / "train" / "rirs_00000" / "background0.wav", sounds[2])
    found = {"train/sound/64760.wav": "train", "eval/sound/37199.wav": "eval"}
    assert labels(fuss / "fsd_data") == {name: {"split": s} for name, s in found.items()}
    assert labels(fuss) == {f"fsd_data/{name}": {"split": s} for name, s in found.items()}


def test_fuss_with_lost_files_an_unknown_split_or_another_folder_is_refused(fuss, tmp_path):
    with pytest.raises(RavelError, match="no mixtures 'test': choose from train, validation"):
        layouts.mixtures(fuss, "test")
    with pytest.raises(RavelError, match="no published mixtures"):
        layouts.mixtures(tmp_path)
    source = "train/example00001_sources/foreground0_sound.wav"
    (fuss / "ssdata_reverb" / source).unlink()
    with pytest.raises(RavelError, match=f"lacks 1 files of its train mixtures, such as '{source}"):
        folder.listing(fuss)
    (fuss / "ssdata" / "validation_example_list.txt").write_text("validation/example00000.wav\n")
    with pytest.raises(RavelError, match=r"the sources of example00000\.wav"):
        layouts.mixtures(fuss / "ssdata", "validation")


def test_a_silent_published_file_is_left_out_but_a_damaged_one_is_an_error(fuss):
    path = fuss / "ssdata" / "train" / "example00000_sources" / "background0_sound.wav"
    whole = len(list(folder.recordings(fuss / "ssdata")))
    write(path, np.zeros(16_000))
    clips = list(folder.recordings(fuss / "ssdata"))
    assert (whole, len(clips)) == (6, 5)
    path.write_bytes(b"damaged")
    with pytest.raises(RavelError, match=r"background0_sound\.wav is not a sound file"):
        list(folder.recordings(fuss / "ssdata"))


@pytest.mark.parametrize(("table", "audio"), [(".", "."), ("annotation", "audio")])
def test_medley_solos_has_its_instruments_songs_and_splits(tmp_path, sounds, table, audio):
    rows = [
        ("test", "clarinet", 0, "000", UUIDS[0]),
        ("training", "violin", 7, "139", UUIDS[1]),
    ]
    header = ["subset", "instrument", "instrument_id", "song_id", "uuid4"]
    write_csv(tmp_path / table / "Medley-solos-DB_metadata.csv", header, rows)
    test = tmp_path / audio / f"Medley-solos-DB_test-0_{UUIDS[0]}.wav.wav"
    training = tmp_path / audio / f"Medley-solos-DB_training-7_{UUIDS[1]}.wav"
    write(test, sounds[3], 44_100)
    write(training, sounds[0], 44_100)
    found = {item.path: item.labels for item in folder.listing(tmp_path)}
    assert found == {
        test: {"instrument": "clarinet", "split": "test", "song": "000"},
        training: {"instrument": "violin", "split": "training", "song": "139"},
    }
    training.unlink()
    with pytest.raises(RavelError, match=f"names 1 of 2 recordings .*'{UUIDS[1]}'"):
        folder.listing(tmp_path)


def test_urmp_has_the_instruments_of_its_single_parts(tmp_path, sounds):
    piece = tmp_path / "Dataset" / "01_Jupiter_vn_vc"
    write(piece / "AuMix_01_Jupiter_vn_vc.wav", sounds[0] + sounds[1], 44_100)
    write(piece / "AuSep_1_vn_01_Jupiter.wav", sounds[0], 44_100)
    write(piece / "AuSep_2_vc_01_Jupiter.wav", sounds[1], 44_100)
    for root in (tmp_path, tmp_path / "Dataset", piece):
        found = {item.path.name: item.labels for item in folder.listing(root)}
        assert found == {
            "AuSep_1_vn_01_Jupiter.wav": {
                "instrument": "violin",
                "piece": "01_Jupiter",
                "part": "1",
            },
            "AuSep_2_vc_01_Jupiter.wav": {
                "instrument": "cello",
                "piece": "01_Jupiter",
                "part": "2",
            },
        }
    write(tmp_path / "Dataset" / "02_Sonata_vn_vn" / "AuMix_02_Sonata_vn_vn.wav", sounds[2])
    with pytest.raises(RavelError, match="02_Sonata_vn_vn has no single parts"):
        folder.listing(tmp_path)


def test_a_metadata_csv_goes_before_the_published_layout(esc50):
    write_csv(esc50 / "metadata.csv", ["file", "mine"], [("audio/1-100032-A-0.wav", "yes")])
    assert labels(esc50) == {"audio/1-100032-A-0.wav": {"mine": "yes"}}


def test_public_corpora_become_one_store_from_the_command_line(esc50, fuss, tmp_path, capsys):
    out = tmp_path / "store"
    arguments = ["--seconds", "1", "--validation-fold", "1", "--workers", "1", "--out", str(out)]
    assert main(["data", "folder", str(esc50), str(fuss / "ssdata"), *arguments]) == 0
    store = FeatureStore.open(out)
    assert "clips in" in capsys.readouterr().out
    assert store.settings["folders"] == ["ESC-50-master", "ssdata"]
    assert store.settings["seconds"] == 1
    assert store.lengths.max() == 63  # a second
    rows = {name: i for i, name in enumerate(store.labels["name"])}
    dog = rows["ESC-50-master/audio/1-100032-A-0-0"]
    single = rows["ssdata/train/example00001_sources/foreground0_sound-0"]
    assert [store.labels[key][dog] for key in ("label", "kind", "split")] == [
        "dog",
        "",
        "validation",
    ]
    assert [store.labels[key][single] for key in ("label", "kind", "split")] == [
        "",
        "foreground",
        "train",
    ]
    assert store.clip(dog).seconds == 1.0


@pytest.mark.parametrize("seconds", ["0.4", "61", "nan"])
def test_segments_too_short_or_too_long_are_refused(esc50, tmp_path, capsys, seconds):
    out = tmp_path / "store"
    assert main(["data", "folder", str(esc50), "--seconds", seconds, "--out", str(out)]) == 2
    assert "choose 0.5 to 60 seconds" in capsys.readouterr().err
    assert not out.exists()
