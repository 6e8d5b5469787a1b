import json

import numpy as np
import pytest

from core.data.store import LOG_FLOOR, Chunk, FeatureStore, StoreWriter
from core.errors import RavelError


def writer(path, chunks=2, **settings):
    return StoreWriter(path, kind="test", settings=settings, chunks=chunks, synthesiser="none")


def chunk(*frames, audio=False, split="train"):
    rng = np.random.default_rng(sum(frames))
    rows = [{"name": f"clip {n}, long", "split": split, "key": "C#"} for n in frames]
    waves = [rng.integers(-9, 9, 256 * n).astype(np.int16) for n in frames] if audio else None
    return Chunk(rows, [rng.normal(size=(n, 80)) for n in frames], waves)


def test_what_is_written_in_any_order_is_read_in_the_chunks_order(tmp_path):
    building = writer(tmp_path / "store")
    second, first = chunk(2, split="validation", audio=True), chunk(5, 3, audio=True)
    building.write(1, second)
    building.write(0, first)
    store = building.finish()
    assert len(store) == 3 and store.log_mel.dtype == np.float16
    assert store.lengths.tolist() == [5, 3, 2]
    for i, mel in enumerate([*first.log_mel, *second.log_mel]):
        np.testing.assert_array_equal(store.log_mel[i, : len(mel)], mel.astype(np.float16))
        assert np.all(store.log_mel[i, len(mel) :] == np.float16(LOG_FLOOR))
    assert store.labels["name"].tolist() == ["clip 5, long", "clip 3, long", "clip 2, long"]
    assert store.indices("validation").tolist() == [2]
    assert store.indices("other").size == 0
    np.testing.assert_allclose(store.clip(2).wave[:512] * 32767, second.audio[0], atol=1e-3)
    assert store.clip(2).labels == {"split": "validation", "key": "C#"}
    assert not (tmp_path / "store" / "chunks").exists()


def test_log_mels_are_mapped_not_read(tmp_path):
    building = writer(tmp_path, chunks=1)
    building.write(0, chunk(4))
    assert isinstance(building.finish().log_mel, np.memmap)


def test_a_store_without_audio_says_so(tmp_path):
    building = writer(tmp_path, chunks=1)
    building.write(0, chunk(4))
    store = building.finish()
    assert not store.has_audio
    with pytest.raises(RavelError, match="log-mels only"):
        store.clip(0)


def test_an_unfinished_store_cannot_be_opened_and_is_continued(tmp_path):
    writer(tmp_path, a=1).write(0, chunk(5))
    with pytest.raises(RavelError, match="unfinished: run the same command again"):
        FeatureStore.open(tmp_path)
    again = writer(tmp_path, a=1)
    assert again.missing() == [1]
    again.write(1, chunk(3))
    assert len(again.finish()) == 2
    assert writer(tmp_path, a=1).missing() == []


def test_what_a_kill_leaves_behind_is_cleared_away(tmp_path):
    (tmp_path / "chunks").mkdir()
    (tmp_path / ".store.json.17.tmp").write_text("{")
    building = writer(tmp_path, chunks=1)
    (tmp_path / ".log_mel.npy.17.tmp").write_bytes(b"half")
    building.write(0, chunk(4))
    store = building.finish()
    names = {path.name for path in store.path.iterdir()}
    assert names == {"store.json", "clips.csv", "log_mel.npy", "lengths.npy"}


def test_other_settings_in_the_same_folder_are_refused(tmp_path):
    writer(tmp_path, seed=1)
    with pytest.raises(RavelError, match=r"other settings .*seed was 1, now 2"):
        writer(tmp_path, seed=2)


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(RavelError, match="other files"):
        writer(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("file", ["log_mel.npy", "lengths.npy", "clips.csv", "store.json"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_store_is_refused_in_one_sentence(tmp_path, file, damage):
    building = writer(tmp_path, chunks=1)
    building.write(0, chunk(40, 40))
    building.finish()
    whole = (tmp_path / file).read_bytes()
    (tmp_path / file).unlink()
    if damage == "cut":
        (tmp_path / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RavelError) as error:
        FeatureStore.open(tmp_path)
    assert "\n" not in str(error.value)


def test_a_store_of_another_format_and_no_store_are_refused(tmp_path):
    with pytest.raises(RavelError, match="no feature store"):
        FeatureStore.open(tmp_path / "nothing")
    (tmp_path / "store.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(RavelError, match="of this version"):
        FeatureStore.open(tmp_path)
