"""The losses for players against their definitions."""

import pytest
import torch
from torch import nn

from core.dsae import player_objective
from core.dsae.config import ModelConfig, ObjectiveConfig
from core.dsae.model import Dsae
from core.dsae.player_objective import Reversed, frozen, losses

PARTS = {"global_encoder": "pooling", "posterior": "context", "decoder": "film", "floor": -12.0}


def build(**changes):
    torch.manual_seed(0)
    return Dsae(ModelConfig(**PARTS, v_size=6, z_size=5, hidden=12, **changes))


def config(**changes):
    return ObjectiveConfig(variant="ts-dsae-players", **changes)


@pytest.fixture
def excerpts():
    torch.manual_seed(3)
    return torch.randn(6, 20, 80) - 3, torch.randn(6, 31, 80) - 3


@pytest.fixture
def no_noise(monkeypatch):
    """Samples are means, and partners the next clips."""
    monkeypatch.setattr("core.dsae.layers.Gaussian.sample", lambda self: self.mean)
    monkeypatch.setattr(torch, "randperm", lambda n, **_: torch.arange(n).roll(-1))


def spread(latents, over):
    """The variance that errors are divided by."""
    return latents.var(over, correction=0).clamp(min=player_objective.SPREAD)


def evaluate(model, x, other, settings):
    return losses(model.eval(), x, None, other, None, settings)


def test_terms_are_those_of_their_definitions(excerpts, no_noise):
    model, (x, other) = build(), excerpts
    found = evaluate(model, x, other, config(kl_z=2.0, kl_v=0.02, z_gswap=0.5, v_gswap=3.0))
    q_v, own = model.global_encoder(other), model.global_encoder(x)
    q_z = model.local_encoder(x, q_v.mean)
    partner = [1, 2, 3, 4, 5, 0]
    swapped = model.decoder(q_z.mean, q_v.mean[partner])

    def standard(q):
        ones = torch.distributions.Normal(0.0, 1.0)
        mine = torch.distributions.Normal(q.mean, (0.5 * q.logvar).exp())
        return torch.distributions.kl_divergence(mine, ones).mean()

    again_z = model.local_encoder(swapped, q_v.mean).mean
    again_v = model.global_encoder(swapped).mean
    back = model.decoder(again_z, q_v.mean)
    cosine = nn.functional.cosine_similarity
    both = torch.cat([own.mean, other_v := q_v.mean])
    similar = cosine(both[:, None], both[None], dim=-1) / 0.2
    similar.fill_diagonal_(-torch.inf)
    wanted = {
        "reconstruction": (model.decoder(q_z.mean, other_v) - x).square().mean(),
        "kl_v": standard(q_v),
        "kl_z": standard(q_z),
        "similarity": nn.functional.cross_entropy(similar, torch.arange(12).roll(6)),
        "z_gswap": ((again_z - q_z.mean).square() / spread(q_z.mean, (0, 1))).mean(),
        "v_gswap": ((again_v - q_v.mean[partner]).square() / spread(q_v.mean, 0)).mean(),
        "back_translation": (back - x).square().mean(),
    }
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, msg=name)
    weights = {"kl_v": 0.02, "kl_z": 2.0, "similarity": 0.1, "z_gswap": 0.5, "v_gswap": 3.0}
    total = sum(weights.get(name, 1.0) * value for name, value in wanted.items())
    torch.testing.assert_close(found["loss"], total)
    assert set(found) == {*wanted, "elbo_loss", "loss"}


def test_without_the_other_excerpt_v_is_that_of_the_clip(excerpts, no_noise):
    model, (x, other) = build(), excerpts
    found = evaluate(model, x, other, config(other_excerpt=False))
    q_v = model.global_encoder(x)
    rebuilt = model.decoder(model.local_encoder(x, q_v.mean).mean, q_v.mean)
    torch.testing.assert_close(found["reconstruction"], (rebuilt - x).square().mean())


def test_z_may_be_that_of_another_rendition(excerpts, no_noise):
    model, (x, other) = build(), excerpts
    played = torch.randn_like(x) - 3
    found = losses(model.eval(), x, None, other, None, config(), renditions=played, swaps=False)
    q_v = model.global_encoder(other)
    rebuilt = model.decoder(model.local_encoder(played, q_v.mean).mean, q_v.mean)
    torch.testing.assert_close(found["reconstruction"], (rebuilt - x).square().mean())


def test_parts_can_be_left_out(excerpts):
    model, (x, other) = build(), excerpts
    none = config(similarity=0, z_gswap=0, v_gswap=0, back_translation=0)
    assert set(evaluate(model, x, other, none)) == {
        "reconstruction", "kl_v", "kl_z", "elbo_loss", "loss"
    }  # fmt: skip
    without = losses(model, x, None, other, None, config(), swaps=False)
    assert set(without) == {"reconstruction", "kl_v", "kl_z", "similarity", "elbo_loss", "loss"}
    quantised = build(z_levels=5)
    assert "kl_z" not in evaluate(quantised, x, other, none)


def test_z_may_be_narrower_in_the_stage_of_swaps(excerpts, no_noise):
    model, (x, other) = build(), excerpts
    settings = config(kl_z=0.5, kl_z_swaps=2.0, kl_v=0, similarity=0)
    for swaps, weight in ((False, 0.5), (True, 2.0)):
        found = losses(model.eval(), x, None, other, None, settings, swaps=swaps)
        wanted = found["reconstruction"] + weight * found["kl_z"]
        torch.testing.assert_close(found["elbo_loss"], wanted)


def test_padding_changes_nothing(excerpts, no_noise):
    model, (x, other) = build(), excerpts
    padded = torch.cat([x, torch.full((6, 7, 80), 5.0)], 1)
    more = torch.cat([other, torch.full((6, 3, 80), 5.0)], 1)
    settings = config()
    wanted = evaluate(model, x, other, settings)
    lengths, others = torch.full((6,), 20), torch.full((6,), 31)
    found = losses(model.eval(), padded, lengths, more, others, settings)
    for name in set(wanted) - {"z_gswap", "loss"}:  # a spread is that of all frames
        torch.testing.assert_close(found[name], wanted[name], msg=name)


def test_the_swap_of_v_trains_the_decoder_and_not_the_encoder_that_judges(excerpts):
    model, (x, other) = build(), excerpts
    only = {"similarity": 0, "z_gswap": 0, "back_translation": 0}
    terms = losses(model.eval(), x, None, other, None, config(**only))
    model.zero_grad()
    terms["v_gswap"].backward()
    reached = [p.grad is not None and bool(p.grad.any()) for p in model.decoder.parameters()]
    assert all(reached)
    # The global encoder has a gradient by the v that it gives the decoder, but none by judging:
    with_judge = [p.grad.clone() for p in model.global_encoder.parameters() if p.grad is not None]
    model.zero_grad()
    torch.manual_seed(0)
    with frozen(model.global_encoder):
        model.global_encoder(model.decoder(torch.randn(6, 20, 5), torch.randn(6, 6))).mean.sum()
    assert with_judge and all(p.grad is None for p in model.global_encoder.parameters())
    assert all(p.requires_grad for p in model.global_encoder.parameters())


def test_the_swap_that_is_translated_back_is_detached(excerpts):
    """Its error must not make swaps easy to encode: it reaches the decoder by the way back only."""
    model, (x, other) = build(), excerpts
    seen = []
    original = model.local_encoder.forward
    model.local_encoder.forward = lambda y, *rest: (seen.append(y), original(y, *rest))[1]
    evaluate(model, x, other, config())
    assert [y.requires_grad for y in seen] == [False, True, False]


def test_the_adversary_learns_and_z_is_pushed_the_other_way(excerpts, no_noise):
    model, (x, other) = build(adversary=True), excerpts
    off = {"similarity": 0, "z_gswap": 0, "v_gswap": 0, "back_translation": 0}
    terms = losses(model.eval(), x, None, other, None, config(adversary=0.5, **off))
    q_v = model.global_encoder(other).mean
    z = model.local_encoder(x, q_v).mean
    mean, deviation = z.mean(1), (z.var(1, correction=0) + 1e-4).sqrt()
    guess = model.adversary(torch.cat([mean, deviation], -1))
    wanted = ((guess - q_v).square() / spread(q_v, 0)).mean()
    torch.testing.assert_close(terms["adversary"], wanted)

    parameters = [*model.adversary.parameters(), *model.local_encoder.frames.parameters()]
    straight = torch.autograd.grad(
        ((guess - q_v.detach()).square() / spread(q_v.detach(), 0)).mean(),
        parameters,
        retain_graph=True,
    )
    found = torch.autograd.grad(terms["adversary"], parameters)
    count = len(list(model.adversary.parameters()))
    for n, (one, plain) in enumerate(zip(found, straight, strict=True)):
        sign = 1.0 if n < count else -0.5
        torch.testing.assert_close(one, sign * plain, rtol=1e-4, atol=1e-6)


def test_reversing_is_the_identity_forwards():
    x = torch.randn(3, requires_grad=True)
    y = Reversed.apply(x, 2.0)
    assert torch.equal(y, x)
    y.sum().backward()
    assert torch.equal(x.grad, torch.full((3,), -2.0))


def test_the_last_stage_trains_the_prior_alone():
    model, x = build(), torch.randn(4, 20, 80)
    terms = player_objective.prior_losses(model, x, None)
    terms["loss"].backward()
    with_gradient = {
        name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None
    }
    assert with_gradient == {"prior"}
