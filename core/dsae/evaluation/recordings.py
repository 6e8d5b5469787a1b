"""Swaps of real recordings, judged: is the melody kept, has the instrument moved?

Every recording of one instrument is swapped with every recording of the other, both ways. What is
judged is the sound that comes out, not the model's log-mel.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import f1_score
from torch import Tensor
from tqdm import tqdm

from core.audio import pitch
from core.audio.clip import VOICED, Clip
from core.audio.fad import frechet_audio_distance
from core.audio.long import ToWaveform
from core.audio.mel import log_mel
from core.dsae.evaluation import probes as leak
from core.dsae.latents import Disentangler
from core.statistics import draw_weights, percentile_interval

BATCH = 16
RESAMPLES = 1000

Pairs = list[tuple[int, int]]  # whose melody, and whose instrument a sound should have
Row = tuple[Pairs, Callable[[int, int], Tensor]]  # and the sound of each, [S]
Predictor = Callable[[np.ndarray], np.ndarray]  # log-mels [N, T, M] to the instrument of each
Told = tuple[list[np.ndarray], list[str]]  # log-mels [T, M] and the instrument of each


class Originals:
    """Recordings of one instrument each, all as long, with their pitch."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = list(clips)
        self.waves = torch.from_numpy(np.stack([clip.wave for clip in clips]))
        self.log_mel = log_mel(self.waves)
        self.instrument = np.array([clip.labels["instrument"] for clip in clips])
        self.pitch = pitch.track(self.waves)

    @property
    def pairs(self) -> Pairs:
        """Every recording with every one of another instrument, so both ways."""
        everyone = range(len(self.clips))
        of = self.instrument
        return [(i, j) for i in everyone for j in everyone if of[i] != of[j]]

    def melody_kept(self, heard: pitch.Pitch, melody: Sequence[int]) -> np.ndarray:
        """Raw pitch accuracy [N] of sounds against the recordings that they have their melody of.

        NaN where the recording has no pitch.
        """
        frames = heard.f0.shape[1]  # a sound made of frames ends with the last whole one
        voiced = self.pitch.confidence[:, :frames] >= VOICED
        return np.array(
            [
                pitch.raw_pitch_accuracy(self.pitch.f0[i, :frames], f0, voiced=voiced[i])
                for i, f0 in zip(melody, heard.f0, strict=True)
            ]
        )


@dataclass(frozen=True, eq=False)
class Judged:
    """For N sounds: whose melody and whose instrument they should have, and what was found."""

    melody: np.ndarray  # index of a recording [N]
    partner: np.ndarray  # likewise: the recording whose instrument it should have [N]
    expected: np.ndarray  # instrument [N]
    accuracy: np.ndarray  # raw pitch accuracy [N], NaN where the recording has no pitch
    told: dict[str, np.ndarray]  # instrument [N] by each judge


def score_model(
    model: Disentangler,
    originals: Originals,
    judges: dict[str, Predictor],
    to_waveform: ToWaveform,
    progress: bool = True,
) -> dict[str, Any]:
    """Scores of originals, round trips, and the model's work: see `score_rows`.

    The rows: the recordings as they are; their log-mels back to sound with no model between;
    the model's reconstructions; its swaps. Beside them `leak_z`, by cross-validation.
    """
    latents = [model.encode(x) for x in originals.log_mel]
    everyone = [(i, i) for i in range(len(originals.clips))]

    def made(i: int, j: int) -> Tensor:
        return to_waveform(model.decode(latents[j].v, latents[i].z))

    rows = {
        "original": (everyone, lambda i, j: originals.waves[i]),
        "round trip": (everyone, lambda i, j: to_waveform(originals.log_mel[i])),
        "reconstruction": (everyone, made),
        "swap": (originals.pairs, made),
    }
    means = np.stack([each.z.mean(0).numpy() for each in latents])
    leaks = leak.label_across(means, originals.instrument)
    return {"leak_z": leaks, **score_rows(originals, rows, judges, progress)}


def score_rows(
    originals: Originals, rows: dict[str, Row], judges: dict[str, Predictor], progress: bool = True
) -> dict[str, Any]:
    """Scores `{row: {column: {value, low, high}}}` of sounds made of recordings, two by two.

    The columns: `melody`, the raw pitch accuracy; each judge's macro-F1; and `fad`, the Fréchet
    distance by CREPE tiny between the recordings and one sound with each one's melody. The
    intervals resample the recordings, not the pairs, which are no independent draws.
    """
    with tqdm(total=sum(len(pairs) for pairs, _ in rows.values()), disable=not progress) as bar:
        return {row: _judge(originals, *how, judges, bar) for row, how in rows.items()}


def _judge(
    originals: Originals,
    pairs: Pairs,
    make: Callable[[int, int], Tensor],
    judges: dict[str, Predictor],
    bar: tqdm,
) -> dict[str, Any]:
    accuracy: list[float] = []
    told: dict[str, list[str]] = {name: [] for name in judges}
    embedded: dict[tuple[int, int], np.ndarray] = {}
    chosen = set(_one_each(pairs))
    for start in range(0, len(pairs), BATCH):
        some = pairs[start : start + BATCH]
        waves = torch.stack([make(i, j) for i, j in some])
        heard = pitch.track(waves)
        accuracy += list(originals.melody_kept(heard, [i for i, _ in some]))
        log_mels = log_mel(waves).numpy()
        for name, judge in judges.items():
            told[name] += list(judge(log_mels))
        for pair, frames in zip(some, heard.embedding, strict=True):
            if pair in chosen:
                embedded[pair] = frames
        bar.update(len(some))
    melody, partner = (np.array(side) for side in zip(*pairs, strict=True))
    expected = originals.instrument[partner]
    kept = {name: np.array(names) for name, names in told.items()}
    judged = Judged(melody, partner, expected, np.array(accuracy), kept)
    scores = summary(judged, len(originals.clips))
    frames = [embedded[pair] for pair in _one_each(pairs)]
    of = originals.pitch.embedding[sorted(set(melody))]
    return {**scores, "fad": frechet_audio_distance(frames, of)}


def _one_each(pairs: Pairs) -> Pairs:
    """Of each melody, in order, one pair: another partner from melody to melody."""
    of: dict[int, Pairs] = {}
    for pair in pairs:
        of.setdefault(pair[0], []).append(pair)
    return [those[i % len(those)] for i, those in sorted(of.items())]


def summary(judged: Judged, recordings: int, seed: int = 0) -> dict[str, Any]:
    """Means over all sounds with 95 % intervals from resampled recordings.

    A sound made of two recordings counts as often as both were drawn.
    """
    counts = draw_weights(recordings, RESAMPLES, seed)
    weights = counts[:, judged.melody] * counts[:, judged.partner]  # [RESAMPLES, N]
    alone = judged.melody == judged.partner
    weights[:, alone] = counts[:, judged.melody[alone]]

    pitched = np.isfinite(judged.accuracy)

    def of_pitch(weight: np.ndarray | None) -> float:
        weight = None if weight is None else weight[pitched]
        return float(np.average(judged.accuracy[pitched], weights=weight))

    columns: dict[str, Callable[[np.ndarray | None], float]] = {"melody": of_pitch}
    for name, told in judged.told.items():
        columns[name] = lambda weight, told=told: float(
            f1_score(
                judged.expected, told, average="macro", sample_weight=weight, zero_division=0.0
            )
        )
    scores = {}
    for name, statistic in columns.items():
        drawn = [statistic(weight) for weight in weights if weight[pitched].sum()]
        scores[name] = percentile_interval(statistic(None), drawn)
    return scores


def own_encoder(model: Disentangler, learnt: Told, labels: Sequence[str]) -> Predictor:
    """The paper's way: an LDA on the model's own v. It flatters, so judges stand beside it."""

    def v_of(clips: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([model.encode(clip).v.numpy() for clip in clips])

    chosen = [i for i, label in enumerate(learnt[1]) if label in labels]
    told = LinearDiscriminantAnalysis()
    told.fit(v_of([learnt[0][i] for i in chosen]), [learnt[1][i] for i in chosen])
    return lambda clips: told.predict(v_of(clips))
