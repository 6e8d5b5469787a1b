"""Loudness by ITU-R BS.1770-4, and renderings brought to the same, so that only sound differs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from core.audio.clip import SAMPLE_RATE
from core.errors import RavelError

LEVEL = -20.0  # LUFS; what a recording that peaks 6 dB below full scale has, about
CEILING = 0.89  # -1 dB: the peaks between samples stay below full scale too
BLOCK = round(0.4 * SAMPLE_RATE)  # samples; what the measure averages over
SAFE = 0.1  # the peak at which is measured: torchaudio's filters clip what leaves [-1, 1]


def loudness(wave: np.ndarray) -> float:
    """The gated loudness of a wave [S] at 16 kHz in LUFS by torchaudio; -inf: silence.

    A wave shorter than one block of 400 ms is measured with silence behind it.
    """
    from torchaudio.functional import loudness

    samples = torch.as_tensor(np.asarray(wave, dtype=np.float32))
    peak = float(samples.abs().max())
    if not peak:
        return -np.inf
    samples = torch.nn.functional.pad(samples, (0, max(0, BLOCK - len(samples))))
    return float(loudness(samples[None] * (SAFE / peak), SAMPLE_RATE)) + _decibels(peak / SAFE)


def match(
    waves: Sequence[np.ndarray], *, level: float = LEVEL, ceiling: float = CEILING
) -> list[np.ndarray]:
    """Waves [S] cut to the shortest and brought to one loudness: `level`, or lower if one clips.

    Where one of them would peak above `ceiling`, all are lowered alike. Raises RavelError when
    one is silent.
    """
    length = min(len(wave) for wave in waves)
    cut = [np.asarray(wave[:length], dtype=np.float32) for wave in waves]
    measured = np.array([loudness(wave) for wave in cut])
    if not np.isfinite(measured).all():
        raise RavelError(
            "One of the two renderings is silent, so their loudness cannot be matched: "
            "choose another recording."
        )
    room = [_decibels(ceiling / np.abs(wave).max()) for wave in cut]
    common = min(level, float((measured + room).min()))
    gains = 10 ** ((common - measured) / 20)
    return [wave * np.float32(gain) for wave, gain in zip(cut, gains, strict=True)]


def _decibels(ratio: float) -> float:
    return float(20 * np.log10(ratio))
