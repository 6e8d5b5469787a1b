"""Corpora in shards: merged they are the store that one machine would have built."""

import errno
import os
import resource
import shutil

import numpy as np
import pytest
import soundfile

from core.cli import main
from core.data import dmelodies, folder, instruments, merge, players, pool
from core.data.joined import Columns, Joined, Rows, encoded
from core.data.shard import Shard
from core.data.store import Chunk, FeatureStore, StoreWriter
from core.errors import RavelError

LENGTHS = (5, 9, 4, 7, 7, 3)  # frames of the clips, two to a chunk


def built(path, shard=None, **changes):
    """A store of six clips in three chunks, or a shard of it."""
    kind = {"kind": "test", "settings": {"seed": 1}, "synthesiser": "none"} | changes
    writer = StoreWriter(path, chunks=3, **kind, **({"shard": shard} if shard else {}))
    for number in writer.numbers:
        frames = LENGTHS[2 * number : 2 * number + 2]
        rng = np.random.default_rng(number)
        rows = [{"name": f"clip {n}", "split": "train", "key": "C#ü"} for n in frames]
        rows[0] |= {"rare": "here"} if number == 2 else {}
        waves = [rng.integers(-9, 9, 256 * n).astype(np.int16) for n in frames]
        writer.write(number, Chunk(rows, [rng.normal(size=(n, 80)) for n in frames], waves))
    return writer.finish()


def shards(folder, of=2, **changes):
    return [built(folder / f"shard-{i}", Shard(i, of), **changes) for i in range(1, of + 1)]


def test_a_merged_store_has_the_clips_of_a_whole_one_in_its_order(tmp_path):
    whole = built(tmp_path / "whole")
    parts = shards(tmp_path, 3)
    store = merge.merge([part.path for part in reversed(parts)], tmp_path / "merged")
    for part in parts:
        shutil.rmtree(part.path)  # their arrays stay, as the merged store has links to them
    store = FeatureStore.open(store.path)
    assert len(store) == len(whole) == 6
    assert store.lengths.tolist() == whole.lengths.tolist() == list(LENGTHS)
    assert list(store.labels) == list(whole.labels)
    for name, column in whole.labels.items():
        assert store.labels[name].tolist() == column.tolist()
    np.testing.assert_array_equal(np.asarray(store.log_mel), whole.log_mel)
    np.testing.assert_array_equal(store.audio[:], whole.audio)
    for row in (0, 3, 5):
        assert store.clip(row).labels == whole.clip(row).labels
        np.testing.assert_array_equal(store.clip(row).wave, whole.clip(row).wave)
    assert [store.settings, store.kind, store.synthesiser] == [{"seed": 1}, "test", "none"]
    # What reads the table itself, as the lab does, finds the same one.
    tables = [(s.path / "clips.csv").read_bytes() for s in (store, whole)]
    assert tables[0] == tables[1]
    assert StoreWriter(
        store.path, kind="test", settings={"seed": 1}, chunks=3, synthesiser="none"
    ).finished


def test_it_is_indexed_as_an_array_is(tmp_path):
    parts = [np.arange(24.0).reshape(2, 3, 4), np.arange(40.0).reshape(2, 5, 4)]
    joined = Joined(parts, fill=-1.0)
    plain = np.concatenate(
        [np.pad(parts[0], ((0, 0), (0, 2), (0, 0)), constant_values=-1.0), parts[1]]
    )
    assert joined.shape == plain.shape and joined.nbytes == plain.nbytes
    assert (joined.ndim, len(joined)) == (3, 4)
    mask = np.array([True, False, True, True])
    keys = [0, -1, slice(1, 3), slice(None, None, -1), [3, 0, 0], np.array([[2], [1]]), mask]
    keys += [(1, slice(0, 2)), ([3, 1], slice(1, 4), 2), np.arange(0)]
    for key in keys:
        np.testing.assert_array_equal(joined[key], plain[key])
    np.testing.assert_array_equal(list(joined), plain)
    with pytest.raises(IndexError):
        joined[4]


def test_rows_are_read_without_being_kept(tmp_path):
    plain = np.random.default_rng(0).normal(size=(300, 50, 80)).astype(np.float16)
    np.save(tmp_path / "mapped.npy", plain)
    rows = Rows(np.load(tmp_path / "mapped.npy", mmap_mode="r"), np.arange(299, -1, -1))
    assert rows.shape == plain.shape
    for _ in range(20):  # past the point at which pages are let go
        np.testing.assert_array_equal(rows[np.array([0, 5])], plain[[299, 294]])
        rows.touched(2**24)
    found = rows.spans(np.array([1, 2]), np.array([10, 48]), 4)
    np.testing.assert_array_equal(found[0], plain[298, 10:14])
    np.testing.assert_array_equal(found[1], plain[297, [48, 49, 49, 49]])


@pytest.mark.parametrize("column", [["a", "b", "ü", "a"], ["x"], ["", ""], ["one", "two", "three"]])
def test_columns_are_read_as_they_were_written(column):
    columns = Columns({"label": encoded(column)})
    assert columns["label"].tolist() == column
    assert [columns.row(i) for i in range(len(column))] == [{"label": label} for label in column]
    assert "label" in columns and "other" not in columns and columns.get("other") is None


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "-1/2", "1/0", "1/2/3", ""])
def test_a_mistaken_shard_is_refused(text, capsys):
    with pytest.raises(RavelError, match="give I/N"):
        Shard.parse(text)
    with pytest.raises(SystemExit):
        main(["data", "folder", "somewhere", "--out", "store", f"--shard={text}"])
    assert "give I/N" in capsys.readouterr().err


def test_shards_are_consecutive_and_all_of_the_corpus():
    for chunks, of in ((10, 3), (7, 7), (5, 1)):
        dealt = [n for i in range(1, of + 1) for n in Shard(i, of).part(chunks)]
        assert dealt == list(range(chunks))
    with pytest.raises(RavelError, match="3 pieces, which cannot be dealt to 4 shards"):
        Shard(1, 4).part(3)


def test_what_is_not_all_of_one_corpus_is_refused(tmp_path):
    first, second = shards(tmp_path)
    out = tmp_path / "merged"

    def refuses(paths, message):
        with pytest.raises(RavelError, match=message):
            merge.merge(paths, out)
        assert not out.exists() and not list(tmp_path.glob(".*"))

    refuses([second.path], r"1 of 2 shards are missing \(1/2\)")
    refuses([first.path, first.path], "both shard 1/2")
    refuses([first.path, built(tmp_path / "whole").path], "is no shard")
    refuses([first.path, tmp_path / "nothing"], "no feature store")
    other = built(tmp_path / "other", Shard(2, 2), settings={"seed": 2})
    refuses([first.path, other.path], r"setting seed \(2, not 1\)")
    third = built(tmp_path / "third", Shard(2, 3))
    refuses([first.path, third.path], "give the shards of one build")
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(RavelError, match="is there already"):
        merge.merge([first.path, second.path], out)
    assert [file.name for file in out.iterdir()] == ["thesis.txt"]


def test_a_shard_that_is_lost_is_named(tmp_path):
    store = merge.merge([part.path for part in shards(tmp_path)], tmp_path / "merged")
    (store.path / "shards" / "00002" / "log_mel.npy").unlink()
    with pytest.raises(RavelError, match=r"lacks 1 of its 2 shards.*00002"):
        FeatureStore.open(store.path)
    (store.path / "labels" / "1-text.npy").write_bytes(b"half")
    shutil.copy(
        tmp_path / "shard-2" / "log_mel.npy", store.path / "shards" / "00002" / "log_mel.npy"
    )
    with pytest.raises(RavelError, match="damaged"):
        FeatureStore.open(store.path)


def test_where_files_cannot_be_linked_they_are_copied_if_there_is_room(tmp_path, monkeypatch):
    paths = [part.path for part in shards(tmp_path)]

    def refused(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refused)
    full = shutil._ntuple_diskusage(10, 10, 0)
    with monkeypatch.context() as context:
        context.setattr(shutil, "disk_usage", lambda _: full)
        with pytest.raises(RavelError, match="bytes, but 0 are free"):
            merge.merge(paths, tmp_path / "merged")
    assert not (tmp_path / "merged").exists() and not list(tmp_path.glob(".*"))
    assert len(merge.merge(paths, tmp_path / "merged")) == 6


def test_a_store_whose_folder_has_another_shard_is_not_continued(tmp_path):
    shards(tmp_path)
    with pytest.raises(RavelError, match="shard 1/2, now shard 2/2"):
        built(tmp_path / "shard-1", Shard(2, 2))
    with pytest.raises(RavelError, match="shard 1/2, now whole"):
        built(tmp_path / "shard-1")


@pytest.mark.parametrize("name", ["dmelodies", "instruments", "players"])
def test_every_builder_builds_its_part_alone(name, tmp_path, monkeypatch):
    building = {"dmelodies": dmelodies, "instruments": instruments, "players": players}[name]
    monkeypatch.setattr(pool, "build", lambda writer, *_, **__: writer)
    writers = [
        building.build(tmp_path / str(i), count=100, shard=Shard(i, 3), workers=1, progress=False)
        for i in (1, 2, 3)
    ]
    every = building.build(tmp_path / "whole", count=100, workers=1, progress=False)
    assert [n for writer in writers for n in writer.missing()] == every.missing()
    assert writers[0].info["settings"] == every.info["settings"]


def test_the_command_line_builds_shards_and_merges_them(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    rng = np.random.default_rng(0)
    for number in range(folder.FILES_PER_CHUNK + 2):
        wave = rng.uniform(-0.5, 0.5, 16_000)
        soundfile.write(tmp_path / "mine" / f"{number:02d}.wav", wave, 16_000)
    given = ["data", "folder", str(tmp_path / "mine"), "--seconds", "1", "--workers", "1"]
    for number in (1, 2):
        out = ["--out", str(tmp_path / f"part-{number}"), "--shard", f"{number}/2"]
        assert main([*given, *out]) == 0
    assert main([*given, "--out", str(tmp_path / "whole")]) == 0
    parts = [str(tmp_path / "part-2"), str(tmp_path / "part-1")]
    assert main(["data", "merge", *parts, "--out", str(tmp_path / "merged")]) == 0
    assert "10 clips" in capsys.readouterr().out
    merged, whole = (FeatureStore.open(tmp_path / name) for name in ("merged", "whole"))
    assert merged.labels["name"].tolist() == whole.labels["name"].tolist()
    assert merged.labels["split"].tolist() == whole.labels["split"].tolist()
    np.testing.assert_array_equal(merged.log_mel[:], whole.log_mel)
    np.testing.assert_array_equal(merged.audio[:], whole.audio)
    assert main(["data", "merge", parts[0], "--out", str(tmp_path / "again")]) == 2
    assert "missing (1/2)" in capsys.readouterr().err


def test_a_disk_that_is_full_ends_in_an_error_and_not_in_a_damaged_store(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            built(tmp_path / "store")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(RavelError, match="unfinished: run the same command again"):
        FeatureStore.open(tmp_path / "store")
    assert len(built(tmp_path / "store")) == 6


def test_a_build_without_room_says_how_to_go_on(tmp_path, monkeypatch):
    class Full:
        path, numbers = tmp_path / "store", range(1)

        def missing(self):
            return []

        def finish(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RavelError, match=r"no room left .* same command again"):
        pool.build(Full(), print, [[1]])
