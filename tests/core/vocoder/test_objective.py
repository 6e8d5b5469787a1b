"""Terms and distances against closed forms, plain loops and librosa."""

import librosa
import numpy as np
import pytest
import torch

from core.audio.clip import read
from core.vocoder import objective
from core.vocoder.model import BINS, HOP, N_FFT, TINY, Spectra, stft

WEIGHTS = {"magnitude": 1.0, "convergence": 1.0, "advance": 2.0, "delay": 1.0}


def tone(frequency, frames=12):
    return torch.sin(2 * np.pi * frequency * torch.arange(frames * HOP + N_FFT) / 16_000)[None]


def noise(seed, shape=(2, 40_000)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def perfect(truth):
    """What a network says that knows everything."""
    delay = objective.delay(truth[:, 1:])
    return Spectra(
        (truth[:, 1:].abs() + TINY).log(),
        objective.advance(truth),
        torch.cat([torch.ones_like(delay[..., :1]), delay], -1),
        torch.ones_like(truth[:, 1:].real),
    )


def test_a_perfect_prediction_has_no_loss():
    terms = objective.losses(perfect(stft(noise(0))), stft(noise(0)), WEIGHTS)
    assert all(abs(float(term)) < 1e-3 for term in terms.values())


def test_the_loss_is_the_weighted_sum_of_its_terms():
    terms = objective.losses(perfect(stft(noise(1))), stft(noise(0)), WEIGHTS)
    total = sum(WEIGHTS[name] * terms[name] for name in WEIGHTS)
    assert float(terms["loss"]) == pytest.approx(float(total)) and terms["loss"] > 2


@pytest.mark.parametrize("frequency", [200.0, 1_003.0])
def test_the_phase_of_a_tone_advances_by_its_frequency(frequency):
    truth = stft(tone(frequency))
    k = int(truth.abs()[0, 5].argmax())
    expected = 2 * np.pi * HOP * (frequency / 16_000 - k / N_FFT)
    found = objective.advance(truth)[0, :, k].angle()
    assert np.allclose(np.angle(np.exp(1j * (found.numpy() - expected))), 0, atol=1e-2)


@pytest.mark.parametrize("late", [-200, 0, 150])
def test_a_click_turns_the_phase_from_bin_to_bin_by_when_it_sounds(late):
    wave = torch.zeros(1, N_FFT)
    wave[0, N_FFT // 2 + late] = 1.0
    found = objective.delay(stft(wave))[0, 0].angle()
    torch.testing.assert_close(
        found, torch.full((BINS - 1,), -2 * np.pi * late / N_FFT), atol=1e-3, rtol=0
    )


def test_steps_of_the_phase_count_by_the_root_of_the_magnitude():
    truth = stft(noise(2))
    size = (truth[:, 1:].abs() * truth[:, :-1].abs()).sqrt().sqrt()
    torch.testing.assert_close(objective.advance(truth).abs(), size, rtol=1e-3, atol=1e-3)


def test_angles_are_apart_by_one_minus_the_cosine_at_any_size():
    true = torch.polar(torch.tensor([1.0, 3.0]), torch.tensor([0.3, 2.0]))
    for turn in (0.0, 0.7, np.pi):
        said = torch.polar(torch.tensor([0.01, 50.0]), torch.tensor([0.3 + turn, 2.0 + turn]))
        assert float(objective.apart(said, true)) == pytest.approx(1 - np.cos(turn), abs=1e-5)
    one = torch.polar(torch.tensor([5.0, 5.0]), torch.tensor([0.3, 2.0 + np.pi]))
    assert float(objective.apart(one, true)) == pytest.approx(2 * 3 / 4, abs=1e-5)


def test_frames_of_noise_are_alike_as_far_as_their_windows_overlap():
    window = np.hanning(N_FFT + 1)[:-1]
    overlap = (window[HOP:] * window[:-HOP]).sum() / (window**2).sum()
    assert pytest.approx(overlap, abs=5e-4) == objective.OVERLAP
    truth = stft(noise(6, (1, 400_000)))
    alike = objective._onward(truth).real.mean() / truth.abs().square().mean()
    assert float(alike) == pytest.approx(overlap, abs=0.01)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8])
def test_the_least_error_of_what_is_tonal_is_at_the_tones_share_of_the_power(share):
    frequency, k, frames, clips = 1_003.0, 64, 400, 25
    window = np.hanning(N_FFT + 1)[:-1]
    wave = np.sqrt(1 - share) * noise(7, (clips, frames * HOP + N_FFT)) / np.sqrt((window**2).sum())
    turn = np.exp(-2j * np.pi * (frequency / 16_000 - k / N_FFT) * np.arange(N_FFT))
    size = np.abs((window * turn).sum()) / 2  # of a sine of 1 in that bin
    truth = stft(wave.float() + np.sqrt(share) / size * tone(frequency, frames))[..., k]
    truth = torch.nn.functional.pad(truth[..., None], (k, BINS - k - 1))
    like = torch.ones(clips, frames, BINS)
    ahead = torch.tensor(2 * np.pi * HOP * (frequency / 16_000 - k / N_FFT)).float()
    only = torch.where(torch.arange(BINS) == k, 0.0, -30.0).expand_as(like)
    said = Spectra(only, torch.polar(like, ahead * like), like + 0j, like)
    none, half, all_ = (
        float(objective.tonality(said._replace(tonal=s * like), truth)) for s in (0.0, 0.5, 1.0)
    )
    least = 0.5 + (none - all_) / (none - 2 * half + all_) / 4  # of the parabola through them
    assert least == pytest.approx(share, abs=0.08)


def test_a_steady_tone_that_is_predicted_as_one_has_no_error():
    truth = stft(tone(440.0, 40))
    said = perfect(truth)
    assert float(objective.tonality(said, truth)) < 0.01
    other = said._replace(tonal=torch.zeros_like(said.tonal))
    assert float(objective.tonality(other, truth)) > 0.05


def test_convergence_is_the_relative_distance_of_a_loop():
    true, said = stft(noise(3)).abs(), stft(noise(4)).abs()
    expected = [
        np.linalg.norm(a - b) / (np.linalg.norm(a) + objective.SILENT)
        for a, b in zip(true.numpy(), said.numpy(), strict=True)
    ]
    assert float(objective.convergence(true, said)) == pytest.approx(np.mean(expected), rel=1e-4)


def test_stft_distance_is_librosas(examples):
    waves = np.stack([read(examples / f"{n}.flac").wave[:32_000] for n in ("violin-1", "flute-1")])
    ratio, decibels = objective.stft_distance(*(torch.from_numpy(w[None]) for w in waves))
    found = []
    for window in (512, 1024, 2048):
        said, true = (
            np.abs(librosa.stft(w, n_fft=window, hop_length=window // 4, pad_mode="reflect"))
            for w in waves
        )
        logs = [20 * np.log10(x + objective.QUIET) for x in (said, true)]
        found.append(
            [np.linalg.norm(said - true) / np.linalg.norm(true), np.abs(logs[0] - logs[1]).mean()]
        )
    expected = np.mean(found, axis=0)
    assert [float(ratio), float(decibels)] == pytest.approx(expected.tolist(), rel=1e-3)


def test_the_same_sound_is_at_no_distance_and_silence_counts_as_a_whole():
    wave = 0.1 * noise(5, (1, 16_000))
    ratio, decibels = objective.stft_distance(wave, wave)
    assert float(ratio) == 0 and float(decibels) == 0
    ratio, decibels = objective.stft_distance(torch.zeros_like(wave), wave)
    assert float(ratio) == pytest.approx(1, abs=1e-3) and float(decibels) > 40
