"""Scores of swaps of real recordings: is the melody kept, has the instrument changed?

Every recording of one instrument is swapped with every recording of the other, in both directions.
The scores are of the resulting sound, not of the model's log-mel.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor
from tqdm import tqdm

from core.audio import pitch
from core.audio.clip import VOICED, Clip
from core.audio.fad import frechet_audio_distance
from core.audio.long import ToWaveform
from core.audio.mel import log_mel
from core.dsae.evaluation import probes
from core.dsae.latents import Disentangler
from core.statistics import RESAMPLES, draw_weights, macro_f1, percentile_interval

BATCH = 16

Pairs = list[tuple[int, int]]  # recordings whose melody and whose instrument a sound should have
Row = tuple[Pairs, Callable[[int, int], Tensor]]  # and a function that makes the sound of each, [S]
Predictor = Callable[[np.ndarray], np.ndarray]  # log-mels [N, T, M] to the instrument of each
LabelledClips = tuple[list[np.ndarray], list[str]]  # log-mels [T, M] and the instrument of each


class Recordings:
    """Recordings of one instrument each, all of the same length, with their pitch."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = list(clips)
        self.waves = torch.from_numpy(np.stack([clip.wave for clip in clips]))
        self.log_mel = log_mel(self.waves)
        self.instrument = np.array([clip.labels["instrument"] for clip in clips])
        self.pitch = pitch.track(self.waves)

    @property
    def pairs(self) -> Pairs:
        """Every recording with every recording of another instrument, in both directions."""
        rows, name = range(len(self.clips)), self.instrument
        return [(i, j) for i in rows for j in rows if name[i] != name[j]]

    def melody_accuracy(self, tracked: pitch.Pitch, melody: Sequence[int]) -> np.ndarray:
        """Raw pitch accuracy [N] of sounds against the recordings whose melody they should have.

        NaN where the recording has no pitch.
        """
        frames = tracked.f0.shape[1]  # a resynthesis ends with its last whole frame
        voiced = self.pitch.confidence[:, :frames] >= VOICED
        return np.array(
            [
                pitch.raw_pitch_accuracy(self.pitch.f0[i, :frames], f0, voiced=voiced[i])
                for i, f0 in zip(melody, tracked.f0, strict=True)
            ]
        )


@dataclass(frozen=True, eq=False)
class Results:
    """For N sounds: the melody and the instrument they should have, and what was measured."""

    melody: np.ndarray  # index of the recording with the melody [N]
    partner: np.ndarray  # index of the recording with the instrument [N]
    expected: np.ndarray  # instrument [N]
    accuracy: np.ndarray  # raw pitch accuracy [N], NaN where the recording has no pitch
    predicted: dict[str, np.ndarray]  # instrument [N] by each classifier


def score_model(
    model: Disentangler,
    originals: Recordings,
    classifiers: dict[str, Predictor],
    to_waveform: ToWaveform,
    progress: bool = True,
) -> dict[str, Any]:
    """Scores of originals, round trips, reconstructions and swaps, see `score_rows`.

    The rows: the recordings themselves; their log-mels turned into sound without a model; the
    model's reconstructions; its swaps. Also `leak_z`, by cross-validation.
    """
    latents = [model.encode(x) for x in originals.log_mel]
    everyone = [(i, i) for i in range(len(originals.clips))]

    def made(i: int, j: int) -> Tensor:
        return to_waveform(model.decode(latents[j].v, latents[i].z))

    rows: dict[str, Row] = {
        "original": (everyone, lambda i, j: originals.waves[i]),
        "round trip": (everyone, lambda i, j: to_waveform(originals.log_mel[i])),
        "reconstruction": (everyone, made),
        "swap": (originals.pairs, made),
    }
    means = np.stack([each.z.mean(0).numpy() for each in latents])
    leaks = probes.label_across(means, originals.instrument)
    return {"leak_z": leaks, **score_rows(originals, rows, classifiers, progress)}


def score_rows(
    originals: Recordings,
    rows: dict[str, Row],
    classifiers: dict[str, Predictor],
    progress: bool = True,
) -> dict[str, Any]:
    """Scores `{row: {column: {value, low, high}}}` of sounds made of pairs of recordings.

    The columns: `melody`, the raw pitch accuracy; each classifier's macro-F1; and `fad`, the
    Fréchet distance by CREPE tiny between the recordings and one sound for each melody. The
    intervals resample the recordings, since the pairs are not independent.
    """
    with tqdm(total=sum(len(pairs) for pairs, _ in rows.values()), disable=not progress) as bar:
        return {row: _score(originals, *how, classifiers, bar) for row, how in rows.items()}


def _score(
    originals: Recordings,
    pairs: Pairs,
    make: Callable[[int, int], Tensor],
    classifiers: dict[str, Predictor],
    bar: tqdm,
) -> dict[str, Any]:
    accuracy: list[float] = []
    predicted: dict[str, list[str]] = {name: [] for name in classifiers}
    embedded: dict[tuple[int, int], np.ndarray] = {}
    chosen = set(_one_each(pairs))
    for start in range(0, len(pairs), BATCH):
        some = pairs[start : start + BATCH]
        waves = torch.stack([make(i, j) for i, j in some])
        tracked = pitch.track(waves)
        accuracy += list(originals.melody_accuracy(tracked, [i for i, _ in some]))
        log_mels = log_mel(waves).numpy()
        for name, predict in classifiers.items():
            predicted[name] += list(predict(log_mels))
        for pair, frames in zip(some, tracked.embedding, strict=True):
            if pair in chosen:
                embedded[pair] = frames
        bar.update(len(some))
    melody, partner = (np.array(side) for side in zip(*pairs, strict=True))
    expected = originals.instrument[partner]
    arrays = {name: np.array(labels) for name, labels in predicted.items()}
    results = Results(melody, partner, expected, np.array(accuracy), arrays)
    made = [embedded[pair] for pair in _one_each(pairs)]
    real = list(originals.pitch.embedding[sorted(set(melody))])
    scores = summary(results, len(originals.clips))
    return {**scores, "fad": frechet_audio_distance(made, real)}


def _one_each(pairs: Pairs) -> Pairs:
    """One pair for each melody, in order, with partners that vary from melody to melody."""
    by_melody: dict[int, Pairs] = {}
    for pair in pairs:
        by_melody.setdefault(pair[0], []).append(pair)
    return [some[i % len(some)] for i, some in sorted(by_melody.items())]


def summary(results: Results, recordings: int, seed: int = 0) -> dict[str, Any]:
    """Means over all sounds with 95 % intervals from resampled recordings.

    A sound made of two recordings is weighted by the product of how often each was drawn.
    """
    counts = draw_weights(recordings, RESAMPLES, seed)
    weights = counts[:, results.melody] * counts[:, results.partner]  # [RESAMPLES, N]
    alone = results.melody == results.partner
    weights[:, alone] = counts[:, results.melody[alone]]

    pitched = np.isfinite(results.accuracy)

    def accuracy(weight: np.ndarray | None) -> float:
        weight = None if weight is None else weight[pitched]
        return float(np.average(results.accuracy[pitched], weights=weight))

    columns: dict[str, Callable[[np.ndarray | None], float]] = {"melody": accuracy}
    for name, predicted in results.predicted.items():
        columns[name] = partial(macro_f1, results.expected, predicted)
    scores = {}
    for name, statistic in columns.items():
        drawn = [statistic(weight) for weight in weights if weight[pitched].sum()]
        scores[name] = percentile_interval(statistic(None), drawn)
    return scores


def own_encoder(model: Disentangler, train: LabelledClips, labels: Sequence[str]) -> Predictor:
    """The paper's classifier: an LDA on the model's own v, which flatters the model."""

    def encode(clips: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([model.encode(clip).v.numpy() for clip in clips])

    chosen = [i for i, label in enumerate(train[1]) if label in labels]
    lda = LinearDiscriminantAnalysis()
    lda.fit(encode([train[0][i] for i in chosen]), [train[1][i] for i in chosen])
    return lambda clips: lda.predict(encode(list(clips)))
