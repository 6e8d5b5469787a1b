"""A task small enough to reason about: linear regression with noise, in two stages.

python tests/core/training/toy.py RUN [--seconds-a-step S]
"""

import os
import sys
import time
from pathlib import Path

import torch

from core.training.config import TrainingConfig
from core.training.engine import train
from core.training.run import Run

EXAMPLES = 22


class Toy:
    """y = 2x; the bias is frozen until step 10; noise makes the random state matter."""

    def __init__(self, training: TrainingConfig, pause: float = 0.0, noise: float = 0.1) -> None:
        self.training, self.pause, self.noise = training, pause, noise

    def load(self, device):
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(EXAMPLES, 3, generator=generator).to(device)
        return EXAMPLES

    def build(self):
        return torch.nn.Linear(3, 1)

    def stage(self, step):
        return "weights" if step < 10 else "all"

    def enter(self, model, stage, fresh):
        model.bias.requires_grad_(stage == "all")

    def batch(self, indices):
        return self.x[indices]

    def losses(self, model, batch, stage):
        time.sleep(self.pause)
        noisy = batch + self.noise * torch.randn_like(batch)
        loss = (model(noisy) - 2 * batch.sum(1, keepdim=True)).square().mean()
        return {"loss": loss, "half": loss / 2}

    def validate(self, model, stage):
        return {"criterion": float(self.losses(model, self.x, stage)["loss"])}


def small(**changes) -> TrainingConfig:
    values = {"steps": 30, "batch_size": 8, "learning_rate": 0.05, "validate_every": 5}
    return TrainingConfig(**(values | {"log_every": 1, "checkpoint_every": 4} | changes))


if __name__ == "__main__":
    folder, pause = Path(sys.argv[1]), float(sys.argv[2])
    run = Run.open(folder)
    train(Toy(TrainingConfig(**run.config), pause), run, progress=False)
    if "WORLD_SIZE" in os.environ:
        os._exit(0)  # as `python -m core` ends, and for its reason
