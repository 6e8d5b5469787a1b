import numpy as np
import pytest

from core.audio import trackers
from core.audio.clip import SAMPLE_RATE
from core.audio.mel import frames_of
from core.errors import RavelError


def sounds() -> np.ndarray:
    """A tone of 220 Hz with harmonics, and one of 660 Hz; a second each, half of it silent."""
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    waves = [
        sum(np.sin(2 * np.pi * k * hertz * time) / k for k in (1, 2, 3)) for hertz in (220, 660)
    ]
    return (0.2 * np.stack(waves) * (time < 0.5)).astype(np.float32)


@pytest.mark.parametrize("name", ["crepe", "swift", "pyin"])
def test_each_tracker_finds_the_pitch_at_the_frames_of_log_mels(name):
    waves = sounds()
    found = trackers.find(name)(waves)
    assert found.f0.shape == found.voiced.shape == (2, frames_of(waves.shape[1]))
    for f0, voiced, hertz in zip(found.f0, found.voiced, (220, 660), strict=True):
        assert 12 * np.log2(f0[5:25] / hertz) == pytest.approx(np.zeros(20), abs=0.3)
        assert voiced[5:25].all()
        assert not voiced[40:55].any()


def test_an_unknown_tracker_is_refused():
    with pytest.raises(RavelError, match="choose crepe"):
        trackers.find("ear")
