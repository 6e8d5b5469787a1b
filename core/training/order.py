"""In which order a run sees its examples, and the seeds of everything random in it."""

import numpy as np
import torch
from torch import Tensor

from core.errors import RavelError


class Order:
    """Batches of `batch_size` examples, in an order drawn anew for each epoch.

    What is left of an epoch is a batch too, unless it has fewer than `smallest` examples or one of
    the `processes` would go without. Batches are functions of the seed and the step alone. Raises
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
        full, rest = divmod(examples, batch_size)
        self.epoch_steps = max(1, full + (rest >= max(processes, smallest)))
        self._epoch, self._drawn = -1, torch.empty(0, dtype=torch.long)

    def batch(self, step: int) -> Tensor:
        """The numbers [B] of the examples of a step."""
        epoch, position = divmod(step, self.epoch_steps)
        start = position * self.batch_size
        return self.of(epoch)[start : start + self.batch_size]

    def of(self, epoch: int) -> Tensor:
        """The permutation [N] of an epoch; the latest is kept, as drawing takes long where N is
        millions."""
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(seed_of(self.seed, 2, epoch))
            self._drawn = torch.randperm(self.examples, generator=generator)
            self._epoch = epoch
        return self._drawn


def seed_of(*numbers: int) -> int:
    """A seed made of several numbers; other numbers give an unrelated one."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
