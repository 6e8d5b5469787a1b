"""Corpora packed for shipping: what comes out is what went in, but for the codec."""

import numpy as np
import pytest

from core.audio.clip import Clip, read
from core.data import pack
from core.errors import RavelError


@pytest.fixture(scope="module")
def clips(examples) -> list[Clip]:
    """Two recordings of different length with labels."""
    violin = read(examples / "violin-1.flac", name="violin").segment(0, 2.5)
    trumpet = read(examples / "trumpet-1.flac", name="trumpet")
    wave = violin.wave / np.abs(violin.wave).max()
    return [
        Clip(wave, "violin", {"split": "train", "instrument": "Violin"}),
        Clip(trumpet.wave, "trumpet", {"split": "validation", "title": "Fanfare, slow"}),
    ]


@pytest.fixture
def packed(clips, tmp_path):
    pack.pack(clips, tmp_path / "pack")
    return tmp_path / "pack"


def test_clips_come_back_with_their_labels_and_their_sound(packed, clips, tmp_path):
    store = pack.unpack(packed, tmp_path / "store")
    assert store.kind == "pack" and store.has_audio
    assert store.labels["instrument"].tolist() == ["Violin", ""]
    assert store.labels["title"].tolist() == ["", "Fanfare, slow"]
    assert [store.indices(split).tolist() for split in ("train", "validation")] == [[0], [1]]
    for row, clip in enumerate(clips):
        found = store.clip(row).wave[: len(clip.wave)]
        assert np.abs(found).max() == pytest.approx(1, abs=1e-3)
        assert np.corrcoef(found, clip.wave)[0, 1] > 0.95  # in time, and alike
    size = sum(file.stat().st_size for file in packed.iterdir())
    assert size < 2 * sum(len(clip.wave) for clip in clips) / 8  # an eighth of 16-bit sound


def test_a_pack_is_unpacked_once_and_known_by_its_digest(packed, tmp_path):
    first = pack.unpack(packed, tmp_path / "store")
    stamp = (first.path / "log_mel.npy").stat().st_mtime_ns
    again = pack.unpack(packed, tmp_path / "store")
    assert (again.path / "log_mel.npy").stat().st_mtime_ns == stamp
    assert again.settings == {"pack": pack.digest(packed)}


def test_a_damaged_pack_is_refused_with_what_to_do(packed, tmp_path):
    table = packed / pack.TABLE
    table.write_text(table.read_text().replace("Fanfare, slow", "x").rsplit(",", 1)[0] + ",5\n")
    with pytest.raises(RavelError, match="differ in length"):
        pack.unpack(packed, tmp_path / "store")
    (packed / pack.SOUND).write_bytes(b"no sound")
    with pytest.raises(RavelError, match="restore its files"):
        pack.unpack(packed, tmp_path / "other")
    (packed / pack.SOUND).unlink()
    with pytest.raises(RavelError, match="no packed corpus"):
        pack.digest(packed)
