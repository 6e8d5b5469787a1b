"""The losses of TS-DSAE: equation 2, the informed prior of equation 3, the swaps of 4 to 7."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from core.dsae.config import ObjectiveConfig
from core.dsae.layers import Gaussian, frame_mask, masked_mean
from core.dsae.model import Dsae

SWAP_TERMS = ("z_gswap", "v_gswap", "v_lswap", "z_lswap")


def kl(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q || p) of diagonal Gaussians, each dimension by itself: the shape of their means."""
    spread = (torch.exp(q.logvar) + (q.mean - p.mean).square()) * torch.exp(-p.logvar)
    return 0.5 * (p.logvar - q.logvar + spread - 1)


def kl_standard(q: Gaussian) -> Tensor:
    """KL(q || N(0, I)), each dimension by itself."""
    return 0.5 * (torch.exp(q.logvar) + q.mean.square() - 1 - q.logvar)


def per_clip(values: Tensor, lengths: Tensor | None, reduction: str) -> Tensor:
    """Reduce values [B, D] or [B, T, D] to one number a clip, then average over the batch.

    `mean` averages over frames and dimensions, as the authors' code does for every term;
    `elbo` sums over both, as equation 2 is written.
    """
    if reduction == "elbo":
        if values.dim() == 3 and lengths is not None:
            values = values * frame_mask(lengths, values.shape[1])[..., None]
        return values.sum() / values.shape[0]
    if values.dim() == 3:
        values = masked_mean(values, lengths)
    return values.mean()


def losses(
    model: Dsae,
    x: Tensor,
    lengths: Tensor | None,
    config: ObjectiveConfig,
    *,
    informed: bool,
    swaps: bool,
) -> dict[str, Tensor]:
    """All terms for log-mels x [B, T, M], each a scalar, and their weighted sum `loss`.

    `informed` takes p(v) from the snapshot (equation 3) instead of N(0, I); `swaps` adds the
    invariance and manifestation terms of equations 4 to 7. `elbo_loss` is equation 2 alone.
    """
    q_v = model.global_encoder(x, lengths)
    v = q_v.sample()
    q_z = model.local(x, q_v, v, lengths)
    local = model.local_encoder
    if local.without_v and model.training:
        local.without_v.learn(q_v.mean, local.means(q_z, q_v, lengths))
    z = q_z.sample()

    if swaps:
        pairs = SwapPairs(len(x), x.device)
        decoded = decode_all(model, z, v, lengths, pairs)
    else:
        decoded = [model.decoder(z, v, lengths)]

    def reduce(values: Tensor, of: Tensor | None = lengths) -> Tensor:
        return per_clip(values, of, config.reduction)

    # p(x|z,v) has unit variance: half the squared error by equation 2, all of it in the code.
    half = 0.5 if config.reduction == "elbo" else 1.0
    terms = {
        "reconstruction": half * reduce((decoded[0] - x).square()),
        "kl_z": reduce(kl(q_z, model.prior(z))),
        "kl_v": reduce(kl(q_v, frozen(model, x, lengths)) if informed else kl_standard(q_v)),
    }
    total = terms["reconstruction"] + config.kl_z * terms["kl_z"] + config.kl_v * terms["kl_v"]
    terms["elbo_loss"] = total
    if swaps:
        terms |= swap_terms(model, decoded[1:], (q_z, q_v), lengths, pairs, reduce)
        total = total + sum(getattr(config, name) * terms[name] for name in SWAP_TERMS)
    return {"loss": total, **terms}


class SwapPairs:
    """For each clip the partner of its global and of its local swap: two random permutations."""

    def __init__(self, batch: int, device: torch.device) -> None:
        self.of_global = torch.randperm(batch, device=device)
        self.of_local = torch.randperm(batch, device=device)


def decode_all(
    model: Dsae, z: Tensor, v: Tensor, lengths: Tensor | None, pairs: SwapPairs
) -> list[Tensor]:
    """The reconstruction, the global swap (z_i, v_j) and the local swap (z_j, v_i), in one pass.

    The samples of the main pass are decoded; the decoder's means are what is heard and re-encoded.
    """
    everyone = None if lengths is None else torch.cat([lengths, lengths, lengths[pairs.of_local]])
    return list(
        model.decoder(
            torch.cat([z, z, z[pairs.of_local]]), torch.cat([v, v[pairs.of_global], v]), everyone
        ).chunk(3)
    )


def swap_terms(
    model: Dsae,
    swapped: Sequence[Tensor],
    originals: tuple[Gaussian, Gaussian],
    lengths: Tensor | None,
    pairs: SwapPairs,
    reduce: Callable[..., Tensor],
) -> dict[str, Tensor]:
    """Equations 4 to 7: KLs from the re-encoded swaps to the posteriors of the originals.

    Only the encoders are run again. No gradient is stopped, as in the authors' code.
    """
    q_z, q_v = originals
    j, k = pairs.of_global, pairs.of_local
    after_local = None if lengths is None else lengths[k]
    everyone = None if lengths is None else torch.cat([lengths, lengths[k]])
    x = torch.cat(list(swapped))
    again_v = model.global_encoder(x, everyone)
    # The full posterior conditions on a fresh draw of the re-encoded v.
    again_z = model.local(x, again_v, again_v.sample(), everyone)
    (v_global, v_local), (z_global, z_local) = again_v.chunk(2), again_z.chunk(2)
    return {
        "z_gswap": reduce(kl(z_global, q_z), lengths),
        "v_gswap": reduce(kl(v_global, Gaussian(q_v.mean[j], q_v.logvar[j]))),
        "v_lswap": reduce(kl(v_local, q_v)),
        "z_lswap": reduce(kl(z_local, Gaussian(q_z.mean[k], q_z.logvar[k])), after_local),
    }


@torch.no_grad()
def frozen(model: Dsae, x: Tensor, lengths: Tensor | None) -> Gaussian:
    """The snapshot's posterior, each clip's own prior in stage 2 (equation 3)."""
    return model.snapshot(x, lengths)
