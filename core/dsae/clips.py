"""Clips of a feature store as batches: kept on a device, or read from disk when they are needed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.data.joined import Rows
from core.data.store import FeatureStore


class Batch(NamedTuple):
    """Log-mels x [B, T, M] and their lengths [B], or None if all have T frames."""

    x: Tensor
    lengths: Tensor | None


class Clips:
    """Some clips of a store in half precision: on a device, or (`mapped`) on disk.

    Batches of mapped clips are on the host. On a CPU they are the same as those of kept ones.
    """

    def __init__(
        self,
        store: FeatureStore,
        indices: np.ndarray,
        device: torch.device,
        floor: float,
        *,
        mapped: bool = False,
    ) -> None:
        self.floor, self.frames = floor, store.log_mel.shape[1]
        self.device = torch.device("cpu") if mapped else device
        self.rows = Rows(store.log_mel, indices) if mapped else None
        self.log_mel = None if mapped else self._tensor(store.log_mel[indices])
        self.lengths = torch.from_numpy(store.lengths[indices].astype("int64")).to(self.device)
        self.ragged = bool((self.lengths != self.frames).any())

    def __len__(self) -> int:
        return len(self.lengths)

    def whole(self, indices: Tensor | slice) -> Batch:
        """The clips in full length."""
        lengths = self.lengths[indices] if self.ragged else None
        if self.log_mel is not None:
            return Batch(self.log_mel[indices].float(), lengths)
        assert self.rows is not None
        rows = indices if isinstance(indices, slice) else indices.numpy()
        return Batch(self._tensor(self.rows[rows]).float(), lengths)

    def crop(self, indices: Tensor, frames: int) -> Batch:
        """A random excerpt of each clip; a clip shorter than the crop stays whole and is masked."""
        return self.excerpts(indices, self.draw(indices, frames))

    def draw(self, indices: Tensor, frames: int) -> Tensor:
        """Positions [B, frames] of a random excerpt of each clip."""
        room = (self.lengths[indices] - frames).clamp(min=0)
        start = (torch.rand(len(indices), device=room.device) * (room + 1)).long()
        positions = start[:, None] + torch.arange(frames, device=room.device)
        return positions.clamp(max=self.frames - 1)

    def excerpts(self, indices: Tensor, positions: Tensor) -> Batch:
        """The frames of each clip at its positions [B, T'], which follow one another."""
        lengths = self.lengths[indices].clamp(max=positions.shape[1]) if self.ragged else None
        if self.log_mel is not None:
            return Batch(self.log_mel[indices[:, None], positions].float(), lengths)
        assert self.rows is not None
        starts = positions[:, 0].numpy()
        x = self.rows.spans(indices.numpy(), starts, positions.shape[1])
        return Batch(self._tensor(x).float(), lengths)

    def _tensor(self, log_mel: np.ndarray) -> Tensor:
        return torch.from_numpy(log_mel).to(self.device).clamp_(min=self.floor)
