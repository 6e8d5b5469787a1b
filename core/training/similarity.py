"""Similarity maximisation: NT-Xent between two views of each example, over all processes.

SimCLR (Chen et al., ICML 2020), as in Fonseca et al., WASPAA 2021, section 3. N pairs, D size.
"""

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn import functional as F


def nt_xent(a: Tensor, b: Tensor, temperature: float = 0.1) -> Tensor:
    """Normalised temperature-scaled cross entropy of pairs a [N, D], b [N, D]: a scalar.

    Each of the 2N embeddings must find its partner among the 2N - 1 others, by cosine.
    """
    z = F.normalize(torch.cat([a, b]).float(), dim=1)
    with torch.autocast(z.device.type, enabled=False):  # in bfloat16 its gradient is 4 % off
        logits = z @ z.T / temperature
    logits = logits.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -torch.inf)
    partner = torch.arange(len(z), device=z.device).roll(len(a))
    return F.cross_entropy(logits, partner)


def gathered(x: Tensor) -> Tensor:
    """The rows of all processes, [sum of N, D], with gradients to each; alone, x itself.

    Every process then has the loss of all pairs, so summing what flows back over processes and
    DDP's averaging of it leave the gradient of that one loss.
    """
    alone = not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1)
    if alone or not torch.is_grad_enabled():  # one process validates, and the others wait
        return x
    return _Gather.apply(x.float())


class _Gather(torch.autograd.Function):
    """all_gather of parts that may differ in length by a row or two, with its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        sizes = [
            torch.zeros(1, dtype=torch.long, device=x.device) for _ in range(dist.get_world_size())
        ]
        dist.all_gather(sizes, torch.tensor([len(x)], device=x.device))
        ctx.sizes = [int(size) for size in sizes]
        most = max(ctx.sizes)
        padded = F.pad(x, (0, 0, 0, most - len(x))).contiguous()
        parts = [torch.empty_like(padded) for _ in ctx.sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, ctx.sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient.split(ctx.sizes)[dist.get_rank()]
