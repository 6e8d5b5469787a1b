"""What happens to a sound between the player and the file: body, room, microphone, noise, level.

All functions take a wave float [S] at 16 kHz and a numpy Generator; the same draws give the same
treatment to another wave.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr
from scipy.interpolate import PchipInterpolator
from scipy.signal import fftconvolve

from core.audio.clip import SAMPLE_RATE

NYQUIST = SAMPLE_RATE / 2


def recorded(
    wave: np.ndarray, rng: np.random.Generator, noises: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """The wave as one of many possible rooms, microphones and recordings would give it back.

    Drawn: a dynamic curve, breath or bow noise, body resonances and equaliser, band limits, a room,
    background noise (of `noises`, if any, half of the time). Peak 1.
    """
    wave = dynamics(wave, rng)
    if rng.random() < 0.5:
        wave = breath(wave, rng)
    wave = equalised(wave, rng)
    if rng.random() < 0.7:
        wave = room(wave, rng)
    if rng.random() < 0.75:
        wave = noisy(wave, rng, noises)
    return wave / np.abs(wave).max()


def dynamics(wave: np.ndarray, rng: np.random.Generator, decibels: float = 4.0) -> np.ndarray:
    """A slow swell: a smooth gain curve through random points a second apart."""
    points = 2 + len(wave) // SAMPLE_RATE
    gains = rng.normal(0, decibels * rng.random(), points)
    return wave * _gain(PchipInterpolator(np.linspace(0, 1, points), gains)(_ramp(len(wave))))


def breath(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Air or bow noise that follows the loudness, 20 to 45 dB below it."""
    size = SAMPLE_RATE // 50
    loudness = np.sqrt(np.convolve(wave**2, np.ones(size) / size, mode="same").clip(0))
    noise = coloured_noise(len(wave), rng, slope=rng.uniform(0, 1))
    return wave + _gain(rng.uniform(-45, -20)) * loudness * noise


def equalised(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A smooth equaliser (about ±9 dB), narrow resonances (±4 dB) and band limits, zero-phase."""
    size = len(wave) + SAMPLE_RATE // 4  # room for what would wrap around
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE).clip(30)
    decibels = _curve(hertz, rng, points=8, spread=5.0 * rng.random() ** 0.5)
    decibels = decibels + _curve(hertz, rng, points=60, spread=3.0 * rng.random())
    if rng.random() < 0.4:
        corner, slope = np.exp(rng.uniform(np.log(40), np.log(250))), rng.uniform(6, 18)
        decibels -= slope * np.log2(corner / hertz).clip(0)
    if rng.random() < 0.4:
        corner, slope = np.exp(rng.uniform(np.log(2500), np.log(7500))), rng.uniform(6, 30)
        decibels -= slope * np.log2(hertz / corner).clip(0)
    return np.fft.irfft(np.fft.rfft(wave, size) * _gain(decibels), size)[: len(wave)]


def room(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A synthetic room: a few early reflections and a tail of decaying, darkening noise."""
    seconds = np.exp(rng.uniform(np.log(0.15), np.log(2.0)))  # until -60 dB
    samples = int(seconds * SAMPLE_RATE)
    time = np.arange(samples) / seconds / SAMPLE_RATE
    bright, dark = rng.normal(size=(2, samples))
    dark = np.convolve(dark, np.hanning(18), mode="same")  # below 1 kHz
    tail = bright * 10 ** (-3 * time / rng.uniform(0.3, 1)) + dark * 10 ** (-3 * time)
    tail[: int(rng.uniform(0.002, 0.03) * SAMPLE_RATE)] = 0
    early = rng.integers(16, 1 + SAMPLE_RATE // 25, 6)
    tail *= _gain(rng.uniform(-22, 2)) / np.sqrt((tail**2).sum() + 1e-9)
    response = np.zeros(max(samples, early.max() + 1))
    response[:samples] = tail
    response[early] += rng.uniform(-0.35, 0.35, 6) * rng.random()
    response[0] = 1
    return fftconvolve(wave, response)[: len(wave)]


def noisy(
    wave: np.ndarray, rng: np.random.Generator, noises: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """Background noise 32 to 70 dB below the wave: white to brown, or one of `noises`."""
    noise = coloured_noise(len(wave), rng, slope=rng.uniform(0, 2))
    level, other = _gain(rng.uniform(-70, -32)), rng.random() < 0.5
    if noises and other:
        noise = np.resize(noises[rng.integers(len(noises))], len(wave))
        noise = np.roll(noise, rng.integers(len(wave)))
    return wave + noise * level * _rms(wave) / (_rms(noise) + 1e-9)


def coloured_noise(samples: int, rng: np.random.Generator, slope: float) -> np.ndarray:
    """Noise [S] of RMS 1 whose power falls as frequency ** -slope (0 white, 1 pink, 2 brown)."""
    spectrum = np.fft.rfft(rng.normal(size=samples))
    hertz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE).clip(20)
    noise = np.fft.irfft(spectrum * hertz ** (-slope / 2), samples)
    return noise / _rms(noise)


def transposed(wave: np.ndarray, semitones: float) -> np.ndarray:
    """The wave played faster and higher, or slower and lower, by resampling."""
    ratio = 2 ** (semitones / 12)
    return soxr.resample(wave, SAMPLE_RATE * ratio, SAMPLE_RATE)


def _curve(hertz: np.ndarray, rng: np.random.Generator, points: int, spread: float) -> np.ndarray:
    """Decibels over frequency through random points, evenly spaced over octaves."""
    at = np.linspace(np.log2(30), np.log2(NYQUIST), points)
    return PchipInterpolator(at, rng.normal(0, spread, points).clip(-9, 9))(np.log2(hertz))


def _ramp(samples: int) -> np.ndarray:
    return np.linspace(0, 1, samples)


def _rms(wave: np.ndarray) -> float:
    return float(np.sqrt(np.mean(wave**2)))


def _gain(decibels: np.ndarray | float) -> np.ndarray | float:
    return 10 ** (np.asarray(decibels) / 20)
