"""The vocoder that ships: small, honest about what it scored, and nearer than Griffin-Lim."""

import re

import numpy as np
import pytest
import torch

from core.audio import invert, long, pitch
from core.audio.clip import read
from core.audio.mel import log_mel
from core.checkpoints.checkpoint import find, list_checkpoints
from core.checkpoints.tables import format_score
from core.vocoder import model as network
from core.vocoder import vocode
from core.vocoder.model import LEVEL
from core.vocoder.objective import stft_distance
from core.vocoder.vocode import load

NAMES = ("violin-1", "trumpet-1", "clarinet-1", "flute-1")
SCENES = ("rain", "sea", "rooster", "dog", "clock", "baby")


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
        assert format_score(value) in card
    assert len(rows) > 8
    assert "python -m core train vocoder --out runs/vocoder" in card
    assert not re.search(r"/(home|root|tmp|work)/", card)


def test_real_instruments_come_back_nearer_than_by_griffin_lim(waves):
    vocoder = load("vocoder")
    ours, theirs = (way(log_mel(waves)) for way in (vocoder.to_waveform, invert.to_waveform))
    distances = [stft_distance(made, waves[:, : made.shape[1]]) for made in (ours, theirs)]
    assert (distances[0][0] < 0.75 * distances[1][0]).all()
    assert distances[0][1].mean() < distances[1][1].mean()


def test_their_melodies_are_kept(waves):
    made = load("vocoder").to_waveform(log_mel(waves))
    before, after = pitch.track(waves[:, : made.shape[1]]), pitch.track(made)
    sure = before.confidence > 0.5
    assert pitch.raw_pitch_accuracy(before.f0[sure], after.f0[sure]) > 0.95


# -- noise --------------------------------------------------------------------------------------


def spread(wave: torch.Tensor) -> float:
    """How far log magnitudes stray from their mean in each bin, a median in dB."""
    power = torch.stft(wave, 512, 256, window=torch.hann_window(512), return_complex=True).abs()
    return float((20 * (power + 1e-5).log10()).std(-1).median())


def test_bfloat16_loses_nothing_of_a_log_mel(waves, monkeypatch):
    errors = []
    for able in (False, True):
        monkeypatch.setattr(vocode, "has_bfloat16", lambda _, able=able: able)
        vocoder, mels = load("vocoder"), log_mel(waves)
        assert (vocoder.model.head.weight.dtype == torch.bfloat16) == able
        again = log_mel(vocoder.to_waveform(mels))
        errors.append((again - mels[:, : again.shape[1]]).abs().mean())
    assert errors[1] < 1.02 * errors[0]


def test_white_noise_comes_back_as_gaussian_noise_of_its_level():
    noise = 0.1 * torch.randn(64_000, generator=torch.Generator().manual_seed(1))
    made = load("vocoder").to_waveform(log_mel(noise))[2_000:-2_000].double()
    assert abs(20 * np.log10(float(made.std()) / 0.1)) < 1
    assert abs(float((made**4).mean() / made.var() ** 2) - 3) < 0.3
    assert abs(spread(made.float()) - spread(noise)) < 0.5  # 5.6 dB, as Rayleigh's


def test_a_steady_tone_gets_no_noise(monkeypatch):
    at = torch.arange(64_000) / 16_000
    tone = sum(torch.sin(2 * np.pi * 330 * k * at) / k for k in range(1, 9)) / 4
    vocoder, mel = load("vocoder"), log_mel(tone)[20:-20]  # without the edges
    said = vocoder.model(mel[None] + LEVEL - mel.max())
    loud = said.magnitude > 0.1 * said.magnitude.amax()
    assert said.tonal[loud].quantile(0.1) > 0.6

    def floor() -> float:
        """The power between the partials, in dB of that of the partials."""
        made = vocoder.to_waveform(mel)[4_000:-4_000].numpy()
        power = np.abs(np.fft.rfft(made * np.blackman(len(made)))) ** 2
        hertz = np.fft.rfftfreq(len(made), 1 / 16_000)
        partials = np.abs(hertz[:, None] - 330 * np.arange(1, 9)).min(1) < 40
        return 10 * np.log10(power[~partials].sum() / power[partials].sum())

    found = floor()
    monkeypatch.setattr(network, "LEAST", 1.0)  # everything as it is said
    assert found < floor() + 0.5 < -25


def test_pieces_of_noise_are_joined_without_a_gap():
    noise = 0.1 * torch.randn(400 * 256, generator=torch.Generator().manual_seed(2))
    mel = log_mel(noise)
    made = long.to_waveform(mel, load("vocoder").to_waveform, piece=150)
    assert len(made) == (len(mel) - 1) * 256
    level = made[1_024:-1_024].unfold(0, 512, 256).std(-1) / 0.1
    assert level.min() > 0.6 and level.max() < 1.25  # a fade between two noises takes off 3 dB


def test_scenes_are_as_rough_as_they_were(examples):
    vocoder, apart = load("vocoder"), []
    for name in SCENES:
        wave = torch.from_numpy(read(examples / "scenes" / f"{name}.flac").wave)
        apart.append(spread(vocoder.to_waveform(log_mel(wave))) - spread(wave))
    assert np.abs(apart).max() < 1.5
