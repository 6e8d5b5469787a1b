"""How close sound made from log-mels is to the true sound.

Letters: N clips, T frames, M mels, S samples.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core.audio import pitch
from core.audio.clip import HOP, SAMPLE_RATE, VOICED
from core.audio.fad import frechet_audio_distance
from core.audio.mel import log_mel
from core.data.store import PCM, FeatureStore
from core.statistics import interval, spread_evenly
from core.vocoder.objective import stft_distance

QUIET = -12.0  # lower limit of log-mels in comparisons: 95 dB below full scale
DECIBEL = 10 / np.log(10)

ToSound = Callable[[Tensor], Tensor]  # log-mels [T, M] to waves [(T - 1) * HOP]


class Pairs(NamedTuple):
    """N log-mels [T, M] and the true sound [S] of each."""

    log_mels: list[Tensor]
    waves: list[Tensor]


def held_out(store: FeatureStore, count: int) -> Pairs:
    """Evenly spaced validation clips of a store, and the log-mels of their sound."""
    rows = store.indices("validation")
    return true_sound(store, rows[spread_evenly(len(rows), count)])


def true_sound(store: FeatureStore, rows: np.ndarray) -> Pairs:
    """Some clips of a store with audio, and the log-mels of their sound."""
    assert store.audio is not None
    waves = []
    for row in rows:
        samples = (int(store.lengths[row]) - 1) * HOP
        waves.append(torch.from_numpy(store.audio[row, :samples].astype(np.float32) / PCM))
    return Pairs([log_mel(wave) for wave in waves], waves)


def compare(
    pairs: Pairs, routes: Mapping[str, ToSound], seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Scores of each route from log-mels to sound, by name, on the same clips.

    `real_time`: seconds of sound per CPU-second.
    """
    truth = _Tracked.of(pairs.waves)
    found = {}
    for name, route in routes.items():
        made, seconds = _synthesise(pairs.log_mels, route, name)
        found[name] = {
            **_distances(pairs, made),
            **truth.against(_Tracked.of(made), seed),
            "real_time": round(sum(map(len, made)) / SAMPLE_RATE / seconds, 1),
        }
    return found


def _synthesise(log_mels: list[Tensor], route: ToSound, name: str) -> tuple[list[Tensor], float]:
    """A route's sound for log-mels, and the CPU-seconds it took, after one to warm up."""
    route(log_mels[0])
    begun = time.process_time()  # not wall time, which other processes would affect
    made = [route(one) for one in tqdm(log_mels, desc=name, unit="sound", mininterval=1.0)]
    return made, time.process_time() - begun


def _distances(pairs: Pairs, made: list[Tensor]) -> dict[str, Any]:
    """Distances of spectra to those of the true sound, and of log-mels to the given ones."""
    figures = []
    for given, wave, one in zip(*pairs, made, strict=True):
        size = min(len(wave), len(one))
        ratio, decibels = stft_distance(one[None, :size], wave[None, :size])
        again = log_mel(one).clamp(min=QUIET)
        apart = (again - given[: len(again)].clamp(min=QUIET)).abs().mean() * DECIBEL
        figures.append([float(ratio), float(decibels), float(apart)])
    names = ("stft_convergence", "stft_decibels", "log_mel_decibels")
    columns = zip(names, np.array(figures).T, strict=True)
    return {name: interval(values, np.mean) for name, values in columns}


class _Tracked(NamedTuple):
    """CREPE's output for each clip: f0 in Hz [P], its confidence [P], embeddings [P, D]."""

    f0: list[np.ndarray]
    confidence: list[np.ndarray]
    embedding: list[np.ndarray]

    @classmethod
    def of(cls, waves: list[Tensor]) -> "_Tracked":
        tracked = [pitch.track(wave, capacity="tiny", hop_seconds=0.02) for wave in waves]
        names = ("f0", "confidence", "embedding")
        return cls(*([getattr(one, name)[0] for one in tracked] for name in names))

    def against(self, made: "_Tracked", seed: int) -> dict[str, Any]:
        """Pitch accuracy and Fréchet distance of sound that was `made`, against this one."""
        accuracies = []
        for true, confidence, other in zip(self.f0, self.confidence, made.f0, strict=True):
            size = min(len(true), len(other))
            voiced = confidence[:size] >= VOICED
            if voiced.any():
                share = pitch.raw_pitch_accuracy(true[:size], other[:size], voiced=voiced)
                accuracies.append((share * voiced.sum(), voiced.sum()))
        distance = frechet_audio_distance(made.embedding, self.embedding, seed)
        figures = {"fad_crepe_tiny": distance}
        if len(accuracies) > 1:
            right, pitched = np.array(accuracies).T
            figures["rpa_crepe_tiny"] = interval(
                np.arange(len(right)), lambda rows: right[rows].sum() / pitched[rows].sum()
            )
        return figures
