"""How sound made of log-mels compares with the sound that it should be, by what anybody can check.

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

QUIET = -12.0  # log-mels below are raised to it: 95 dB under full scale
DECIBEL = 10 / np.log(10)

ToSound = Callable[[Tensor], Tensor]  # log-mels [T, M] to waves [(T - 1) * HOP]


class Pairs(NamedTuple):
    """N log-mels [T, M] to be made sound, and the sound [S] that each should be."""

    log_mels: list[Tensor]
    waves: list[Tensor]


def held_out(store: FeatureStore, count: int) -> Pairs:
    """Validation clips of a store, evenly and the log-mels of their own sound."""
    rows = store.indices("validation")
    return true_sound(store, rows[spread_evenly(len(rows), count)])


def true_sound(store: FeatureStore, rows: np.ndarray) -> Pairs:
    """Some clips of a store with the log-mels of their own sound."""
    waves = []
    for row in rows:
        samples = (int(store.lengths[row]) - 1) * HOP
        waves.append(torch.from_numpy(store.audio[row, :samples].astype(np.float32) / PCM))
    return Pairs([log_mel(wave) for wave in waves], waves)


def compare(pairs: Pairs, ways: Mapping[str, ToSound], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Every way back to sound, measured on the same clips: figures by name, of each way.

    `real_time`: seconds of sound made in a CPU-second.
    """
    truth = _Heard.of(pairs.waves)
    found = {}
    for name, way in ways.items():
        made, seconds = _made(pairs.log_mels, way, name)
        found[name] = {
            **_distances(pairs, made),
            **truth.against(_Heard.of(made), seed),
            "real_time": round(sum(map(len, made)) / SAMPLE_RATE / seconds, 1),
        }
    return found


def _made(log_mels: list[Tensor], way: ToSound, name: str) -> tuple[list[Tensor], float]:
    """What a way makes of log-mels, and the CPU-seconds it took, after one to warm up."""
    way(log_mels[0])
    begun = time.process_time()  # others who compute at the same time make no difference
    made = [way(one) for one in tqdm(log_mels, desc=name, unit="sound", mininterval=1.0)]
    return made, time.process_time() - begun


def _distances(pairs: Pairs, made: list[Tensor]) -> dict[str, Any]:
    """Of spectra to the true sound's, and of the log-mel to the one that was given."""
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


class _Heard(NamedTuple):
    """Of each clip what CREPE hears: f0 in Hz [P], its confidence [P], embeddings [P, D]."""

    f0: list[np.ndarray]
    confidence: list[np.ndarray]
    embedding: list[np.ndarray]

    @classmethod
    def of(cls, waves: list[Tensor]) -> "_Heard":
        tracked = [pitch.track(wave, capacity="tiny", hop_seconds=0.02) for wave in waves]
        names = ("f0", "confidence", "embedding")
        return cls(*([getattr(one, name)[0] for one in tracked] for name in names))

    def against(self, made: "_Heard", seed: int) -> dict[str, Any]:
        """How well pitch is kept and how far the embeddings are, of sound that was `made`."""
        kept = []
        for true, sure, other in zip(self.f0, self.confidence, made.f0, strict=True):
            size = min(len(true), len(other))
            voiced = sure[:size] >= VOICED
            if voiced.any():
                share = pitch.raw_pitch_accuracy(true[:size], other[:size], voiced=voiced)
                kept.append((share * voiced.sum(), voiced.sum()))
        far = frechet_audio_distance(made.embedding, self.embedding, seed)
        figures = {"fad_crepe_tiny": far}
        if len(kept) > 1:
            right, pitched = np.array(kept).T
            figures["rpa_crepe_tiny"] = interval(
                np.arange(len(kept)), lambda of: right[of].sum() / pitched[of].sum()
            )
        return figures
