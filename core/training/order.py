"""In which order a run sees its examples, and the seeds of everything random in it."""

import numpy as np
import torch
from torch import Tensor

from core.errors import RavelError


class Order:
    """Batches of `batch_size` examples, in an order drawn anew for each epoch.

    Each of several `processes` has examples of its own (`part`), and a `share` of every batch. What
    is left of an epoch is a batch too, unless it has fewer than `smallest` examples or one of the
    processes would go without. Batches are functions of the seed and the step alone. Raises
    RavelError without examples, and for more processes than examples in a batch.
    """

    def __init__(
        self, examples: int, batch_size: int, seed: int, *, processes: int = 1, smallest: int = 1
    ) -> None:
        if batch_size < processes:
            raise RavelError(
                f"training.batch_size is {batch_size} but there are {processes} processes: "
                "give each at least one clip."
            )
        if not examples:
            raise RavelError("The corpus has no training clips: check its 'split' column.")
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self.processes = processes
        full, rest = divmod(examples, batch_size)
        self.epoch_steps = max(1, full + (rest >= max(processes, smallest)))
        self._epoch, self._drawn = -1, torch.empty(0, dtype=torch.long)

    def batch(self, step: int) -> Tensor:
        """The numbers [B] of the examples of a step."""
        epoch, position = divmod(step, self.epoch_steps)
        start = position * self.batch_size
        return self.of(epoch)[start : start + self.batch_size]

    def share(self, step: int, rank: int) -> Tensor:
        """Of a step's examples those that are the process's own."""
        start = step % self.epoch_steps * self.batch_size
        return self.batch(step)[(rank - start) % self.processes :: self.processes]

    def of(self, epoch: int) -> Tensor:
        """The permutation [N] of an epoch, in which the processes take turns; the latest is kept,
        as drawing takes long where N is millions."""
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(seed_of(self.seed, 2, epoch))
            self._drawn = torch.empty(self.examples, dtype=torch.long)
            for rank in range(self.processes):
                own = part(self.examples, rank, self.processes)
                drawn = torch.randperm(len(own), generator=generator)
                self._drawn[rank :: self.processes] = own.start + drawn
            self._epoch = epoch
        return self._drawn


def part(examples: int, rank: int, processes: int) -> range:
    """The numbers of the examples that are a process's own: consecutive ones."""
    each, more = divmod(examples, processes)
    start = rank * each + min(rank, more)
    return range(start, start + each + (rank < more))


def seed_of(*numbers: int) -> int:
    """A seed made of several numbers; other numbers give an unrelated one."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
