"""Losses of the two proxy tasks: similarity maximisation and coincidence prediction.

Fonseca et al., WASPAA 2021, section 3; NT-Xent as in SimCLR (Chen et al., 2020), coincidence
prediction as in Jansen et al. (ICASSP 2020). N pairs, D size of an embedding.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from core.contrastive.model import Contrastive
from core.training.similarity import gathered, nt_xent


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
