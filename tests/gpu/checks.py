"""What is computed on two devices, and by how much it differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from core import registry
from core.training.config import RunConfig
from core.training.engine import train
from core.training.precision import autocast
from core.training.run import Run

aten = torch.ops.aten
RANDOM = (aten.rand, aten.randn, aten.randint, aten.randperm, aten.rand_like, aten.randn_like)


class HostNoise(TorchDispatchMode):
    """Random numbers are drawn on the CPU and then brought to the device that they are for, so that
    two devices, whose generators differ, compute the same."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        like = args[0] if args and isinstance(args[0], Tensor) else None
        device = kwargs.get("device") or (None if like is None else like.device)
        on_host = device is None or torch.device(device).type == "cpu"
        if func.overloadpacket not in RANDOM or on_host:
            return func(*args, **kwargs)
        if like is not None:
            args = (torch.empty(like.shape, dtype=like.dtype), *args[1:])
        return func(*args, **kwargs | {"device": torch.device("cpu")}).to(device)


class StepCheck(NamedTuple):
    """Relative differences of a step from the CPU's, the greatest over the stages: of the loss,
    and of the gradients' norm."""

    loss: float
    gradient: float


def step(config: RunConfig, device: torch.device, precision: str = "fp32") -> StepCheck:
    """A step of every stage on the CPU in single precision, and on a device."""
    wanted = list(_steps(config, torch.device("cpu"), "fp32"))
    found = list(_steps(config, device, precision))
    losses, gradients = [], []
    for (loss, gradient), (own_loss, own_gradient) in zip(wanted, found, strict=True):
        losses.append(abs(own_loss - loss) / max(abs(loss), 1e-9))
        error = (own_gradient - gradient).norm() / gradient.norm().clamp(min=1e-12)
        gradients.append(float(error))
    return StepCheck(max(losses), max(gradients))


def _steps(
    config: RunConfig, device: torch.device, precision: str
) -> Iterator[tuple[float, Tensor]]:
    """The loss and all gradients [P] of a step of each stage, from the same weights."""
    task = registry.task(config)
    with HostNoise():
        task.load(device)
        torch.manual_seed(0)
        model = task.build().to(device)
        stages = dict.fromkeys(config.stage(number) for number in range(config.training.steps))
        for stage in stages:
            task.enter(model, stage, True)
            model.train().zero_grad()
            torch.manual_seed(1)
            batch = task.batch(torch.arange(config.training.batch_size))
            with autocast(device, precision):
                loss = task.losses(model, batch, stage)["loss"]
            loss.backward()
            grads = [p.grad for p in model.parameters() if p.grad is not None]
            gradient = torch.cat([grad.detach().cpu().double().flatten() for grad in grads])
            yield float(loss.detach()), gradient


def waits(config: RunConfig, device: torch.device, events: Any) -> dict[str, int]:
    """What the host waited for in one step of the last stage, on a pretended device that counts
    `events`."""
    task = registry.task(config)
    task.load(device)
    model = task.build().to(device)
    for number in range(config.training.steps):  # as a run enters its stages
        task.enter(model, config.stage(number), False)
    optimizer = torch.optim.Adam(p for p in model.parameters() if p.requires_grad)
    model.train()
    events.clear()
    batch = task.batch(torch.arange(config.training.batch_size))
    task.losses(model, batch, config.stage(config.training.steps - 1))["loss"].backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return dict(events)


class RunCheck(NamedTuple):
    """Relative differences from a whole run on the CPU, in its last validation criterion: of a run
    that went from the CPU to the device in the middle, and of one that came back."""

    to_device: float
    from_device: float


def crossing(config: RunConfig, device: str, folder: Path) -> RunCheck:
    """A run, stopped half-way and resumed on the other device; with all that a run does."""
    whole = Run.create(folder / "whole", config.model_dump())
    whole.move("cpu", 1)
    with HostNoise():
        _train(whole)
        parted = [_crossed(config, places, folder) for places in (("cpu", device), (device, "cpu"))]
    wanted = _criterion(whole)
    differences = [abs(_criterion(run) - wanted) / max(abs(wanted), 1e-9) for run in parted]
    return RunCheck(*differences)


def _crossed(config: RunConfig, places: tuple[str, str], folder: Path) -> Run:
    run = Run.create(folder / f"from-{places[0].replace(':', '')}", config.model_dump())
    for place, last in zip(places, (config.training.steps // 2, None), strict=True):
        run.move(place, 1)
        _train(run, last)
    return run


def _train(run: Run, last: int | None = None) -> None:
    """Train a run as its config says, to its end or until so many steps are done."""
    task = registry.task(registry.parse(run.config))
    done = run.load("last")[2]["step"] if run.has("last") else 0
    if last is not None:
        batch: Callable[[Tensor], Any] = task.batch
        left = iter(range(last - done - 1))

        def stopping(indices: Tensor) -> Any:
            if next(left, None) is None:
                run.ask_to_stop()
            return batch(indices)

        task.batch = stopping  # type: ignore[method-assign]
    train(task, run, progress=False)


def _criterion(run: Run) -> float:
    return float(list(run.metrics("validation"))[-1]["criterion"])


@contextmanager
def exact() -> Iterator[None]:
    """Convolutions on a GPU in true single precision, as products are."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
