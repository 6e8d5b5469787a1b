"""The batches of a run, step by step; where clips stay on disk, other processes read them ahead.

A batch is a function of its examples and of torch's random numbers on the host, which are seeded by
the step. So a reader can make it as well as the training process, which then goes on with the
random numbers where the reader left off: with any number of readers a run is the same run.
"""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from core.errors import RavelError

AHEAD = 2  # batches that each reader has ready

Make = Callable[[Tensor], Any]


class Batches:
    """The batches that `make` makes of `indices(step)`, from a step on, on the device.

    `seed(step)` seeds the random numbers. With `readers` other processes make them; each of them
    calls `begin` first. `close` ends them.
    """

    def __init__(
        self,
        make: Make,
        indices: Callable[[int], Tensor],
        seed: Callable[[int], int],
        device: torch.device,
        *,
        readers: int = 0,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self.make, self.indices, self.seed, self.device = make, indices, seed, device
        self.readers, self.begin = readers, begin
        self._ahead: Iterator[Any] | None = None

    def batch(self, step: int, last: int) -> Any:
        """The batch of a step, after which the next is asked for, up to `last`; the random numbers
        are then where making it left them."""
        torch.manual_seed(self.seed(step))
        if not self.readers:
            return place(self.make(self.indices(step)), self.device)
        if self._ahead is None:
            self._ahead = self._start(step, last)
        try:
            batch, state = next(self._ahead)
        except RuntimeError as error:
            if "exited unexpectedly" not in str(error):
                raise
            raise RavelError(
                "A process that reads clips ahead was ended, by a lack of memory perhaps: resume "
                "the run with training.readers 0."
            ) from error
        torch.set_rng_state(state)
        return place(batch, self.device)

    def _start(self, step: int, last: int) -> Iterator[Any]:
        steps = ((number, self.indices(number)) for number in range(step, last))
        return iter(
            DataLoader(
                _Made(self.make, self.seed),
                batch_size=None,
                sampler=_Steps(steps),
                num_workers=min(self.readers, len(os.sched_getaffinity(0))),
                prefetch_factor=AHEAD,
                pin_memory=self.device.type == "cuda",
                worker_init_fn=self._begin,
                multiprocessing_context="fork",  # they share what the task has loaded
            )
        )

    def _begin(self, _: int) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the training process ends them
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.begin()

    def close(self) -> None:
        """End the readers."""
        self._ahead = None


class _Made(Dataset):
    """Batches by (step, indices), each with the state of the random numbers after it."""

    def __init__(self, make: Make, seed: Callable[[int], int]) -> None:
        self.make, self.seed = make, seed

    def __getitem__(self, item: tuple[int, Tensor]) -> tuple[Any, Tensor]:
        step, indices = item
        torch.manual_seed(self.seed(step))
        batch = self.make(indices)
        return batch, torch.get_rng_state()


class _Steps:
    """What a DataLoader takes for a sampler."""

    def __init__(self, steps: Iterator[tuple[int, Tensor]]) -> None:
        self.steps = steps

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        return self.steps


def place(batch: Any, device: torch.device) -> Any:
    """Tensors, also in tuples within tuples, on a device; anything else as it is."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, tuple):
        placed = [place(item, device) for item in batch]
        return type(batch)(*placed) if hasattr(batch, "_fields") else tuple(placed)
    return batch
