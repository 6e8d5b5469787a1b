"""Sound from log-mels: what comes back has the mel, the melody and the level of what went in."""

import numpy as np
import pytest
import torch

from core.audio import clip, invert, pitch
from core.audio.mel import log_mel
from core.errors import RavelError

NAMES = ["violin-1", "violin-2", "trumpet-1", "trumpet-2"]
DECIBEL = 10 / np.log(10)


@pytest.fixture(scope="module")
def waves(examples) -> torch.Tensor:
    """Real violins and trumpets [4, S], a whole number of hops long."""
    clips = [clip.read(examples / f"{name}.flac").wave for name in NAMES]
    size = min(map(len, clips)) // 256 * 256
    return torch.from_numpy(np.stack([wave[:size] for wave in clips]))


@pytest.fixture(scope="module")
def live(waves) -> torch.Tensor:
    return invert.to_waveform(log_mel(waves))


def distance(wave, reference) -> float:
    """Mean absolute difference in dB of the log-mels [B, T, 80], where there is sound."""
    difference = (log_mel(wave) - reference).abs()
    return float(difference[reference > -20].mean()) * DECIBEL


def harmonic_tone(frequency=330.0, samples=64_000):
    phase = 2 * np.pi * frequency * np.arange(samples) / 16_000
    tone = sum(np.sin(k * phase) / k for k in range(1, 9))
    return torch.tensor(tone / np.abs(tone).max(), dtype=torch.float32)


def test_live_route_gives_back_the_mel_of_real_recordings(waves, live):
    assert live.shape == waves.shape
    assert distance(live, log_mel(waves)) < 1.3


def test_live_route_keeps_the_melody_of_real_recordings(waves, live):
    before, after = pitch.track(waves), pitch.track(live)
    sure = before.confidence > 0.5
    accuracy = pitch.raw_pitch_accuracy(before.f0[sure], after.f0[sure])
    assert sure.mean() > 0.5 and accuracy > 0.95


def test_both_routes_keep_the_level(waves, live):
    paper = invert.to_waveform(log_mel(waves), route="paper")
    for wave, tolerance in ((live, 0.7), (paper, 3.0)):
        decibels = 10 * torch.log10(wave.square().mean(-1) / waves.square().mean(-1))
        assert decibels.abs().max() < tolerance
    quiet = invert.to_waveform(log_mel(waves[:1] * 0.1))
    assert quiet.square().mean() == pytest.approx(float(live[0].square().mean()) / 100, rel=0.05)


def test_live_route_is_more_faithful_than_the_papers(waves, live):
    reference = log_mel(waves)
    paper = invert.to_waveform(reference, route="paper")
    assert paper.shape == live.shape
    assert distance(live, reference) < 0.5 * distance(paper, reference)


@pytest.mark.parametrize("route, tolerance", [("live", 15), ("paper", 50)])
def test_a_harmonic_tone_keeps_its_pitch(route, tolerance):
    wave = invert.to_waveform(log_mel(harmonic_tone()), route=route)
    cents = 1200 * np.log2(pitch.track(wave).f0[0, 20:-20] / 330)
    assert abs(np.median(cents)) < tolerance


def test_live_route_fits_the_mel_of_non_negative_spectra_exactly():
    power = torch.rand(1, 20, 1025, generator=torch.Generator().manual_seed(0))
    mel = power @ invert.mel_basis(power.device)
    fitted = invert._fit(mel)
    spare = torch.empty_like(fitted)
    for _ in range(200):
        invert._step(fitted, mel, spare)
    assert (fitted >= 0).all()
    torch.testing.assert_close(fitted @ invert.mel_basis(power.device), mel, rtol=1e-3, atol=1e-3)


def test_transforms_are_those_of_torch():
    wave = torch.randn(2, 20 * 256, generator=torch.Generator().manual_seed(0))
    window = torch.hann_window(2048)
    spectrum = torch.stft(wave, 2048, 256, window=window, return_complex=True)
    torch.testing.assert_close(invert._stft(wave).transpose(1, 2), spectrum, atol=1e-3, rtol=1e-3)
    other = spectrum * torch.rand(spectrum.shape, generator=torch.Generator().manual_seed(1))
    expected = torch.istft(other, 2048, 256, window=window)
    made = invert._istft(other.transpose(1, 2), torch.empty(2, 21, 2048))
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("route", ["live", "paper"])
def test_a_seed_decides_the_wave_and_the_global_random_state_stays(route, waves):
    mel = log_mel(waves[:, :16_384])
    state = torch.random.get_rng_state()
    first, again = (invert.to_waveform(mel, route=route, seed=3) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, invert.to_waveform(mel, route=route, seed=4))
    alone = invert.to_waveform(mel[2], route=route, seed=3)
    error = (first[2] - alone).square().mean() / alone.square().mean()
    assert error < 1e-3  # rounding alone
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("route", ["live", "paper"])
def test_silence_and_absurd_values_stay_finite(route):
    floor = float(np.log(np.finfo(np.float64).eps))
    mel = torch.full((4, 30, 80), floor)
    mel[1, 10:20] = 5.0  # sound between silences
    mel[2] = float("nan")
    mel[3] = 1e6
    wave = invert.to_waveform(mel, route=route)
    assert wave.shape == (4, 29 * 256) and torch.isfinite(wave).all()
    assert wave[[0, 2]].abs().max() < 1e-6
    assert wave[1].abs().max() > 1e-3


def test_wrong_shapes_and_routes_get_one_clear_sentence():
    for shape in [(80,), (251, 64), (3, 80)]:
        with pytest.raises(RavelError, match="shape"):
            invert.to_waveform(torch.zeros(shape))
    with pytest.raises(RavelError, match="choose live or paper"):
        invert.to_waveform(torch.zeros(251, 80), route="fast")
