"""Separation: a small separator at work, what its norm and its search cost against plain versions.

    python -m tests.benchmarks separation

Weights are random: they make no difference to the time. The real-time factor is CPU-seconds a
second of sound on one thread; ratios compare what ran in the same process. Memory is the growth of
the process's peak while ten minutes are separated, with the ten minutes and their channels in it.
"""

import itertools
import resource
import time

import torch
from torch import Tensor, nn

from core import registry
from core.checkpoints import checkpoint
from core.separation import model as networks
from core.separation import objective
from core.separation.config import SeparationConfig
from core.separation.model import Separator
from core.separation.separate import SeparationModel
from tests.benchmarks.bench_audio import compare

RATE = 16_000


class PlainNorm(networks.FeatureNorm):
    """The norm by mean and variance, taken apart."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=-1, keepdim=True, correction=0)
        x = (x - mean) / torch.sqrt(variance + networks.NORM_EPSILON)
        return self.scale * x + self.offset


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    memory()  # first: a peak, once reached, hides what comes after
    speed()
    step()
    search()


def loaded(preset: str) -> SeparationModel:
    config = SeparationConfig.parse(registry.preset("separation", preset))
    return SeparationModel(Separator(config.model), config, checkpoint.Checkpoint(None))


def speed() -> None:
    print("real-time factor: CPU-seconds a second of sound")
    for preset, seconds in (("small", 60), ("paper", 10)):
        model, mixture = loaded(preset), 0.1 * torch.randn(seconds * RATE)
        model.separate(mixture[: 2 * RATE])
        begin = time.process_time()
        model.separate(mixture)
        print(f"  {preset:6s} {(time.process_time() - begin) / seconds:.4f}", flush=True)


def memory() -> None:
    model, mixture = loaded("small"), 0.1 * torch.randn(600 * RATE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept = sum(part.shape[1] for part in model.parts(mixture))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"ten minutes, piece by piece: {kept / RATE:.0f} s, peak memory grew by {grown:.0f} MiB")


def step() -> None:
    print("a training step of 4 x 2.5 s, the small preset; the ratio is to the plain norm")
    references = 0.1 * torch.randn(4, 2, 40_000)
    config = SeparationConfig.parse(registry.preset("separation", "small")).model

    def training_step(norm: type[nn.Module]) -> float:
        fused, networks.FeatureNorm = networks.FeatureNorm, norm
        model = Separator(config)
        networks.FeatureNorm = fused

        def run() -> None:
            loss, _ = objective.mixit(references, model(references.sum(dim=1)))
            loss.mean().backward()

        return run

    compare(
        {
            "fused norm": training_step(networks.FeatureNorm),
            "plain norm": training_step(PlainNorm),
        },
        5,
    )


def search() -> None:
    print("the best assignment of 8 channels; the ratio is to the plain search")
    references, channels = torch.randn(4, 2, 40_000), torch.randn(4, 8, 40_000)

    def plain() -> Tensor:
        losses = [
            objective.negative_snr(
                references, objective.sums(channels, torch.tensor(a).expand(4, -1), 2)
            ).mean(dim=1)
            for a in itertools.product(range(2), repeat=8)
        ]
        return torch.stack(losses).argmin(dim=0)

    compare(
        {
            "by inner products": lambda: objective.assign_exactly(references, channels),
            "plain": plain,
        },
        2,
    )


if __name__ == "__main__":
    main()
