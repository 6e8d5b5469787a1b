"""Raw pitch accuracy: whether a model's output, resynthesised, keeps the melody.

As in the paper, log-mels are turned into sound, CREPE tracks the pitch, and the reference is the
pitch CREPE finds in the originals. On dMelodies the notes are a second reference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core.audio import pitch
from core.audio.clip import HOP, SAMPLE_RATE, VOICED
from core.audio.vggish import Vggish
from core.data import dmelodies
from core.data.store import PCM, FeatureStore
from core.statistics import interval, spread_evenly
from core.vocoder.play import PAPER, play

CREPE_HOP_SECONDS = 0.02
BATCH = 16  # sounds at once

Embeddings = dict[str, list[np.ndarray]]  # by name, of each clip its frames' [F, D]


class AnalysedSound(NamedTuple):
    """Pitch of N sounds: f0 in Hz and its confidence, each [N, P]; and their embeddings."""

    f0: np.ndarray
    confidence: np.ndarray
    embeddings: Embeddings


@dataclass(frozen=True, eq=False)
class Analyser:
    """Tracks pitch and computes embeddings of sounds: by CREPE, and by VGGish if it is given.

    `route` is the route from log-mels to sound, see core.vocoder.play.
    """

    capacity: pitch.Capacity = "tiny"
    route: str = PAPER
    vggish: Vggish | None = None
    device: torch.device | str = "cpu"

    @property
    def name(self) -> str:
        """The suffix of its scores' names: crepe_tiny or crepe_full."""
        return f"crepe_{self.capacity}"

    def analyse_log_mels(self, log_mel: Tensor, seconds: np.ndarray, what: str) -> AnalysedSound:
        """Log-mels [N, T, M] turned into sound, the first `seconds` [N] of each."""

        def waves(rows: slice) -> Tensor:
            return play(log_mel[rows].to(self.device), self.route, str(self.device))

        return self._analyse(waves, seconds, what)

    def analyse_audio(self, audio: np.ndarray, seconds: np.ndarray, what: str) -> AnalysedSound:
        """Sounds int16 [N, S], the first `seconds` [N] of each."""
        return self._analyse(
            lambda rows: torch.from_numpy(audio[rows].astype(np.float32) / PCM), seconds, what
        )

    def _analyse(
        self, waves: Callable[[slice], Tensor], seconds: np.ndarray, what: str
    ) -> AnalysedSound:
        tracked: list[pitch.Pitch] = []
        embeddings: Embeddings = {self.name: []}
        if self.vggish:
            embeddings["vggish"] = []
        with tqdm(total=len(seconds), desc=what, unit="sound", mininterval=1.0) as bar:
            for start in range(0, len(seconds), BATCH):
                rows = slice(start, min(start + BATCH, len(seconds)))
                batch, ends = waves(rows), seconds[rows]
                tracked.append(self._track(batch))
                inside = [tracked[-1].times < end for end in ends]
                found = zip(tracked[-1].embedding, inside, strict=True)
                embeddings[self.name] += [frames[mask] for frames, mask in found]
                if self.vggish:
                    embeddings["vggish"] += self.vggish.embed(batch, ends)
                bar.update(len(ends))
        f0, confidence = (
            np.concatenate([getattr(part, name) for part in tracked])
            for name in ("f0", "confidence")
        )
        return AnalysedSound(f0, confidence, embeddings)

    def _track(self, waves: Tensor) -> pitch.Pitch:
        return pitch.track(
            waves, capacity=self.capacity, device=self.device, hop_seconds=CREPE_HOP_SECONDS
        )


class Originals:
    """AnalysedSound of evenly spaced validation clips of a store, analysed once for all models.

    `recorded` comes from their audio, if the store holds it; `round_trip` from their log-mels
    turned into sound, without a model.
    """

    def __init__(self, store: FeatureStore, count: int, analyser: Analyser) -> None:
        everyone = store.indices("validation")
        self.analyser = analyser
        self.positions = spread_evenly(len(everyone), count)
        rows = everyone[self.positions]
        self.seconds = (store.lengths[rows] - 1) * HOP / SAMPLE_RATE
        log_mel = torch.from_numpy(store.log_mel[rows]).float()
        self.recorded: AnalysedSound | None = None
        if store.audio is not None:
            self.recorded = analyser.analyse_audio(store.audio[rows], self.seconds, "originals")
        self.round_trip = analyser.analyse_log_mels(log_mel, self.seconds, "round trips")
        self.notes = self._notes(store, rows)

    @property
    def reference(self) -> AnalysedSound:
        """The reference for pitch: the recorded originals if there is audio, else round trips."""
        return self.recorded or self.round_trip

    @property
    def voiced(self) -> np.ndarray:
        """The frames in which the reference has a pitch, bool [N, P]."""
        inside = self._times < self.seconds[:, None]
        return (self.reference.confidence >= VOICED) & inside

    @property
    def _times(self) -> np.ndarray:
        return np.arange(self.reference.f0.shape[1]) * CREPE_HOP_SECONDS

    def _notes(self, store: FeatureStore, rows: np.ndarray) -> np.ndarray | None:
        if store.kind != "dmelodies":
            return None
        return np.stack([contour(int(row), self._times) for row in store.labels["melody"][rows]])

    @property
    def median_pitch(self) -> np.ndarray:
        """The median pitch of each clip in octaves [N]; NaN if it has none."""
        octaves = np.where(self.voiced, np.log2(self.reference.f0), np.nan)
        return np.array(
            [np.median(of[np.isfinite(of)]) if np.isfinite(of).any() else np.nan for of in octaves]
        )

    def scores(
        self, name: str, sound: AnalysedSound, melody: np.ndarray, *, own: bool = True
    ) -> dict[str, Any]:
        """Raw pitch accuracy of sounds against CREPE's pitch of the originals, and the notes.

        `melody` [N]: index of the original whose melody each sound should have. `own`: score
        against CREPE's pitch too, not only against the notes.
        """
        by, scores = self.analyser.name, {}
        if own:
            found = accuracy(self.reference.f0, sound.f0, melody, self.voiced)
            scores[f"rpa_{name}_{by}"] = found
        if self.notes is not None:
            notes = accuracy(self.notes, sound.f0, melody, self.notes > 0)
            scores[f"rpa_{name}_notes_{by}"] = notes
        return {key: value for key, value in scores.items() if value}


def accuracy(
    reference: np.ndarray, found: np.ndarray, melody: np.ndarray, voiced: np.ndarray
) -> dict[str, float]:
    """Mean raw pitch accuracy, 50 cents, of f0 [N, P] against the chosen rows of `reference`.

    Sounds whose reference has no pitch are left out; empty if fewer than two remain.
    """
    frames = min(found.shape[1], reference.shape[1])  # a resynthesis ends with its last whole frame
    each = np.array(
        [
            pitch.raw_pitch_accuracy(reference[i, :frames], f0[:frames], voiced=voiced[i, :frames])
            for i, f0 in zip(melody, found, strict=True)
        ]
    )
    each = each[np.isfinite(each)]
    return interval(each, np.mean) if len(each) > 1 else {}


def contour(row: int, times: Sequence[float] | np.ndarray) -> np.ndarray:
    """The f0 in Hz of a dMelodies melody at `times` [P] in seconds; 0 in rests."""
    times = np.asarray(times)
    f0 = np.zeros(len(times))
    for note in dmelodies.melody(row).notes():
        f0[(times >= note.start) & (times < note.end)] = 440 * 2 ** ((note.pitch - 69) / 12)
    return f0
