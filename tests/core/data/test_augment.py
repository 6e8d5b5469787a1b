import numpy as np
import pytest

from core.audio.clip import read
from core.data import augment


@pytest.fixture(scope="module")
def violin(examples):
    return read(examples / "violin-1.flac", duration=2.5).wave


def rms(wave):
    return np.sqrt(np.mean(np.square(wave)))


def test_the_same_draws_give_the_same_treatment(violin):
    first, again = (augment.recorded(violin, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == violin.shape and np.abs(first).max() == 1


def test_every_draw_keeps_the_recording_finite_and_recognisable(violin):
    loudness = np.abs(violin[: 39 * 1000]).reshape(-1, 1000).mean(1)
    alike = []
    for seed in range(40):
        wave = augment.recorded(violin, np.random.default_rng(seed))
        assert np.isfinite(wave).all()
        envelope = np.abs(wave[: 39 * 1000]).reshape(-1, 1000).mean(1)
        alike.append(np.corrcoef(loudness, envelope)[0, 1])
    assert np.median(alike) > 0.5


def test_an_equaliser_only_scales_frequencies(violin):
    changed = augment.equalised(violin, np.random.default_rng(0))
    twice = augment.equalised(2 * violin, np.random.default_rng(0))
    np.testing.assert_allclose(twice, 2 * changed, atol=1e-9)
    ratio = np.abs(np.fft.rfft(changed)) / (np.abs(np.fft.rfft(violin)) + 1e-3)
    middle = ratio[len(ratio) // 40 : len(ratio) // 3]
    assert 10 ** (-20 / 20) < np.median(middle) < 10 ** (14 / 20)


def test_a_room_rings_after_the_sound():
    click = np.zeros(32_000)
    click[100] = 1
    echoed = augment.room(click, np.random.default_rng(1))
    assert np.abs(echoed[:100]).max() < 1e-9 and echoed[100] == pytest.approx(1, abs=1e-6)
    assert rms(echoed[101:5000]) > rms(echoed[20_000:])


def test_noise_lies_where_it_was_drawn(violin):
    for seed in range(20):
        noise = augment.noisy(violin, np.random.default_rng(seed)) - violin
        assert -71 < 20 * np.log10(rms(noise) / rms(violin)) < -31


def test_coloured_noise_has_its_slope():
    spectrum = np.abs(np.fft.rfft(augment.coloured_noise(1 << 16, np.random.default_rng(0), 2)))
    power = np.square(spectrum)
    octaves = [power[size : 2 * size].mean() for size in (1024, 2048, 4096, 8192)]
    assert np.diff(10 * np.log10(octaves)) == pytest.approx([-6, -6, -6], abs=1)


def test_transposing_moves_the_pitch_and_the_length():
    time = np.arange(32_000) / 16_000
    higher = augment.transposed(np.sin(2 * np.pi * 440 * time), 12)
    assert len(higher) == 16_000
    assert np.argmax(np.abs(np.fft.rfft(higher))) == 880
