"""One of two processes that share a batch: python gather.py RANK FOLDER."""

import sys
from pathlib import Path

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from core.contrastive import objective
from core.contrastive.config import ModelConfig
from core.contrastive.model import Contrastive

CASES = {"even": (4, 4), "uneven": (4, 3)}


class Step(nn.Module):
    """The losses as a forward pass; batch norm at rest, for it knows its own process alone."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.model = Contrastive(
            ModelConfig(encoder="small", width=4, embedding=8, head=16, projection=8)
        ).eval()

    def forward(self, a, b):
        return objective.losses(self.model, a, b, 1.0, 0.7, 0.2)


def views(case):
    torch.manual_seed(1)
    return torch.randn(2, sum(CASES[case]), 32, 64).unbind()


def run(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    found = {}
    for case, sizes in CASES.items():
        step = Step()
        parallel = DistributedDataParallel(step)
        a, b = (view.split(sizes)[rank] for view in views(case))
        terms = parallel(a, b)
        terms["loss"].backward()
        gradients = {name: p.grad for name, p in step.model.named_parameters()}
        found[case] = {**gradients, **{k: v.detach() for k, v in terms.items()}}
    if rank == 0:  # one validates, and must not wait for the other
        with torch.no_grad():
            found["alone"] = step(a, b)
    torch.save(found, folder / f"{rank}.pt")
    dist.barrier()
    del parallel
    dist.destroy_process_group()


if __name__ == "__main__":
    run(int(sys.argv[1]), Path(sys.argv[2]))
