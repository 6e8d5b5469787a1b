"""One process or many: the world as `torchrun` describes it, and exchanges within it."""

import gc
import os
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

from core.errors import RavelError
from core.training.order import part

BLOCK = 32  # clips that are dealt to one process together, at most
BLOCKS = 16  # that each process has at least, where there are clips enough


@dataclass(frozen=True)
class World:
    """This process among all that train one model."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def agree(self, flag: bool) -> bool:
        """The main process's flag, on all processes, so that they leave a loop together."""
        if self.size == 1:
            return flag
        shared = torch.tensor([int(flag)], device=self.device)
        dist.broadcast(shared, src=0)
        return bool(shared.item())

    def mean(self, values: dict[str, Tensor]) -> dict[str, float]:
        """Each value averaged over the processes."""
        stacked = torch.stack([value.detach().float() for value in values.values()])
        if self.size > 1:
            dist.all_reduce(stacked)
            stacked /= self.size
        return dict(zip(values, stacked.tolist(), strict=True))

    def wait(self) -> None:
        """Until all processes are here: one that leaves early takes the others' connections."""
        if self.size > 1:
            dist.barrier()

    def close(self) -> None:
        """Leave the process group.

        DDP's wrappers are cycles that hold on to it; were they left to the interpreter's end,
        gloo's threads would outlive what they need and abort the process.
        """
        if self.size > 1:
            gc.collect()
            dist.destroy_process_group()
            gc.collect()


def place() -> tuple[int, int]:
    """This process's rank, and how many train the model with it, it among them."""
    alone = not (dist.is_available() and dist.is_initialized())
    return (0, 1) if alone else (dist.get_rank(), dist.get_world_size())


def own(rows: np.ndarray) -> tuple[int, np.ndarray]:
    """Of the training clips `rows` [N] those of this process, after how many others they count.

    Alone it has all. Else the clips are dealt in blocks, so that what belongs together stays
    together mostly (a player's clips, a file's pages), and every process sees all of the corpus.
    """
    rank, size = place()
    block = min(BLOCK, max(1, len(rows) // (BLOCKS * size)))
    dealt = np.argsort(np.arange(len(rows)) // block % size, kind="stable")
    mine = part(len(rows), rank, size)
    return mine.start, rows[dealt[mine.start : mine.stop]]


def join(device: str) -> World:
    """Join the processes `torchrun` started, or be alone. Raises RavelError without the device."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = pick_device(device, int(os.environ.get("LOCAL_RANK", "0")) if size > 1 else None)
    if size > 1:
        if chosen.type == "cuda":
            torch.cuda.set_device(chosen)
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        return World(dist.get_rank(), size, chosen)
    return World(0, 1, chosen)


def pick_device(name: str, local_rank: int | None = None) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device; each local process gets a GPU of its own."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise RavelError(
            f"There is no device called {name!r}: choose auto, cpu, cuda or cuda:N."
        ) from None
    if device.type == "cuda":
        if local_rank is not None:
            device = torch.device("cuda", local_rank)
        if (device.index or 0) >= torch.cuda.device_count():
            raise RavelError(
                f"{device} was asked for, but this machine shows {torch.cuda.device_count()} GPUs: "
                "choose cpu, or auto to take what there is."
            )
    return device
