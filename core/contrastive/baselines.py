"""Baselines for an embedding, scored in the same way.

Statistics of the log-mel, the same encoder untrained, and the same encoder trained with the labels
of the training clips.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.contrastive import probe, sources, views
from core.contrastive.config import ContrastiveConfig
from core.contrastive.evaluate import Embedded
from core.contrastive.model import Cnn14, Contrastive, SmallEncoder
from core.training.config import merge
from core.training.engine import train
from core.training.run import Run

CALIBRATION = 2_048  # patches for the statistics of batch norm
BATCH = 128


def log_mel_statistics(log_mels: np.ndarray, frames: np.ndarray, training: np.ndarray) -> Embedded:
    """Mean and deviation of each band over time [N, 2 * 64], standardised by the training clips."""
    rows = [
        np.concatenate([part.mean(axis=0), part.std(axis=0)])
        for part in (
            log_mel[:count].astype(np.float32)
            for log_mel, count in zip(log_mels, frames, strict=True)
        )
    ]
    x = np.stack(rows)
    x = (x - x[training].mean(axis=0)) / (x[training].std(axis=0) + 1e-6)
    return Embedded(x, np.arange(len(x)))


def untrained(
    config: ContrastiveConfig, log_mels: Tensor, frames: Tensor, training: np.ndarray
) -> Cnn14 | SmallEncoder:
    """The encoder as initialised with seed 0.

    Batch norm's statistics come from training clips: without them the baseline would be unfairly
    weak.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = Contrastive(config.model).encoder.to(log_mels.device)
        patch = config.views.frames
        clips = torch.from_numpy(np.resize(training, CALIBRATION))
        room = (frames[clips] - patch).clamp(min=0)
        starts = (torch.rand(CALIBRATION) * (room + 1)).long()
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # a plain mean over the batches
    encoder.train()
    with torch.no_grad():
        for some in torch.arange(CALIBRATION).split(BATCH):
            rows, first = (x[some].to(log_mels.device) for x in (clips, starts))
            encoder(sources.cut(log_mels, rows, first, patch))
    return encoder.eval()


def supervised(
    config: ContrastiveConfig, views_of: views.Views, targets: Tensor, single: bool
) -> Cnn14 | SmallEncoder:
    """The encoder trained for as many steps with the training clips' labels and SpecAugment.

    `views_of` draws from the training clips, whose labels are `targets` [N, C].
    """
    task = _Supervised(config, views_of, targets, single)
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "supervised", task.config.model_dump())
        if train(task, run)["state"] == "stopped":
            raise KeyboardInterrupt
        model = task.build()
        model.load_state_dict(run.load("last")[0])
    return model.encoder.eval()


class _Classifier(nn.Module):
    def __init__(self, encoder: Cnn14 | SmallEncoder, size: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.out = nn.Linear(size, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.encoder(x)))


class _Supervised:
    """The task the engine trains: an encoder with labels."""

    def __init__(
        self, config: ContrastiveConfig, views_of: views.Views, targets: Tensor, single: bool
    ) -> None:
        steps = config.training.steps
        changes = {
            "training.validate_every": steps,
            "training.checkpoint_every": steps,
            "training.patience": None,
            "training.snapshots": (),
            "training.processes": 1,
            "training.device": str(views_of.frames.device),
            "training.tensorboard": False,
        }
        self.config = ContrastiveConfig.parse(merge(config.model_dump(), changes))
        self.training = self.config.training
        self.views, self.targets, self.single = views_of, targets, single

    def load(self, device: torch.device) -> int:
        self.targets = self.targets.float().to(device)
        return len(self.views)

    def build(self) -> _Classifier:
        encoder = Contrastive(self.config.model).encoder
        return _Classifier(encoder, self.config.model.embedding, self.targets.shape[1])

    def stage(self, step: int) -> str:
        return "labels"

    def enter(self, model: nn.Module, stage: str, fresh: bool) -> None:
        """All parameters are trained throughout."""

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self.views.draw(indices)[0], self.targets[indices]

    def losses(self, model: nn.Module, batch: Any, stage: str) -> dict[str, Tensor]:
        patches, targets = batch
        loss = F.cross_entropy if self.single else F.binary_cross_entropy_with_logits
        return {"loss": loss(model(patches), targets)}

    def validate(self, model: nn.Module, stage: str) -> dict[str, float]:
        """Held-out clips are not used: the last state is scored."""
        return {"criterion": 0.0}


def embedded(encoder: nn.Module, log_mels: Tensor, frames: Tensor, patch: int) -> Embedded:
    """Embeddings of all clips by an encoder."""
    return Embedded(*probe.embed_patches(encoder, log_mels, frames, patch))
