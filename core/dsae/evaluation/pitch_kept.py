"""Does a swap keep the melody, however far apart the two registers are?

A model whose global latent holds the register does well on neighbours and fails on a bassoon that
is to play a violin's line; a mean over all pairs hides that.
"""

from __future__ import annotations

import numpy as np

from core.audio.pitch import raw_pitch_accuracy
from core.audio.trackers import Track
from core.dsae.evaluation.swap_pairs import Interval, SwapPairs

DISTANCES = {"near": (0.0, 6.0), "middle": (6.0, 12.0), "far": (12.0, np.inf)}  # semitones


def kept(midi: np.ndarray, found: Track) -> np.ndarray:
    """The share of pitched frames in which a sound is within 50 cents of its reference, [P].

    `midi` [P, T]: the reference of each sound, NaN where it has no pitch.
    """
    frames = min(midi.shape[1], found.f0.shape[1])
    reference = np.nan_to_num(440 * 2 ** ((midi[:, :frames] - 69) / 12))
    return np.array(
        [raw_pitch_accuracy(one, f0[:frames]) for one, f0 in zip(reference, found.f0, strict=True)]
    )


def by_distance(kept: np.ndarray, register: np.ndarray, pairs: SwapPairs) -> dict[str, Interval]:
    """Means of `kept` [P] by how far the registers [N] of source and target are apart.

    Up to 6 semitones, above 6 up to 12, and beyond; a distance that no pair has is left out.
    """
    distance = np.abs(register[pairs.source] - register[pairs.target])
    found = {}
    for name, (low, high) in DISTANCES.items():
        rows = (distance <= high) & ((distance > low) | (low == 0))
        if (rows & np.isfinite(kept)).any():
            found[name] = pairs.take(rows).mean(kept[rows])
    return found


def by_instruments(
    kept: np.ndarray, instrument: np.ndarray, pairs: SwapPairs
) -> dict[str, Interval]:
    """Means of `kept` [P] for each source and target instrument, named `violin as bassoon`."""
    found = {}
    names = np.char.add(np.char.add(instrument[pairs.source], " as "), instrument[pairs.target])
    for name in np.unique(names):
        rows = names == name
        if np.isfinite(kept[rows]).any():
            found[str(name)] = pairs.take(rows).mean(kept[rows])
    return found
