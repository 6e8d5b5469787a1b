"""What happens to a sound between the player and the file: body, room, microphone, noise, level.

All functions take a wave float [S] at 16 kHz and a numpy Generator; the same draws give the same
treatment to another wave.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr

from core.audio.clip import SAMPLE_RATE

NYQUIST = SAMPLE_RATE / 2
MOST_FORMANT_DB = 12.0  # what keeps formants amplifies or attenuates no band by more


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
    from scipy.interpolate import PchipInterpolator

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
    from scipy.signal import fftconvolve

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
        noise = np.resize(noises[int(rng.integers(len(noises)))], len(wave))
        noise = np.roll(noise, rng.integers(len(wave)))
    return wave + noise * level * _rms(wave) / (_rms(noise) + 1e-9)


def coloured_noise(samples: int, rng: np.random.Generator, slope: float) -> np.ndarray:
    """Noise [S] of RMS 1 whose power falls as frequency ** -slope (0 white, 1 pink, 2 brown)."""
    spectrum = np.fft.rfft(rng.normal(size=samples))
    hertz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE).clip(20)
    noise = np.fft.irfft(spectrum * hertz ** (-slope / 2), samples)
    return noise / _rms(noise)


def transposed(wave: np.ndarray, semitones: float, *, keep_formants: bool = False) -> np.ndarray:
    """The wave played faster and higher, or slower and lower, by resampling.

    Resampling moves resonances with the pitch, which no real instrument does: with `keep_formants`
    an equaliser puts the spectral envelope back to where it was.
    """
    ratio = 2 ** (semitones / 12)
    moved = soxr.resample(wave, SAMPLE_RATE * ratio, SAMPLE_RATE)
    return _with_envelope(moved, wave, ratio) if keep_formants and semitones else moved


def _with_envelope(moved: np.ndarray, wave: np.ndarray, ratio: float) -> np.ndarray:
    """A wave that was resampled by `ratio`, with the spectral envelope of the original `wave`."""
    octaves = np.linspace(np.log2(60), np.log2(NYQUIST), 96)
    envelope = _envelope(wave, octaves)
    # The envelope of `moved` is the original's, moved up by `ratio`.
    gain = envelope - np.interp(octaves - np.log2(ratio), octaves, envelope)
    size = len(moved) + SAMPLE_RATE // 8  # room for what would wrap around
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE).clip(60)
    decibels = np.interp(np.log2(hertz), octaves, gain.clip(-MOST_FORMANT_DB, MOST_FORMANT_DB))
    return np.fft.irfft(np.fft.rfft(moved, size) * _gain(decibels), size)[: len(moved)]


def _envelope(wave: np.ndarray, octaves: np.ndarray) -> np.ndarray:
    """The power in dB at frequencies 2 ** `octaves`, smoothed over a third of an octave.

    Wide enough that the envelope of a phrase does not follow single harmonics.
    """
    from scipy.ndimage import gaussian_filter1d

    power = np.abs(np.fft.rfft(wave)) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)
    edges = 2 ** np.append(octaves - 0.5 * (octaves[1] - octaves[0]), octaves[-1])
    sums, _ = np.histogram(hertz, edges, weights=power)
    counts, _ = np.histogram(hertz, edges)
    width = 1 / 3 / (octaves[1] - octaves[0])
    smooth = gaussian_filter1d(sums, width) / np.maximum(gaussian_filter1d(counts + 0.0, width), 1)
    return 10 * np.log10(smooth + 1e-12 * smooth.max() + 1e-20)


def _curve(hertz: np.ndarray, rng: np.random.Generator, points: int, spread: float) -> np.ndarray:
    """Decibels over frequency through random points, evenly spaced over octaves."""
    from scipy.interpolate import PchipInterpolator

    at = np.linspace(np.log2(30), np.log2(NYQUIST), points)
    return PchipInterpolator(at, rng.normal(0, spread, points).clip(-9, 9))(np.log2(hertz))


def _ramp(samples: int) -> np.ndarray:
    return np.linspace(0, 1, samples)


def _rms(wave: np.ndarray) -> float:
    return float(np.sqrt(np.mean(wave**2)))


def _gain(decibels: np.ndarray | float) -> np.ndarray | float:
    return 10 ** (np.asarray(decibels) / 20)
