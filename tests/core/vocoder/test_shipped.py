"""The vocoder that ships: small, honest about what it scored, and nearer than Griffin-Lim."""

import re

import numpy as np
import pytest
import torch

from core.audio import invert, pitch
from core.audio.clip import read
from core.audio.mel import log_mel
from core.cards import shown
from core.checkpoints import find, list_checkpoints
from core.vocoder.objective import stft_distance
from core.vocoder.vocode import load

NAMES = ("violin-1", "trumpet-1", "clarinet-1", "flute-1")


@pytest.fixture(scope="module")
def waves(examples):
    size = 48_000 // 256 * 256
    clips = [read(examples / f"{name}.flac").wave[:size] for name in NAMES]
    return torch.from_numpy(np.stack([np.pad(wave, (0, size - len(wave))) for wave in clips]))


def test_it_ships_in_half_precision_under_15_megabytes():
    assert [one.name for one in list_checkpoints("vocoder")] == ["vocoder"]
    checkpoint = find("vocoder")
    assert {tensor.dtype for tensor in checkpoint.weights().values()} == {torch.float16}
    assert sum(file.stat().st_size for file in checkpoint.path.iterdir()) < 15e6


def test_its_card_says_what_the_metrics_say_and_how_to_train_it_again():
    checkpoint = find("vocoder")
    card = (checkpoint.path / "README.md").read_text()
    rows = [row for scores in checkpoint.metrics.values() for row in scores.values()]
    for value in (value for row in rows if isinstance(row, dict) for value in row.values()):
        assert shown(value) in card
    assert len(rows) > 8
    assert "python -m core train vocoder --out runs/vocoder" in card
    assert not re.search(r"/(home|root|tmp|work)/", card)


def test_real_instruments_come_back_nearer_than_by_griffin_lim(waves):
    speaker = load("vocoder")
    ours, theirs = (way(log_mel(waves)) for way in (speaker.to_waveform, invert.to_waveform))
    distances = [stft_distance(made, waves[:, : made.shape[1]]) for made in (ours, theirs)]
    assert (distances[0][0] < 0.75 * distances[1][0]).all()
    assert distances[0][1].mean() < distances[1][1].mean()


def test_their_melodies_are_kept(waves):
    made = load("vocoder").to_waveform(log_mel(waves))
    before, after = pitch.track(waves[:, : made.shape[1]]), pitch.track(made)
    sure = before.confidence > 0.5
    assert pitch.raw_pitch_accuracy(before.f0[sure], after.f0[sure]) > 0.95
