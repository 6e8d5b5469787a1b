"""The losses of TS-DSAE for players: two excerpts of each, as the second paper's views.

v is taken from another excerpt of the player than the one that is rebuilt, so it cannot carry what
only one of them plays. NT-Xent brings the excerpts' v together (similarity maximisation by temporal
proximity, Fonseca et al., WASPAA 2021), and the swap terms of TS-DSAE (equations 4 and 5) are
squared errors in units of the latents' spread. No label enters any of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from core.dsae.config import ObjectiveConfig
from core.dsae.layers import Gaussian, masked_mean
from core.dsae.model import Dsae
from core.dsae.objective import kl, kl_standard, per_clip
from core.dsae.perturbation import filtered, perturbed, random_filters
from core.training.similarity import gathered, nt_xent

SPREAD = 1e-3  # the least variance of a latent that errors are divided by


def losses(
    model: Dsae,
    x: Tensor,
    lengths: Tensor | None,
    other: Tensor,
    other_lengths: Tensor | None,
    config: ObjectiveConfig,
    *,
    renditions: Tensor | None = None,
    swaps: bool = True,
) -> dict[str, Tensor]:
    """All terms for log-mels x [B, T, M] and another excerpt of each player, [B, T', M].

    Each term is a scalar; `loss` is their weighted sum and `elbo_loss` that of the terms of
    equation 2; `swaps` adds the swap terms and back-translation. Without `config.other_excerpt` v
    is taken from x itself. `renditions` [B, T, M] are the same phrases, played by other players or
    the same: if given, z is computed from them in place of x.
    """
    floor = model.config.floor
    if model.training and config.new_player:
        x, other = _as_new_players(x, other, config.new_player, floor)
    played = x if renditions is None else renditions
    own_v = model.global_encoder(x, lengths)
    other_v = model.global_encoder(other, other_lengths)
    q_v = other_v if config.other_excerpt else own_v
    seen = played
    if model.training and config.perturb:
        seen = perturbed(played, config.perturb, floor)
    q_z = model.local_encoder(seen, q_v.mean, lengths)
    v, z = q_v.sample(), _draw(model, q_z)

    decode_swaps = swaps and bool(config.z_gswap or config.v_gswap or config.back_translation)
    partner = torch.randperm(len(x), device=x.device)
    if decode_swaps:
        twice = None if lengths is None else torch.cat([lengths, lengths])
        both = model.decoder(torch.cat([z, z]), torch.cat([v, v[partner]]), twice)
        rebuilt, swapped = both.chunk(2)
    else:
        rebuilt = swapped = model.decoder(z, v, lengths)

    def reduce(values: Tensor, of: Tensor | None = lengths) -> Tensor:
        return per_clip(values, of, config.reduction)

    terms = {
        "reconstruction": reduce((rebuilt - x).square()),
        "kl_v": reduce(kl_standard(q_v)),
    }
    total = terms["reconstruction"] + config.kl_v * terms["kl_v"]
    if not model.config.z_levels:
        recurrent = config.prior == "recurrent"
        terms["kl_z"] = reduce(kl(q_z, model.prior(z)) if recurrent else kl_standard(q_z))
        later = config.kl_z if config.kl_z_swaps is None else config.kl_z_swaps
        total = total + (later if swaps else config.kl_z) * terms["kl_z"]
    terms["elbo_loss"] = total
    if config.similarity:
        terms["similarity"] = nt_xent(
            gathered(own_v.mean), gathered(other_v.mean), config.temperature
        )
        total = total + config.similarity * terms["similarity"]
    if decode_swaps and config.z_gswap:
        again = model.local_encoder(swapped, q_v.mean, lengths)
        terms["z_gswap"] = reduce(_in_spreads(again.mean, q_z.mean, (0, 1)))
        total = total + config.z_gswap * terms["z_gswap"]
    if decode_swaps and config.v_gswap:
        with frozen(model.global_encoder):
            again = model.global_encoder(swapped, lengths)
        terms["v_gswap"] = reduce(_in_spreads(again.mean, q_v.mean[partner], (0,)))
        total = total + config.v_gswap * terms["v_gswap"]
    if decode_swaps and config.back_translation:
        returned = model.decoder(
            model.local_encoder(swapped.detach(), q_v.mean, lengths).mean, v, lengths
        )
        terms["back_translation"] = reduce((returned - x).square())
        total = total + config.back_translation * terms["back_translation"]
    if config.adversary and model.adversary is not None:
        terms["adversary"] = _adversary(model.adversary, q_z, q_v, lengths, config.adversary)
        total = total + terms["adversary"]
    return {"loss": total, **terms}


def prior_losses(model: Dsae, x: Tensor, lengths: Tensor | None) -> dict[str, Tensor]:
    """The last stage: the transition prior is fitted to the finished model's posteriors of z."""
    with torch.no_grad():
        q_z = model.encode(x, lengths)[1]
    z = q_z.sample()
    loss = per_clip(kl(q_z, model.prior(z)), lengths, "mean")
    return {"loss": loss, "elbo_loss": loss, "kl_z": loss}


def _draw(model: Dsae, q_z: Gaussian) -> Tensor:
    # A quantised value is decoded as it is: its variance stands for what rounding took away.
    return q_z.mean if model.config.z_levels else q_z.sample()


def _as_new_players(x: Tensor, other: Tensor, share: float, floor: float) -> tuple[Tensor, Tensor]:
    """Both excerpts of a share of the players through one more filter: players nobody recorded."""
    gains = random_filters(len(x), x.shape[2], x.device)
    gains = gains * (torch.rand(len(x), 1, device=x.device) < share)
    return filtered(x, gains, floor), filtered(other, gains, floor)


def _in_spreads(found: Tensor, wanted: Tensor, over: tuple[int, ...]) -> Tensor:
    """Squared errors in units of the wanted latents' variance over a batch. No gradient to them."""
    wanted = wanted.detach()
    return (found - wanted).square() / wanted.var(over, unbiased=False).clamp(min=SPREAD)


def _adversary(
    adversary: nn.Module, q_z: Gaussian, q_v: Gaussian, lengths: Tensor | None, weight: float
) -> Tensor:
    """The error of v as predicted from the mean and deviation of z, whose gradient is reversed."""
    mean = masked_mean(q_z.mean, lengths)
    deviation = (masked_mean(q_z.mean.square(), lengths) - mean.square() + 1e-4).sqrt()
    statistics = Reversed.apply(torch.cat([mean, deviation], dim=-1), weight)
    return _in_spreads(adversary(statistics), q_v.mean, (0,)).mean()


class Reversed(torch.autograd.Function):
    """The identity, whose gradient is reversed and weighted (Ganin and Lempitsky, ICML 2015)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradient, None


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Gradients pass the module to its input, but none reaches its parameters."""
    trained = [p for p in module.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
