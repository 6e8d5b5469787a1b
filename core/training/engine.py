"""The training loop: any task, on one CPU, one GPU, or many by DDP under torchrun.

    one process     python -m core train --data data/dmelodies --out runs/a
    two GPUs        torchrun --nproc-per-node 2 -m core train --data data/dmelodies --out runs/b
    two machines    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-endpoint HOST:PORT -m core ...

Order and noise of a step are functions of (seed, step, rank) alone, so a resumed run continues as
if it had never been interrupted, and nothing random needs to be saved.
"""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from core.errors import RavelError
from core.training import distributed, precision, sinks
from core.training.config import TrainingConfig
from core.training.meter import Meter
from core.training.order import Order, seed_of
from core.training.reading import Batches
from core.training.run import INITIAL, Run, restore_initial, restore_optimizer, this_process
from core.training.schedule import learning_rate

SAMPLES = 40


class Task(Protocol):
    """What the engine needs of a system. A task knows its model and data, but no loop.

    It may have `samples(model, folder)`, which writes sounds and latents during training;
    `learning_rate(step)`, where the schedule is not one for all steps; `stepped(model, step)`,
    called after so many steps; and, for what is to be saved and resumed beside the model, `kept()`,
    which gives tensors by name, and `restore(tensors)`, which is called after `enter`. A task that
    learns nothing from very few clips names the fewest, over all processes, as `smallest_batch`.

    A task may keep the examples of this process alone (`distributed.own`), and then says how
    many are before them as `first`. It says where its clips are as `where`, and `from_disk` where
    other processes are to make its batches ahead: those are tensors on the host, and functions of
    the indices and torch's random numbers.
    """

    training: TrainingConfig

    def load(self, device: torch.device) -> int:
        """Bring the data to the device and return the number of training examples, over all
        processes."""

    def build(self) -> nn.Module:
        """A freshly initialised model."""

    def stage(self, step: int) -> str:
        """The name of the stage that a step belongs to."""

    def enter(self, model: nn.Module, stage: str, fresh: bool) -> None:
        """Freeze and unfreeze for a stage; `fresh` is false when a resumed run is inside it."""

    def batch(self, indices: Tensor) -> Any:
        """The training examples with these indices [B], which are on the host and count from
        `first`, on the device."""

    def losses(self, model: nn.Module, batch: Any, stage: str) -> dict[str, Tensor]:
        """Named scalar terms; `loss` is the one minimised."""

    def validate(self, model: nn.Module, stage: str) -> dict[str, float]:
        """Named validation figures; `criterion` decides on best and early stopping (least)."""


class Step(nn.Module):
    """A task's losses as a module's forward pass, which is what DDP can wrap."""

    def __init__(self, task: Task, model: nn.Module, stage: str) -> None:
        super().__init__()
        self.task, self.model, self.stage = task, model, stage

    def forward(self, batch: Any) -> dict[str, Tensor]:
        return self.task.losses(self.model, batch, self.stage)


def train(task: Task, run: Run, *, progress: bool = True) -> dict[str, Any]:
    """Train to the end, to early stopping, or until asked to stop; return the final state.

    The run's last saved state, if any, is continued. Raises RavelError for what a person can mend
    (a held run, a missing device, data that do not fit, a full disk); the run's state says so too.
    """
    world = distributed.join(task.training.device)
    torch.set_num_threads(task.training.threads)
    try:
        if world.is_main:
            if not run.is_mine:  # else it waited for its turn, and may have been asked to stop
                run.hold()
                run.forget_stop()
            run.write_state(
                state="running", message="", reason="", device=str(world.device), **this_process()
            )
        return _Loop(task, run, world, progress).go()
    except BaseException as error:
        if run.is_mine:
            run.fail(_reason(error))
        if isinstance(error, OSError):
            raise RavelError(_reason(error)) from error
        raise
    finally:
        run.release()
        world.close()


class _Loop:
    def __init__(self, task: Task, run: Run, world: distributed.World, progress: bool) -> None:
        self.task, self.run, self.world, self.config = task, run, world, task.training
        examples = task.load(world.device)
        smallest = getattr(task, "smallest_batch", 1)
        batch_size, seed = self.config.batch_size, self.config.seed
        self.order = Order(examples, batch_size, seed, processes=world.size, smallest=smallest)
        readers = self.config.readers if getattr(task, "from_disk", False) else 0
        self.batches = Batches(
            task.batch, self._indices, self._seed, world.device, readers=readers, begin=run.release
        )
        torch.manual_seed(seed_of(self.config.seed, 0))
        self.model = task.build().to(world.device)
        self.forward: nn.Module = self.model  # until a stage wraps it
        # All parameters from the start: those still frozen begin with a fresh state when freed.
        self.optimizer = torch.optim.Adam(
            [p for _, p in _trainable(self.model)],
            lr=1.0,
            amsgrad=self.config.amsgrad,
            fused=world.device.type == "cuda" or None,  # one kernel for all parameters
        )
        self._rate = getattr(task, "learning_rate", partial(learning_rate, self.config))
        self.step, self.stage = 0, ""
        self.best, self.waited = math.inf, 0
        # A bar in a terminal; in a log file, a line for each validation.
        self.talks = progress and world.is_main
        self.bar = tqdm(total=self.config.steps, disable=None if self.talks else True)
        self.sinks = sinks.of(run, self.config) if world.is_main else []
        self.clock = (time.monotonic(), 0)
        self.meter = Meter(world.device)
        self.killed = False

    def go(self) -> dict[str, Any]:
        with self._listening():
            return self._go()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT ask for a stop, until the run is left."""
        before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                before[number] = signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            # DDP keeps the process group, and gloo's threads must not outlive the interpreter.
            self.forward = self.model
            self.batches.close()

    def _go(self) -> dict[str, Any]:
        if self.run.has("last"):
            self._resume()
        elif self.run.has(INITIAL):
            restore_initial(self.model, self.run)
        self.bar.update(self.step)
        self._say(f"training on {self.world.device}, from step {self.step:,}")
        self._say(getattr(self.task, "where", ""))
        reason = "finished"
        while self.step < self.config.steps:
            self._enter_stage()
            self._keep()
            if self.step % self.config.validate_every == 0 and self._validate():
                reason = "stopped early"
                break
            self._train_step()
            if self._interrupted():
                reason = "stopped"
                break
        else:
            self._keep()
            self._validate()
        self._save("last")
        self._say(f"{reason} at step {self.step:,}")
        self.bar.close()
        final = {"state": "stopped" if reason == "stopped" else "finished", "reason": reason}
        if self.world.is_main:
            self.run.write_state(**final, step=self.step, stage=self.stage)
        self.world.wait()
        return {**final, "step": self.step, "best": self.best}

    def _on_signal(self, number: int, _: Any) -> None:
        if self.killed and number == signal.SIGINT:  # asked twice: leave without saving
            raise KeyboardInterrupt
        self.killed = True

    def _resume(self) -> None:
        weights, slots, progress = self.run.load("last")
        self.model.load_state_dict(weights)
        restore_optimizer(self.optimizer, slots)
        self.step, self.best = progress["step"], progress["best"] or math.inf
        self.waited, self.stage = progress["waited"], progress["stage"]
        self._wrap(fresh=False)
        if hasattr(self.task, "restore"):
            self.task.restore(self.run.load_kept("last"))

    def _enter_stage(self) -> None:
        stage = self.task.stage(self.step)
        if stage != self.stage:
            self.stage = stage
            # Losses of different stages are different things: neither best nor patience carries on.
            self.best, self.waited = math.inf, 0
            self._wrap(fresh=True)

    def _wrap(self, fresh: bool) -> None:
        self.task.enter(self.model, self.stage, fresh)
        self.forward = Step(self.task, self.model, self.stage)
        if self.world.size > 1:
            # What is trained is fixed within a stage, so DDP is wrapped once for each.
            self.forward = DistributedDataParallel(self.forward, broadcast_buffers=False)

    def _train_step(self) -> None:
        self.forward.train()
        rate = self._rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.batches.batch(self.step, self.config.steps)
        with self._autocast():
            terms = self.forward(batch)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        if self.config.gradient_clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self.step += 1
        if hasattr(self.task, "stepped"):
            self.task.stepped(self.model, self.step)
        self.bar.update(1)
        if self.step % self.config.log_every == 0:
            self._log("train", {**self.world.mean(terms), "learning_rate": rate, **self._speed()})
        if self.step % self.config.checkpoint_every == 0:
            self._save("last")
            self._sample()

    def _sample(self) -> None:
        """Let the task write its samples, at no more than SAMPLES of the saved states."""
        saved = -(-self.config.steps // self.config.checkpoint_every)
        due = self.step // self.config.checkpoint_every % -(-saved // SAMPLES) == 0
        if due and self.world.is_main and hasattr(self.task, "samples"):
            self.model.eval()
            with torch.no_grad():
                self.task.samples(self.model, self.run.path / "samples" / f"step_{self.step:06d}")

    def _indices(self, step: int) -> Tensor:
        """This process's share of a step's batch, on the host: a task that needs numbers need not
        wait for the device."""
        return self.order.share(step, self.world.rank) - getattr(self.task, "first", 0)

    def _seed(self, step: int) -> int:
        return seed_of(self.config.seed, 1, step, self.world.rank)

    def _validate(self) -> bool:
        """Validate; keep the best; say whether patience has run out."""
        if self.world.is_main:
            self.forward.eval()
            torch.manual_seed(seed_of(self.config.seed, 3))  # the same noise at every validation
            with torch.no_grad(), self._autocast():
                figures = self.task.validate(self.model, self.stage)
            self._log("validation", figures)
            if not math.isfinite(figures["criterion"]):
                raise RavelError(
                    f"The loss is not a number at step {self.step}: "
                    "start again with a smaller training.learning_rate."
                )
            self.waited += 1
            if figures["criterion"] < self.best:
                self.best, self.waited = figures["criterion"], 0
                self._save("best")
            self._say(
                f"step {self.step:,}, {self.stage}: validation {figures['criterion']:.4f}"
                + (", the best so far" if self.waited == 0 else "")
            )
            self.bar.set_postfix({"stage": self.stage, "validation": f"{figures['criterion']:.4f}"})
        patience = self.config.patience
        return self.world.agree(patience is not None and self.waited >= patience)

    def _interrupted(self) -> bool:
        if self.world.is_main:
            self.run.beat(step=self.step, steps=self.config.steps, stage=self.stage)
        return self.world.agree(self.killed or (self.world.is_main and self.run.asked_to_stop))

    def _save(self, name: str) -> None:
        if self.world.is_main:
            best = self.best if math.isfinite(self.best) else None
            progress = {"step": self.step, "stage": self.stage, "best": best, "waited": self.waited}
            kept = self.task.kept() if hasattr(self.task, "kept") else {}
            self.run.save(name, self.model, self.optimizer, progress, kept)

    def _keep(self) -> None:
        """A snapshot, where one is due: weights that no later state replaces."""
        name = f"step_{self.step}"
        if self.step in self.config.snapshots and self.world.is_main and not self.run.has(name):
            progress = {"step": self.step, "stage": self.stage}
            self.run.save(name, self.model, None, progress)

    def _log(self, kind: str, values: dict[str, float]) -> None:
        if self.world.is_main:
            values |= self.meter.read() if kind == "train" else {}
            for sink in self.sinks:
                sink(kind, self.step, {"stage": self.stage, **values})

    def _say(self, text: str) -> None:
        if self.talks and self.bar.disable and text:
            print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def _speed(self) -> dict[str, float]:
        (then, at), now = self.clock, time.monotonic()
        self.clock = (now, self.step)
        return {"steps_per_second": (self.step - at) / max(now - then, 1e-9)} if at else {}

    def _autocast(self) -> Any:
        return precision.autocast(self.world.device, self.config.precision)


def _trainable(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted from the keyboard; resume it to continue"
    if isinstance(error, OSError):
        return f"a file could not be written or read: {error.strerror or error}"
    return str(error) or type(error).__name__
