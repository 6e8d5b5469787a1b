"""The face: the same contract as Griffin-Lim's way, and the choice between the two."""

import numpy as np
import pytest
import torch

from core.audio import invert
from core.audio.clip import read
from core.audio.mel import log_mel
from core.checkpoints import checkpoint as checkpoints
from core.errors import RavelError
from core.vocoder.play import default_route, is_available, play, route_digest
from core.vocoder.vocode import load


@pytest.fixture(scope="module")
def vocoder(checkpoint):
    return load(checkpoint.path)


@pytest.fixture(scope="module")
def mels(examples):
    names = ("violin-1", "trumpet-1", "flute-1")
    return log_mel(np.stack([read(examples / f"{name}.flac").wave[:32_000] for name in names]))


def test_waves_are_a_hop_a_frame_and_at_the_level_of_the_log_mel(vocoder, mels):
    waves = vocoder.to_waveform(mels)
    assert waves.dtype == torch.float32 and waves.shape == (3, (mels.shape[1] - 1) * 256)
    apart = (log_mel(waves).mean(1) - mels[:, : log_mel(waves).shape[1]].mean(1)).abs().mean()
    assert apart < 2
    quiet = vocoder.to_waveform(mels - np.log(100.0))
    torch.testing.assert_close(10 * quiet, waves, atol=0.02, rtol=0.05)


def test_nothing_is_random_and_a_batch_changes_no_clip(vocoder, mels):
    waves = vocoder.to_waveform(mels)
    assert torch.equal(waves, vocoder.to_waveform(mels))
    assert torch.equal(waves[1], vocoder.to_waveform(mels[1]))
    nested = vocoder.to_waveform(mels[None, :2])
    assert torch.equal(nested, waves[None, :2])
    assert torch.equal(waves[0], vocoder.to_waveform(mels[0].numpy()))


def test_silence_and_absurd_values_stay_finite(vocoder):
    floor = float(np.log(np.finfo(np.float64).eps))
    mel = torch.full((5, 30, 80), floor)
    mel[1, 10:20] = 5.0  # sound between silences
    mel[2] = float("nan")
    mel[3] = 1e6
    mel[4] = -torch.inf
    wave = vocoder.to_waveform(mel)
    assert wave.shape == (5, 29 * 256) and torch.isfinite(wave).all()
    assert wave[[0, 2, 4]].abs().max() < 1e-4  # 80 dB below full scale
    assert wave[1].abs().max() > 1e-3


@pytest.mark.parametrize("shape", [(80,), (251, 64), (3, 80)])
def test_wrong_shapes_get_the_sentence_that_griffin_lim_says(vocoder, shape):
    with pytest.raises(RavelError) as ours:
        vocoder.to_waveform(torch.zeros(shape))
    with pytest.raises(RavelError) as theirs:
        invert.to_waveform(torch.zeros(shape))
    assert str(ours.value) == str(theirs.value)


def test_other_systems_checkpoints_and_damaged_ones_are_refused(untrained, checkpoint, tmp_path):
    with pytest.raises(RavelError, match="is for dsae, not for playing"):
        load(untrained)
    checkpoints.write(tmp_path / "bad", checkpoint.config, {"head.bias": torch.zeros(3)})
    with pytest.raises(RavelError, match="do not fit"):
        load(tmp_path / "bad")


# -- the choice ---------------------------------------------------------------------------------


@pytest.fixture
def shipped(checkpoint, tmp_path, monkeypatch):
    """A copy that ships this vocoder."""
    (tmp_path / "vocoder").symlink_to(checkpoint.path)
    monkeypatch.setattr(checkpoints, "SHIPPED", tmp_path)


def test_the_vocoder_plays_where_it_ships(shipped, vocoder, mels):
    assert is_available() and default_route() == "vocoder"
    assert torch.equal(play(mels), vocoder.to_waveform(mels))
    for route in ("live", "paper"):
        expected = invert.to_waveform(mels[:1], route=route)
        assert torch.equal(play(mels[:1], route), expected)


def test_griffin_lim_plays_where_it_does_not(tmp_path, monkeypatch, mels):
    monkeypatch.setattr(checkpoints, "SHIPPED", tmp_path)
    assert default_route() == "live" and route_digest() == "live"
    assert torch.equal(play(mels), invert.to_waveform(mels))
    with pytest.raises(RavelError, match="missing: restore checkpoints/vocoder"):
        play(mels, "vocoder")
    with pytest.raises(RavelError, match="choose vocoder, live or paper"):
        play(mels, "tape")


def test_digests_tell_the_ways_and_the_weights_apart(shipped, checkpoint):
    assert route_digest("vocoder") == route_digest() == f"vocoder-{checkpoint.digest}"
    assert route_digest("live") != route_digest("paper")
