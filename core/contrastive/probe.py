"""Quick probes of an embedding, cheap enough to run during training."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.contrastive import sources, views

BATCH = 256  # patches at a time
NEIGHBOURS = 5


def embed_all(encoder: nn.Module, log_mels: Tensor, frames: Tensor, patch: int = 96) -> np.ndarray:
    """Embeddings [N, D] of clips [N, T, 64]: the mean over their patches."""
    return means(*embed_patches(encoder, log_mels, frames, patch))


@torch.no_grad()
def embed_patches(
    encoder: nn.Module, log_mels: Tensor, frames: Tensor, patch: int = 96
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings [P, D] of all patches of clips [N, T, 64], and the index [P] of each patch's clip.

    `frames` [N] is the number of frames of sound. The encoder should be in evaluation mode.
    """
    floor = float(np.log(views.FRONT_END.epsilon))
    log_mels = F.pad(log_mels, (0, 0, 0, max(0, patch - log_mels.shape[1])), value=floor)
    starts = [starts_of(count, patch) for count in frames.tolist()]
    owner = torch.repeat_interleave(torch.tensor([len(some) for some in starts]))
    begin = torch.tensor([start for some in starts for start in some])
    parts = []
    for clips, first in zip(owner.split(BATCH), begin.split(BATCH), strict=True):
        clips, first = clips.to(log_mels.device), first.to(log_mels.device)
        parts.append(encoder(sources.cut(log_mels, clips, first, patch)).float().cpu())
    return torch.cat(parts).numpy(), owner.numpy()


def starts_of(frames: int, patch: int, hop: int | None = None) -> Sequence[int]:
    """Starts of the patches of so many frames: every `hop` frames, or end to end.

    End to end, a last patch is aligned with the end; a clip shorter than a patch has one patch.
    """
    starts = list(range(0, max(1, frames - patch + 1), hop or patch))
    if hop is None and starts[-1] + patch < frames:
        starts.append(frames - patch)
    return starts


def means(patches: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """The mean [N, D] over each clip's patches [P, D]; `owner` [P] ascends from 0 to N - 1."""
    first = np.searchsorted(owner, np.arange(owner[-1] + 1))
    counts = np.bincount(owner)[:, None].astype(patches.dtype)
    return np.add.reduceat(patches, first) / counts


def quick(
    train: np.ndarray, held_out: np.ndarray, labels: np.ndarray, held_out_labels: np.ndarray
) -> dict[str, float]:
    """Accuracy of nearest neighbours by cosine: no training and nothing to tune."""
    right = neighbours(train, held_out, labels) == held_out_labels
    return {"knn_accuracy": float(right.mean())}


def neighbours(train: np.ndarray, held_out: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The majority label of the five nearest training clips [N, D], for each held-out clip."""
    from sklearn.neighbors import KNeighborsClassifier

    count = min(NEIGHBOURS, len(train))
    classifier = KNeighborsClassifier(count, metric="cosine", algorithm="brute")
    return classifier.fit(train, labels).predict(held_out)
