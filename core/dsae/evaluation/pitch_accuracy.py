"""Raw pitch accuracy: is the melody kept in what a model makes of it, when it is heard?

As in the paper log-mels go back to sound, CREPE follows the pitch, and the truth is CREPE's pitch
of the originals. dMelodies knows its notes, so there they are a second truth.
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

HOP_SECONDS = 0.02
BATCH = 16  # sounds at once

Embeddings = dict[str, list[np.ndarray]]  # by name, of each clip its frames' [F, D]


class Sound(NamedTuple):
    """What was heard of N sounds: f0 in Hz and its confidence, each [N, P], and embeddings."""

    f0: np.ndarray
    confidence: np.ndarray
    embeddings: Embeddings


@dataclass(frozen=True, eq=False)
class Listener:
    """Hears sounds: CREPE of a capacity, which also embeds them, and VGGish if there is one.

    `route` is the way from log-mels back to sound: see core.vocoder.play.
    """

    capacity: pitch.Capacity = "tiny"
    route: str = PAPER
    vggish: Vggish | None = None
    device: torch.device | str = "cpu"

    @property
    def name(self) -> str:
        """What its figures are called by: crepe_tiny or crepe_full."""
        return f"crepe_{self.capacity}"

    def resynthesised(self, log_mel: Tensor, seconds: np.ndarray, what: str) -> Sound:
        """Log-mels [N, T, M] back to sound, of each its first `seconds` [N], and heard."""

        def waves(rows: slice) -> Tensor:
            return play(log_mel[rows].to(self.device), self.route, str(self.device))

        return self._hear(waves, seconds, what)

    def recorded(self, audio: np.ndarray, seconds: np.ndarray, what: str) -> Sound:
        """Sounds int16 [N, S] as they are."""
        return self._hear(
            lambda rows: torch.from_numpy(audio[rows].astype(np.float32) / PCM), seconds, what
        )

    def _hear(self, waves: Callable[[slice], Tensor], seconds: np.ndarray, what: str) -> Sound:
        tracked: list[pitch.Pitch] = []
        embeddings: Embeddings = {self.name: []}
        if self.vggish:
            embeddings["vggish"] = []
        with tqdm(total=len(seconds), desc=what, unit="sound", mininterval=1.0) as bar:
            for start in range(0, len(seconds), BATCH):
                rows = slice(start, min(start + BATCH, len(seconds)))
                heard, ends = waves(rows), seconds[rows]
                tracked.append(self._track(heard))
                inside = [tracked[-1].times < end for end in ends]
                found = zip(tracked[-1].embedding, inside, strict=True)
                embeddings[self.name] += [frames[mask] for frames, mask in found]
                if self.vggish:
                    embeddings["vggish"] += self.vggish.embed(heard, ends)
                bar.update(len(ends))
        f0, confidence = (
            np.concatenate([getattr(part, name) for part in tracked])
            for name in ("f0", "confidence")
        )
        return Sound(f0, confidence, embeddings)

    def _track(self, waves: Tensor) -> pitch.Pitch:
        return pitch.track(
            waves, capacity=self.capacity, device=self.device, hop_seconds=HOP_SECONDS
        )


class Originals:
    """Validation clips of a store, evenly spread, as they sound: the same for all models.

    `recorded` is heard of their sound, if the store holds it; `round_trip` of their log-mels made
    sound again, with no model between.
    """

    def __init__(self, store: FeatureStore, count: int, listener: Listener) -> None:
        everyone = store.indices("validation")
        self.listener = listener
        self.positions = spread_evenly(len(everyone), count)
        rows = everyone[self.positions]
        self.seconds = (store.lengths[rows] - 1) * HOP / SAMPLE_RATE
        log_mel = torch.from_numpy(store.log_mel[rows]).float()
        self.recorded: Sound | None = None
        if store.audio is not None:
            self.recorded = listener.recorded(store.audio[rows], self.seconds, "originals")
        self.round_trip = listener.resynthesised(log_mel, self.seconds, "round trips")
        self.notes = self._notes(store, rows)

    @property
    def reference(self) -> Sound:
        """The truth of pitch: the originals themselves where there is sound, else round trips."""
        return self.recorded or self.round_trip

    @property
    def voiced(self) -> np.ndarray:
        """Where the reference has a pitch, bool [N, P]."""
        inside = self._times < self.seconds[:, None]
        return (self.reference.confidence >= VOICED) & inside

    @property
    def _times(self) -> np.ndarray:
        return np.arange(self.reference.f0.shape[1]) * HOP_SECONDS

    def _notes(self, store: FeatureStore, rows: np.ndarray) -> np.ndarray | None:
        if store.kind != "dmelodies":
            return None
        return np.stack([contour(int(row), self._times) for row in store.labels["melody"][rows]])

    @property
    def median_pitch(self) -> np.ndarray:
        """Of each clip the median pitch in octaves [N]; NaN where it has none."""
        octaves = np.where(self.voiced, np.log2(self.reference.f0), np.nan)
        return np.array(
            [np.median(of[np.isfinite(of)]) if np.isfinite(of).any() else np.nan for of in octaves]
        )

    def scores(
        self, name: str, heard: Sound, melody: np.ndarray, *, own: bool = True
    ) -> dict[str, Any]:
        """Raw pitch accuracy of sounds against CREPE's pitch of the originals, and the notes.

        `melody` [N]: which of the originals each sound has its melody of. `own`: also against
        CREPE's pitch, not the notes alone.
        """
        by, scores = self.listener.name, {}
        if own:
            found = accuracy(self.reference.f0, heard.f0, melody, self.voiced)
            scores[f"rpa_{name}_{by}"] = found
        if self.notes is not None:
            notes = accuracy(self.notes, heard.f0, melody, self.notes > 0)
            scores[f"rpa_{name}_notes_{by}"] = notes
        return {key: value for key, value in scores.items() if value}


def accuracy(
    reference: np.ndarray, found: np.ndarray, melody: np.ndarray, voiced: np.ndarray
) -> dict[str, float]:
    """Mean raw pitch accuracy, 50 cents, of f0 [N, P] against the chosen rows of `reference`.

    Sounds whose reference has no pitch do not count; with fewer than two that do, empty.
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
    """The f0 in Hz of a dMelodies melody at `times` [P] in s; 0 in rests."""
    times = np.asarray(times)
    f0 = np.zeros(len(times))
    for note in dmelodies.melody(row).notes():
        f0[(times >= note.start) & (times < note.end)] = 440 * 2 ** ((note.pitch - 69) / 12)
    return f0
