"""TS-DSAE: a training step against a plain transcription of the original one, and time to quality.

    python -m tests.benchmarks dsae

Both steps run by turns in this process on one thread; figures are CPU-seconds.

Time to quality trains the `quick` preset on 1,200 melodies (960 to train on) until validation shows
what the original code did after 1,200 steps of stage 1 and 2,400 of stage 2 at batch 32: squared
error 0.63, swap F1 1.00 and a counterfactual error of 1.87. What those steps cost on this machine
is extrapolated from the transcription's, measured in the same run.
"""

import statistics
import tempfile
import time
from pathlib import Path

import torch

from core.data import dmelodies
from core.data.store import FeatureStore
from core.dsae import objective
from core.dsae.config import DsaeConfig, ModelConfig, ObjectiveConfig, preset
from core.dsae.evaluation import counterfactual
from core.dsae.model import Dsae
from core.dsae.task import DsaeTask
from core.training.config import merge
from core.training.engine import train
from core.training.run import Run
from tests.core.dsae.reference import ReferenceStep

BATCH, FRAMES, MELS = 128, 251, 80
TARGET = {"mse": 0.63, "f1": 0.995, "counterfactual_error": 1.87}
ORIGINAL_STEPS, ORIGINAL_BATCH = (1_200, 2_400), 32


def main() -> None:
    torch.set_num_threads(1)
    compare_steps()
    time_to_quality(original_seconds())


def compare_steps(rounds: int = 5) -> None:
    """A stage-2 step at the paper's size: ours, then the transcription, several times over."""
    x = torch.randn(BATCH, FRAMES, MELS)
    ours, plain = _our_step(x), _plain_step(x)
    pairs = [(_cpu_seconds(ours), _cpu_seconds(plain)) for _ in range(rounds + 1)][1:]
    best = [min(side) for side in zip(*pairs, strict=True)]
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"stage-2 step, batch {BATCH} x {FRAMES} x {MELS}, z 16, CPU-seconds on one thread")
    print(f"  this project {best[0]:.3f}   plain transcription {best[1]:.3f}   ratio {ratio:.2f}")


def original_seconds(rounds: int = 8) -> float:
    """CPU-seconds the original recipe would take here, by the transcription's steps."""
    x = torch.randn(ORIGINAL_BATCH, FRAMES, MELS)
    costs = [
        min(_cpu_seconds(step) for _ in range(rounds))
        for step in (_plain_step(x, constrained=True), _plain_step(x))
    ]
    return sum(count * cost for count, cost in zip(ORIGINAL_STEPS, costs, strict=True))


def _our_step(x):
    model = Dsae(ModelConfig())
    optimizer = torch.optim.Adam(p for p in model.parameters() if p.requires_grad)

    def step():
        terms = objective.losses(model, x, None, ObjectiveConfig(), informed=True, swaps=True)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()

    return step


def _plain_step(x, constrained: bool = False):
    model = Dsae(ModelConfig())
    reference = ReferenceStep(model)
    if constrained:
        model.local_encoder.requires_grad_(False)
        model.prior.requires_grad_(False)
    optimizer = torch.optim.Adam(p for p in model.parameters() if p.requires_grad)
    model.snapshot.requires_grad_(True)  # as in the original: not trained, yet differentiated

    def step():
        pairs = torch.randperm(len(x)), torch.randperm(len(x))
        optimizer.zero_grad()
        terms = reference.stage_1(x) if constrained else reference(x, *pairs)
        terms["loss"].backward()
        optimizer.step()

    return step


def _cpu_seconds(step) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


class TimedTask(DsaeTask):
    """Measures quality at every validation, off the clock, and stops the run when it is reached."""

    def __init__(self, config: DsaeConfig, run: Run) -> None:
        super().__init__(config)
        self.run, self.off_clock, self.reached = run, 0.0, None
        self.store = FeatureStore.open(config.data.store)

    def load(self, device):
        count = super().load(device)
        self.started = time.process_time()
        return count

    @torch.no_grad()
    def validate(self, model, stage):
        spent = time.process_time() - self.started - self.off_clock
        before = time.process_time()
        figures = super().validate(model, stage)
        scores = counterfactual.counterfactual(model, self.store, "instrument")
        swap = scores["counterfactual_error"]
        now = {
            "mse": figures["reconstruction"],
            "f1": min(figures["f1_global"], figures["f1_local"]),
            "counterfactual_error": swap["value"],
        }
        print(f"  {spent:5.0f} s  " + "  ".join(f"{k} {v:.3f}" for k, v in now.items()), flush=True)
        good = now["f1"] >= TARGET["f1"]
        good &= all(now[k] <= TARGET[k] for k in ("mse", "counterfactual_error"))
        if good and self.reached is None:
            self.reached = spent
            self.run.ask_to_stop()
        self.off_clock += time.process_time() - before
        return figures


def time_to_quality(original: float) -> None:
    """CPU-seconds of training until the validation figures reach the target."""
    print("time to quality, CPU-seconds of training on one thread")
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "dmelodies"
        dmelodies.build(store, count=1200, audio=False, progress=False)
        values = merge(preset("quick"), {"data.store": str(store), "training.device": "cpu"})
        config = DsaeConfig.parse(values)
        run = Run.create(Path(folder) / "run", config.model_dump())
        task = TimedTask(config, run)
        train(task, run, progress=False)
    if task.reached is None:
        print("  the target was not reached")
    else:
        share = task.reached / original
        print(f"  reached after {task.reached:.0f} s; the original {original:.0f} s: {share:.2f}")
