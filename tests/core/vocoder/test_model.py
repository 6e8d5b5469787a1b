"""The network's end: spectra said by magnitudes and phase steps become the sound they are of."""

import librosa
import numpy as np
import pytest
import torch

from core.audio import clip, pitch
from core.audio.mel import log_mel
from core.vocoder import model as vocoder
from core.vocoder.model import BINS, HOP, N_FFT, Spectra, VocoderNetwork

NAMES = ["violin-1", "trumpet-1", "scenes/dog"]


@pytest.fixture(scope="module")
def waves(examples) -> torch.Tensor:
    """A violin, a trumpet and a barking dog [3, S], a whole number of hops long."""
    clips = [clip.read(examples / f"{name}.flac").wave[: 150 * HOP] for name in NAMES]
    return torch.from_numpy(np.stack(clips))


@pytest.fixture(scope="module")
def network() -> VocoderNetwork:
    torch.manual_seed(0)
    return VocoderNetwork(width=16, hidden=32, blocks=2).eval().requires_grad_(False)


def spectra_of(waves: torch.Tensor) -> Spectra:
    """What a perfect network would say, from librosa's STFT and plain differences of angles."""
    spectrum = librosa.stft(waves.numpy(), n_fft=N_FFT, hop_length=HOP, pad_mode="reflect")
    spectrum = spectrum.swapaxes(1, 2) * (-1.0) ** np.arange(BINS)  # centred phases
    angle = np.angle(spectrum)
    advance = np.diff(angle, axis=1, prepend=0) - 2 * np.pi * HOP / N_FFT * np.arange(BINS)
    delay = np.diff(angle, axis=2, prepend=0)
    magnitude = torch.from_numpy(np.abs(spectrum)).float()
    steps = (torch.polar(torch.ones(()), torch.from_numpy(x).float()) for x in (advance, delay))
    return Spectra((magnitude + vocoder.TINY).log(), *steps, torch.ones_like(magnitude))


def loss_of(made: torch.Tensor, waves: torch.Tensor) -> list[float]:
    """Spectral convergence of each wave by librosa: 0 for the same magnitudes."""
    said, true = (
        np.abs(librosa.stft(x.numpy(), n_fft=1024, hop_length=256)) for x in (made, waves)
    )
    norm = np.linalg.norm
    return [norm(a - b) / norm(b) for a, b in zip(said, true, strict=True)]


def test_true_magnitudes_and_true_steps_of_the_phase_give_real_sound_back(waves):
    made = vocoder.synthesise(spectra_of(waves))
    assert made.shape == waves.shape
    assert max(loss_of(made, waves)) < 0.2  # of attacks, where phases begin anew
    assert max(loss_of(made[:2], waves[:2])) < 0.03


def test_without_the_steps_from_bin_to_bin_attacks_smear(waves):
    true = spectra_of(waves)
    flat = true._replace(delay=torch.ones_like(true.delay))
    assert (
        loss_of(vocoder.synthesise(flat), waves)[2]
        > 2 * loss_of(vocoder.synthesise(true), waves)[2]
    )


@pytest.mark.parametrize("frequency", [70.0, 333.3, 2_750.0])
def test_a_held_tone_of_identical_frames_keeps_its_pitch(frequency):
    tone = torch.sin(2 * np.pi * frequency * torch.arange(200 * HOP) / 16_000)
    frame = [part[:, 100:101].expand(1, 201, BINS) for part in spectra_of(tone[None])]
    made = vocoder.synthesise(Spectra(*frame))[0, 20 * HOP : -20 * HOP]
    spectrum = np.abs(np.fft.rfft(made.numpy() * np.hanning(len(made)), 2**20))
    assert abs(1200 * np.log2(spectrum.argmax() * 16_000 / 2**20 / frequency)) < 1  # cent


# -- noise --------------------------------------------------------------------------------------


def noise_of(level: float, frames: int = 400, tonal: float = 0.0) -> Spectra:
    """What is to be said of white noise with a standard deviation of `level`: its medians."""
    window = torch.hann_window(N_FFT)
    median = level * float(window.square().sum().sqrt()) * np.sqrt(np.log(2))
    full = torch.full((1, frames, BINS), median)
    turn = torch.ones(1, frames, BINS, dtype=torch.complex64)
    return Spectra((full + vocoder.TINY).log(), turn, turn, torch.full_like(full, tonal))


def test_what_has_no_tone_is_gaussian_noise_at_its_level_in_every_octave(monkeypatch):
    monkeypatch.setattr(vocoder, "LEAST", 0.0)
    made = vocoder.synthesise(noise_of(0.1))[0, 2_000:-2_000].double().numpy()
    assert abs(20 * np.log10(made.std() / 0.1)) < 0.3
    assert abs((made**4).mean() / made.var() ** 2 - 3) < 0.15  # kurtosis of a Gaussian
    power = np.abs(librosa.stft(made, n_fft=512)) ** 2
    for low in (4, 8, 16, 32, 64, 128):
        octave = power[low : 2 * low].mean() / power[2:-2].mean()
        assert abs(10 * np.log10(octave)) < 0.8
    magnitudes = np.sqrt(power[8:-8])  # Rayleigh's ratio of deviation to mean
    assert abs(magnitudes.std() / magnitudes.mean() - np.sqrt(4 / np.pi - 1)) < 0.02


def test_most_of_what_has_no_tone_is_played_as_noise_and_the_rest_as_predicted():
    said, noise = vocoder.factors(torch.tensor([0.0, 0.1, 0.2, 0.4, 1.0]))
    share = said.square() / (said.square() + noise.square())
    torch.testing.assert_close(share, torch.tensor([0.4, 0.55, 0.7, 1.0, 1.0]))
    assert float(said[-1]) == 1 and float(noise[-1]) == 0  # a tone gets no noise at all


@pytest.mark.parametrize("tonal", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_parts_of_a_bin_add_up_to_the_mean_power_given_by_its_median(tonal):
    draw = np.random.default_rng(0)
    noise = (draw.standard_normal(200_000) + 1j * draw.standard_normal(200_000)) / np.sqrt(2)
    bins = np.sqrt(tonal) + np.sqrt(1 - tonal) * noise  # of power 1
    factors = vocoder.factors(torch.tensor(tonal))
    power = sum(float(factor) ** 2 for factor in factors) * np.median(np.abs(bins)) ** 2
    assert abs(10 * np.log10(power)) < 0.3


def test_noise_is_a_waves_own_and_always_the_same_and_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    found = vocoder.white(200, torch.device("cpu"))
    assert torch.equal(found, vocoder.white(200, torch.device("cpu")))
    assert torch.equal(state, torch.get_rng_state())
    wave = vocoder.istft(found * (-1.0) ** torch.arange(BINS))
    again = vocoder.stft(wave)  # its frames begin half a window later
    torch.testing.assert_close(again[:, 2:-2], found[:, 4 : 2 + again.shape[1] - 2])
    power = found.abs().square().mean((0, 1))[1:-1]
    assert abs(10 * power.mean().log10()) < 0.1 and (10 * power.log10()).abs().max() < 2


def test_a_tone_predicted_as_one_has_silence_around_it():
    tone = torch.sin(2 * np.pi * 1_000 * torch.arange(200 * HOP) / 16_000)
    true = spectra_of(tone[None])
    for tonal, floor in ((1.0, -60), (0.4, -60)):
        changed = true._replace(tonal=torch.full_like(true.tonal, tonal))
        made = vocoder.synthesise(changed)[0, 20 * HOP : -20 * HOP].numpy()
        spectrum = np.abs(np.fft.rfft(made * np.blackman(len(made))))
        far = np.abs(np.fft.rfftfreq(len(made), 1 / 16_000) - 1_000) > 200
        assert 20 * np.log10(spectrum[far].max() / spectrum.max()) < floor


def test_every_bin_belongs_to_the_nearest_peak():
    generator = torch.Generator().manual_seed(0)
    magnitude = torch.rand(3, 40, generator=generator)
    found = vocoder.peaks(magnitude)
    for row, owners in zip(magnitude.tolist(), found.tolist(), strict=True):
        edges = [-1.0, *row, -1.0]
        tops = [k for k in range(40) if edges[k] < edges[k + 1] >= edges[k + 2]]
        for k, owner in enumerate(owners):
            assert owner in tops and abs(k - owner) == min(abs(k - top) for top in tops)
    assert vocoder.peaks(torch.zeros(2, 5)).max() < 5  # silence has none


def test_spectra_are_those_of_librosa_with_phases_of_the_windows_middle(waves):
    edges = torch.nn.functional.pad(waves[:, None], (512, 512), mode="reflect")[:, 0]
    expected = librosa.stft(waves.numpy(), n_fft=N_FFT, hop_length=HOP, pad_mode="reflect")
    expected = torch.from_numpy(expected.swapaxes(1, 2) * (-1.0) ** np.arange(BINS))
    found = vocoder.stft(edges)
    torch.testing.assert_close(found, expected.to(found.dtype), atol=2e-3, rtol=1e-3)


def test_an_untrained_network_begins_with_the_magnitudes_of_the_log_mel(network):
    noise = torch.randn(4, 80 * HOP, generator=torch.Generator().manual_seed(0))
    said = vocoder.spread_bands(log_mel(noise))[..., 2:-2].mean((0, 1)).exp()
    true = np.abs(librosa.stft(noise.numpy(), n_fft=N_FFT, hop_length=HOP))
    root = np.sqrt((true**2).mean((0, 2)))[2:-2]
    decibels = 20 * np.log10(said.numpy() / root)
    assert abs(decibels).max() < 2 and abs(decibels.mean()) < 0.7
    spread = network(log_mel(noise)).log_magnitude - vocoder.spread_bands(log_mel(noise))
    assert spread.abs().mean() < 0.5


def test_a_louder_log_mel_gives_the_same_wave_louder(network, waves):
    mel = log_mel(waves[:1])
    quiet = network.waves(mel - np.log(100.0))  # 20 dB
    torch.testing.assert_close(10 * quiet, network.waves(mel), atol=1e-4, rtol=1e-3)


def test_tones_of_true_spectra_have_their_pitch(waves):
    made = vocoder.synthesise(spectra_of(waves))
    before, after = pitch.track(waves[0]), pitch.track(made[0])
    sure = before.confidence > 0.5
    assert pitch.raw_pitch_accuracy(before.f0[sure], after.f0[sure]) > 0.97
