"""Pictures of sounds as they are sent to a browser: a byte a cell."""

import zlib

import numpy as np
import pytest

from core import service
from core.audio.clip import read
from lab.bundled import EXAMPLES
from lab.widgets.sound_view import packing


def cells(found: packing.Packed) -> np.ndarray:
    """The levels in dB [T, bands] that a browser reads."""
    values = np.frombuffer(zlib.decompress(found.data), np.uint8)
    return found.top - (255.0 - values.reshape(found.frames, found.bands)) * packing.STEP


def test_a_picture_is_right_to_half_a_step_down_to_100_db_below_its_maximum():
    log_mel = service.log_mel(read(EXAMPLES / "violin-1.flac"))
    found = packing.packed(log_mel)
    decibels = 10 * np.log10(np.exp(log_mel.astype(float)))
    above = decibels > decibels.max() - 100
    assert above.mean() > 0.9
    assert cells(found)[above] == pytest.approx(decibels[above], abs=packing.STEP / 2 + 1e-3)
    assert len(found.data) < log_mel.size < log_mel.nbytes
    assert packing.packed(log_mel.copy()) is found  # made once for each log-mel


def test_of_a_very_long_log_mel_frames_are_averaged():
    log_mel = np.repeat(np.arange(5_000, dtype=np.float32)[:, None] / 1_000, 80, axis=1)
    found = packing.packed(log_mel)
    assert found.every == 2 and found.frames == 2_500
    expected = 10 * np.log10(np.e) * log_mel[:-1:2, 0] + 10 * np.log10(np.e) * 0.0005
    assert cells(found)[:, 0] == pytest.approx(expected, abs=packing.STEP / 2 + 1e-3)
