"""Latents of a store for a map, against those of its clips one by one."""

import hashlib
import json

import numpy as np
import pytest

from core.checkpoints import checkpoint as checkpoints
from core.data import dmelodies
from core.data.store import FeatureStore
from core.dsae import latents, maps
from core.errors import RavelError
from core.maps.points import neighbours


@pytest.fixture(scope="module")
def store(melodies) -> FeatureStore:
    return FeatureStore.open(melodies)


@pytest.fixture(scope="module")
def checkpoint(untrained):
    return checkpoints.find(untrained)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("maps")


@pytest.fixture(scope="module")
def encoded(store, checkpoint, cache) -> maps.StoreLatents:
    return maps.encode_store(store, checkpoint, cache)


@pytest.fixture(scope="module")
def folder(store, checkpoint, cache, encoded):
    return maps.folder_of(store, checkpoint, cache)


def test_a_store_s_latents_are_those_of_its_clips_one_by_one(store, checkpoint, encoded):
    model = latents.load(checkpoint.path)
    for i in (0, 7, len(store) - 1):
        frames = store.lengths[i]
        one = model.encode(store.log_mel[i, :frames])
        assert np.allclose(encoded.v[i], one.v, atol=1e-5)
        assert np.allclose(encoded.z[i], one.z.mean(0), atol=1e-5)
        assert np.allclose(encoded.frame_z[i], one.z[encoded.frames[i]], atol=1e-5)


def test_clips_of_unequal_length_are_encoded_without_their_padding(store, checkpoint):
    sizes = np.array([120, int(store.lengths[1])], dtype=np.int32)
    log_mel = np.array(store.log_mel[:2])
    log_mel[0, 120:] = -36
    short = FeatureStore(store.path, store.info, log_mel, sizes, store.labels)
    model = latents.load(checkpoint.path)
    found = maps._encode(model, short, np.array([0, 1]), kept=3)
    one = model.encode(log_mel[0, :120])
    assert np.allclose(found.v[0], one.v, atol=1e-5)
    assert np.allclose(found.z[0], one.z.mean(0), atol=1e-5)
    assert found.frames[0].max() < 120


def test_latents_are_read_from_disk_the_second_time(store, checkpoint, cache, encoded, monkeypatch):
    monkeypatch.setattr(maps, "_load", lambda *_: pytest.fail("encoded again"))
    again = maps.encode_store(store, checkpoint, cache)
    for name, array in vars(encoded).items():
        assert np.array_equal(getattr(again, name), array)


def test_an_interrupted_encoding_goes_on_where_it_was(store, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "CHUNK", 10)

    def interrupt(done: int, of: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        maps.encode_store(store, checkpoint, tmp_path, on_progress=interrupt)
    done, encode = [], maps._encode
    monkeypatch.setattr(maps, "_encode", lambda *a: done.append(len(a[2])) or encode(*a))
    whole = maps.encode_store(store, checkpoint, tmp_path)
    assert sum(done) == len(store) - 20 and len(whole.v) == len(store)
    left = maps.folder_of(store, checkpoint, tmp_path).iterdir()
    assert [file.name for file in left] == ["latents.npz"]


def test_one_split_is_encoded_alone_and_an_empty_one_is_refused(store, checkpoint, tmp_path):
    found = maps.encode_store(store, checkpoint, tmp_path, "validation")
    assert np.array_equal(found.rows, store.indices("validation"))
    with pytest.raises(RavelError, match="no clips in its split 'test'"):
        maps.encode_store(store, checkpoint, tmp_path, "test")


def test_a_diverged_checkpoint_is_refused(store, checkpoint, tmp_path):
    weights = {name: tensor * float("nan") for name, tensor in checkpoint.weights().items()}
    broken = checkpoints.write(tmp_path / "broken", checkpoint.config, weights)
    with pytest.raises(RavelError, match="not finite"):
        maps.encode_store(store, broken, tmp_path / "maps")


def test_a_frame_s_neighbours_are_of_other_clips(encoded):
    clips = encoded.clips("frames")
    found, _ = neighbours(encoded.points("frames"), 30, count=10, metric="euclidean", clips=clips)
    assert clips[30] not in clips[found] and len(found) == 10


def test_the_pitch_of_frames_is_that_of_the_notes_they_lie_in():
    tune = dmelodies.melody(int(dmelodies.filtered_rows()[0]))
    frames = np.array([[2, 250]])  # 32 ms and 4 s: the filter leaves a note at either end
    pitch = maps.true_pitch({"melody": np.array([str(tune.row)])}, frames - [[0, 3]])
    assert pitch.tolist() == [[tune.pitches[0], tune.pitches[-1]]]
    rests = sorted(set(range(16)) - set(tune.slots))
    silent = np.array([[int((slot + 0.5) * 0.25 / maps.HOP_SECONDS) for slot in rests]])
    assert np.isnan(maps.true_pitch({"melody": np.array([str(tune.row)])}, silent)).all()


def test_points_can_be_coloured_by_what_the_model_knows_of_them(store, checkpoint, encoded):
    labels = {key: column[encoded.rows] for key, column in store.labels.items()}
    for space in maps.SPACES.values():
        names = maps.figures(checkpoint.config, labels, space)
        assert len(names) == len(set(names)) > 10
        for name in names:
            assert len(encoded.values(name, space, labels)) == len(encoded.points(space))
    assert np.array_equal(encoded.values("v 2", "z", labels), encoded.v[:, 1])
    frames = encoded.values("z 3", "frames", labels)
    assert np.array_equal(frames, encoded.frame_z.reshape(-1, encoded.z.shape[1])[:, 2])
    assert encoded.values("pitch (MIDI)", "v", labels) is None
    assert encoded.values("h 1", "v", labels) is None


def test_maps_that_were_stored_before_are_found_where_they_were(store, checkpoint, cache, folder):
    facts = [1, 10_000, 24, fingerprint(store), checkpoint.digest, None]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    assert folder == cache / f"{store.path.name}-{checkpoint.name}-all-{key}"
    assert (folder / "latents.npz").exists()


def fingerprint(store) -> list:
    mel = (store.path / "log_mel.npy").stat()
    texts = [(store.path / name).read_bytes() for name in ("store.json", "clips.csv")]
    return [hashlib.sha256(b"".join(texts)).hexdigest(), mel.st_size, mel.st_mtime_ns]
