"""What of the toy needs torch: its network, task, evaluation and card."""

import torch

from core.checkpoints import checkpoint
from core.checkpoints.card import About, record_scores

MEANINGS = {"error": "squared error of a sum"}
CLIPS = 22


def about(config, name):
    return About("toy", f"It sums {config.model.size} numbers, as {name}.")


def network(model):
    return torch.nn.Linear(model.size, 1)


def load(name, device="cpu"):
    model, _, _ = checkpoint.load(name, "toy")
    return model.to(device).eval()


def numbers(size):
    return torch.randn(CLIPS, size, generator=torch.Generator().manual_seed(0))


def error(model, x):
    return (model(x) - x.sum(1, keepdim=True)).square().mean()


class ToyTask:
    def __init__(self, config):
        self.config, self.training = config, config.training

    def load(self, device):
        self.x = numbers(self.config.model.size).to(device)
        return CLIPS

    def build(self):
        return network(self.config.model)

    def stage(self, step):
        return self.config.stage(step)

    def enter(self, model, stage, fresh):
        pass

    def batch(self, indices):
        return self.x[indices]

    def losses(self, model, batch, stage):
        return {"loss": error(model, batch)}

    def validate(self, model, stage):
        return {"criterion": float(error(model, self.x))}


def evaluate(names, options, say):
    for name in names:
        model, config, found = checkpoint.load(name, "toy")
        scores = {"error": float(error(model, numbers(config.model.size)).detach())}
        record_scores(found, options.data, scores)
        say(f"{found.name}: {scores['error']:.3f}")
