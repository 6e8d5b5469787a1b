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
from core.audio.clip import Clip
from core.audio.invert import to_waveform
from core.audio.mel import log_mel
from core.dsae.latents import Disentangler

VOICED = 0.5  # CREPE confidence from which a frame of the reference counts as pitched
BATCH = 16
RESAMPLES = 1000

Labels = tuple[str, str]
Teller = Callable[[np.ndarray], np.ndarray]  # log-mels [N, T, M] to the instrument of each
Told = tuple[list[np.ndarray], list[str]]  # log-mels [T, M] and the instrument of each


class Originals:
    """Real recordings of two instruments, four seconds each, with their pitch."""

    def __init__(self, clips: Sequence[Clip], labels: Labels) -> None:
        self.clips, self.labels = list(clips), labels
        self.waves = torch.from_numpy(np.stack([clip.wave for clip in clips]))
        self.log_mel = log_mel(self.waves)
        self.instrument = np.array([clip.labels["instrument"] for clip in clips])
        self.pitch = pitch.track(self.waves)
        first, second = (np.flatnonzero(self.instrument == label) for label in labels)
        # Every (melody of, instrument of) pair across the two instruments, both ways.
        self.pairs = [(i, j) for a, b in ((first, second), (second, first)) for i in a for j in b]

    def melody_kept(self, waves: Tensor, melody: Sequence[int]) -> np.ndarray:
        """Raw pitch accuracy of each sound [N, S] against the recording it has its melody of."""
        found = pitch.track(waves).f0
        frames = found.shape[1]  # a sound made of frames ends with the last whole one
        voiced = self.pitch.confidence[:, :frames] >= VOICED
        return np.array(
            [
                pitch.raw_pitch_accuracy(self.pitch.f0[i, :frames], f0, voiced=voiced[i])
                for i, f0 in zip(melody, found, strict=True)
            ]
        )


@dataclass(frozen=True, eq=False)
class Judged:
    """For N sounds: whose melody and whose instrument they should have, and what was found."""

    melody: np.ndarray  # index of a recording [N]
    partner: np.ndarray  # likewise: the recording whose instrument it should have [N]
    expected: np.ndarray  # instrument [N]
    accuracy: np.ndarray  # raw pitch accuracy [N]
    told: dict[str, np.ndarray]  # instrument [N] by each judge


def judge_model(
    model: Disentangler, originals: Originals, judges: dict[str, Teller], progress: bool = True
) -> dict[str, Any]:
    """Scores `{row: {column: {value, low, high}}}` of originals, round trips, and the model's work.

    The rows: the recordings as they are; their log-mels back to sound with no model between;
    the model's reconstructions; its swaps. The intervals resample the recordings, not the pairs,
    which are no independent draws.
    """
    latents = [model.encode(x) for x in originals.log_mel]
    everyone = [(i, i) for i in range(len(originals.clips))]
    rows: dict[str, tuple[list[tuple[int, int]], Callable[[int, int], Tensor] | None]] = {
        "original": (everyone, None),
        "round trip": (everyone, lambda i, j: originals.log_mel[i]),
        "reconstruction": (everyone, lambda i, j: model.decode(latents[i].v, latents[i].z)),
        "swap": (originals.pairs, lambda i, j: model.decode(latents[j].v, latents[i].z)),
    }
    with tqdm(total=sum(len(pairs) for pairs, _ in rows.values()), disable=not progress) as bar:
        return {
            row: summary(_judge(originals, pairs, make, judges, bar), len(originals.clips))
            for row, (pairs, make) in rows.items()
        }


def _judge(originals, pairs, make, judges: dict[str, Teller], bar: tqdm) -> Judged:
    accuracy: list[float] = []
    told: dict[str, list[str]] = {name: [] for name in judges}
    for start in range(0, len(pairs), BATCH):
        some = pairs[start : start + BATCH]
        melody = [i for i, _ in some]
        if make is None:
            waves = originals.waves[melody]
        else:
            waves = to_waveform(torch.stack([make(i, j) for i, j in some]))
        accuracy += list(originals.melody_kept(waves, melody))
        heard = log_mel(waves).numpy()
        for name, judge in judges.items():
            told[name] += list(judge(heard))
        bar.update(len(some))
    melody, partner = (np.array(side) for side in zip(*pairs, strict=True))
    expected = originals.instrument[partner]
    return Judged(
        melody, partner, expected, np.array(accuracy), {k: np.array(v) for k, v in told.items()}
    )


def summary(judged: Judged, recordings: int, seed: int = 0) -> dict[str, Any]:
    """Means over all sounds with 95 % intervals from resampled recordings.

    A sound made of two recordings counts as often as both were drawn.
    """
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(recordings, np.full(recordings, 1 / recordings), RESAMPLES)
    weights = counts[:, judged.melody] * counts[:, judged.partner]  # [RESAMPLES, N]
    alone = judged.melody == judged.partner
    weights[:, alone] = counts[:, judged.melody[alone]]

    def of_pitch(weight: np.ndarray | None) -> float:
        return float(np.average(judged.accuracy, weights=weight))

    columns: dict[str, Callable[[np.ndarray | None], float]] = {"melody": of_pitch}
    for name, told in judged.told.items():
        columns[name] = lambda weight, told=told: float(
            f1_score(
                judged.expected, told, average="macro", sample_weight=weight, zero_division=0.0
            )
        )
    scores = {}
    for name, statistic in columns.items():
        drawn = [statistic(weight) for weight in weights if weight.sum()]
        low, high = np.percentile(drawn, [2.5, 97.5])
        ends = {"value": statistic(None), "low": low, "high": high}
        scores[name] = {k: round(float(v), 4) for k, v in ends.items()}
    return scores


def own_encoder(model: Disentangler, learnt: Told, labels: Labels) -> Teller:
    """The paper's way: an LDA on the model's own v. It flatters, so judges stand beside it."""

    def v_of(clips: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([model.encode(clip).v.numpy() for clip in clips])

    chosen = [i for i, label in enumerate(learnt[1]) if label in labels]
    told = LinearDiscriminantAnalysis()
    told.fit(v_of([learnt[0][i] for i in chosen]), [learnt[1][i] for i in chosen])
    return lambda clips: told.predict(v_of(clips))
