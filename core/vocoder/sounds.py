"""Excerpts of a store's clips: log-mels, true or reconstructed by models, and their true sound."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.audio.mel import HOP
from core.data.joined import AROUND, Rows
from core.data.store import PCM, FeatureStore
from core.errors import RavelError
from core.statistics import spread_evenly
from core.vocoder.model import FAINT, LEVEL, N_FFT, stft

EDGE = HOP + N_FFT // 2  # samples before the first frame's middle that its spectrum needs


class Excerpts(NamedTuple):
    """Log-mels [B, T, M] and the sound around them [B, T * HOP + N_FFT], one hop earlier on."""

    log_mel: Tensor
    around: Tensor

    @classmethod
    def of(cls, parts: Sequence[tuple[np.ndarray, np.ndarray]], device: torch.device) -> Excerpts:
        """Batch pairs of a log-mel and its sound, all of one length."""
        return cls(*(torch.from_numpy(np.stack(p)).to(device) for p in zip(*parts, strict=True)))

    @property
    def spectrum(self) -> Tensor:
        """The true STFT [B, T + 1, F], including the frame before."""
        return stft(self.around)

    @property
    def wave(self) -> Tensor:
        """The true sound from the middle of the first frame to that of the last."""
        return self.around[:, EDGE : -(N_FFT // 2)]

    def levelled(self, below: Tensor | float = 0.0) -> Excerpts:
        """Each excerpt at the training level of a vocoder's network, or so many dB [B] below."""
        loudest = self.log_mel.amax((1, 2)).clamp(min=FAINT)
        return self.louder((LEVEL - loudest) * 10 / math.log(10) - below)

    def louder(self, gains: Tensor) -> Excerpts:
        """The same, amplified by gains in dB [B]."""
        shift = (gains * math.log(10) / 10)[:, None, None]
        return Excerpts(self.log_mel + shift, self.around * 10 ** (gains / 20)[:, None])


class Sounds:
    """Some clips, `rows`, of a store with audio, and models' reconstructions of their log-mels."""

    def __init__(self, store: FeatureStore, rows: np.ndarray, device: torch.device) -> None:
        if store.audio is None:
            raise RavelError(
                f"{store.path} holds log-mels only, but a vocoder is trained on sound: build it "
                "again with its audio."
            )
        self.store, self.audio, self.rows, self.device = store, store.audio, rows, device
        self.read = Rows(store.log_mel, rows), Rows(store.audio, rows)
        self.rebuilt: dict[int, list[np.ndarray]] = {}  # by row, one [T, M] for each model

    def add(self, rows: np.ndarray, made: np.ndarray) -> None:
        """Add a model's reconstructions [N, T, M] of the log-mels of the clips `rows` [N]."""
        for row, one in zip(rows.tolist(), made, strict=True):
            self.rebuilt.setdefault(row, []).append(one)

    def excerpt(
        self, row: int, frames: int, draw: np.random.Generator, *, rebuilt: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """A random excerpt of a clip: a log-mel [frames, M] and the sound around it.

        `rebuilt`: the probability of using a reconstructed log-mel, if there is one.
        """
        room = max(0, int(self.store.lengths[row]) - frames)
        start = int(draw.integers(room + 1))
        made = self.rebuilt.get(row, [])
        log_mel = self.store.log_mel[row]
        if made and draw.random() < rebuilt:
            log_mel = made[draw.integers(len(made))]
        return self._cut(log_mel, row, start, frames)

    def whole(self, count: int, size: int) -> Iterator[Excerpts]:
        """Batches of up to `size` of `count` clips from their start, cut to the shortest.

        Each batch comes with its own log-mels, then with those of each model.
        """
        rows = self.rows[spread_evenly(len(self.rows), count)]
        for some in np.array_split(rows, -(-len(rows) // size)) if len(rows) else ():
            frames = int(self.store.lengths[some].min())
            kinds = [[self.store.log_mel[row] for row in some]]
            kinds += zip(*(self.rebuilt[row] for row in some), strict=True) if self.rebuilt else []
            for mels in kinds:
                parts = [
                    self._cut(mel, row, 0, frames) for mel, row in zip(mels, some, strict=True)
                ]
                yield Excerpts.of(parts, self.device)

    def _cut(
        self, log_mel: np.ndarray, row: int, start: int, frames: int
    ) -> tuple[np.ndarray, np.ndarray]:
        cut = np.asarray(log_mel[start : start + frames], np.float32)
        if len(cut) < frames:  # all clips of the store are shorter than the excerpts
            cut = np.pad(cut, ((0, frames - len(cut)), (0, 0)), mode="edge")
        for read in self.read:
            read.touched(AROUND)
        return cut, sound_around(self.audio[row], start, frames)


def sound_around(audio: np.ndarray, start: int, frames: int) -> np.ndarray:
    """The samples of int16 [S] under the frames `start` - 1 to `start` + `frames` - 1.

    Float32 [frames * HOP + N_FFT]. Edges are reflected, as for the log-mel.
    """
    at = np.abs(np.arange(frames * HOP + N_FFT) + start * HOP - EDGE)
    last = len(audio) - 1
    at = (last - np.abs(last - at)).clip(0)
    return audio[at].astype(np.float32) / PCM
