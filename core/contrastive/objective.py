"""Losses of the two proxy tasks: similarity maximisation and coincidence prediction.

Fonseca et al., WASPAA 2021, section 3; NT-Xent as in SimCLR (Chen et al., 2020), coincidence
prediction as in Jansen et al. (ICASSP 2020). N pairs, D size of an embedding.
"""

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn import functional as F

from core.contrastive.model import Contrastive


def nt_xent(a: Tensor, b: Tensor, temperature: float = 0.1) -> Tensor:
    """Normalised temperature-scaled cross entropy of pairs a [N, D], b [N, D]: a scalar.

    Each of the 2N embeddings must find its partner among the 2N - 1 others, by cosine.
    """
    z = F.normalize(torch.cat([a, b]).float(), dim=1)
    logits = z @ z.T / temperature
    logits = logits.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -torch.inf)
    partner = torch.arange(len(z), device=z.device).roll(len(a))
    return F.cross_entropy(logits, partner)


def coincidence(logits: Tensor) -> Tensor:
    """Class-balanced binary cross entropy of all pairs' logits [N, N]: a scalar.

    The diagonal are the pairs that belong together; all others are negatives.
    """
    n = len(logits)
    logits = logits.float()
    positive = F.softplus(-logits.diagonal()).mean()
    others = F.softplus(logits).sum() - F.softplus(logits.diagonal()).sum()
    return positive + others / max(1, n * (n - 1))


def alignment(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared distance of partners on the sphere (Wang and Isola, 2020); 0 is the best."""
    a, b = (F.normalize(x.float(), dim=1) for x in (a, b))
    return (a - b).square().sum(dim=1).mean()


def uniformity(z: Tensor) -> Tensor:
    """Log of the mean Gaussian potential of all pairs on the sphere, t = 2; less is more even."""
    distances = torch.pdist(F.normalize(z.float(), dim=1)).square()
    return (-2 * distances).exp().mean().log()


def losses(
    model: Contrastive,
    a: Tensor,
    b: Tensor,
    similarity: float,
    coincident: float,
    temperature: float,
) -> dict[str, Tensor]:
    """The named losses of two views' log-mels a, b [B, T, M], and their weighted sum `loss`.

    Both views pass the encoder in one batch, so that batch norm sees them together. Under several
    processes all their pairs are negatives of each other, with gradients.
    """
    h = model.encoder(torch.cat([a, b]))
    h_a, h_b = h.chunk(2)
    terms: dict[str, Tensor] = {}
    loss = h.new_zeros(())
    if similarity:
        z_a, z_b = model.projection(h).chunk(2)
        terms["similarity"] = nt_xent(gathered(z_a), gathered(z_b), temperature)
        loss = loss + similarity * terms["similarity"]
    if coincident:
        terms["coincidence"] = coincidence(model.coincidence(gathered(h_a), gathered(h_b)))
        loss = loss + coincident * terms["coincidence"]
    return {"loss": loss, **terms}


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
