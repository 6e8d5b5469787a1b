"""Scenes of several sounds to score encoders on: clips of a store mixed, with all their labels.

N scenes, C classes, T frames, 64 bands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.audio.scene_mel import scene_frames
from core.contrastive import views
from core.contrastive.config import MOST_SOUNDS
from core.contrastive.evaluate import Labels
from core.data.mixtures import SILENCE, Waves, levelled, partners
from core.data.store import FeatureStore
from core.errors import RavelError

SPREAD = 5.0  # dB by which a sound is louder or quieter than the middle, at most


class Scenes(NamedTuple):
    """Scenes: log-mels [N, T, 64], frames of sound in each [N], labels, both splits, and `waves`,
    which makes the sound [S] of one after another."""

    log_mels: Tensor
    frames: Tensor
    labels: Labels
    train: np.ndarray
    held_out: np.ndarray
    waves: Callable[[], Iterator[Tensor]]


def scenes(
    store: FeatureStore,
    labels: Labels,
    train: np.ndarray,
    held_out: np.ndarray,
    count: int,
    device: torch.device | str = "cpu",
) -> Scenes:
    """As many scenes of `count` sounds as there are clips, each clip being the first sound of one.

    The other sounds are clips of the same split, drawn at random, all at levels that differ by up
    to twice SPREAD. A scene has the labels of all its sounds. The same store gives the same scenes.
    Raises RavelError for a `count` that is not 2 to MOST_SOUNDS, or has fewer clips.
    """
    if not 2 <= count <= MOST_SOUNDS:
        raise RavelError(f"Scenes of {count} sounds: give 2 to {MOST_SOUNDS}.")
    splits = (train, held_out)
    parts, truth = [], []
    for mixed, rows in _batches(store, splits, count):
        parts.append(views.features(mixed))
        truth.append(labels.truth[rows].any(axis=0))
    log_mels = torch.cat(parts).to(device)
    frames = torch.full((len(log_mels),), scene_frames(mixed.shape[1]))
    first = np.arange(len(train))
    return Scenes(
        log_mels,
        frames,
        Labels(labels.names, np.concatenate(truth), single=False),
        first,
        len(train) + np.arange(len(held_out)),
        partial(_waves, store, splits, count),
    )


def _batches(
    store: FeatureStore, splits: tuple[np.ndarray, ...], count: int
) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Sounds [B, S] of scenes with a peak of 1, and the clips [count, B] that each is mixed of."""
    for number, rows in enumerate(splits):
        generator = torch.Generator().manual_seed(MOST_SOUNDS * number + count)
        waves = Waves(store, rows)
        samples = int(waves.audio.shape[1])
        for some in torch.arange(len(rows)).split(views.BATCH):
            chosen = partners(some, len(rows), count, generator)
            sounds = torch.stack([waves.excerpts(row, samples, generator) for row in chosen], 1)
            gains = SPREAD * (2 * torch.rand(sounds.shape[:2], generator=generator) - 1)
            mixed = levelled(sounds, gains).sum(dim=1)
            peaks = mixed.abs().amax(dim=1, keepdim=True)  # 1, as those of clips
            yield mixed / peaks.clamp(min=SILENCE), rows[chosen.numpy()]


def _waves(store: FeatureStore, splits: tuple[np.ndarray, ...], count: int) -> Iterator[Tensor]:
    for mixed, _ in _batches(store, splits, count):
        yield from mixed
