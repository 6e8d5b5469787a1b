"""The losses against distributions of PyTorch, a plain transcription, and brute force."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from core.dsae import objective
from core.dsae.config import ModelConfig, ObjectiveConfig
from core.dsae.layers import Gaussian
from core.dsae.model import Dsae
from tests.core.dsae.reference import ReferenceStep

B, T, M = 6, 40, 80


@pytest.fixture
def x():
    return torch.randn(B, T, M, generator=torch.Generator().manual_seed(1)) * 3


def model(**changes):
    torch.manual_seed(0)
    made = Dsae(ModelConfig(hidden=24, **changes))
    for parameter in made.snapshot.parameters():  # a snapshot that differs, as after stage 1
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    if made.local_encoder.without_v:  # that something was learnt
        made.local_encoder.without_v.slope.copy_(torch.randn(16, 16))
    return made.eval()


def without_noise(monkeypatch):
    monkeypatch.setattr(Gaussian, "sample", lambda self: self.mean)


def all_losses(made, x, lengths=None, config=None, **stage):
    stage = {"informed": True, "swaps": True, **stage}
    return objective.losses(made, x, lengths, config or ObjectiveConfig(), **stage)


def test_kl_is_that_of_torch_distributions():
    q, p = (Gaussian(torch.randn(5, 7), torch.randn(5, 7)) for _ in range(2))
    normal = [Normal(g.mean, torch.exp(0.5 * g.logvar)) for g in (q, p)]
    torch.testing.assert_close(objective.kl(q, p), kl_divergence(*normal))
    standard = Normal(torch.zeros(5, 7), torch.ones(5, 7))
    torch.testing.assert_close(objective.kl_standard(q), kl_divergence(normal[0], standard))


def test_all_terms_and_gradients_equal_the_plain_transcription(x, monkeypatch):
    without_noise(monkeypatch)
    made = model()
    torch.manual_seed(5)
    terms = all_losses(made, x)
    terms["loss"].backward()
    ours = {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}

    made.zero_grad()
    torch.manual_seed(5)
    pairs = torch.randperm(B), torch.randperm(B)
    reference = ReferenceStep(made, noise=0.0)(x, *pairs)
    reference["loss"].backward()
    for name, value in reference.items():
        torch.testing.assert_close(terms[name], value, msg=lambda m, n=name: f"{n}: {m}")
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, made.get_parameter(name).grad, rtol=1e-3, atol=1e-6)


def test_the_elbo_is_equation_2_by_hand(x, monkeypatch):
    without_noise(monkeypatch)
    made = model()
    with torch.no_grad():
        terms = all_losses(
            made, x, config=ObjectiveConfig(reduction="elbo"), informed=False, swaps=False
        )
        by_hand = 0.0
        for clip in x:
            q_v, q_z = made.encode(clip[None])
            decoded = made.decoder(q_z.mean, q_v.mean)
            prior = made.prior(q_z.mean)
            by_hand += 0.5 * ((decoded - clip) ** 2).sum()
            by_hand += kl_divergence(_normal(q_z), _normal(prior)).sum()
            by_hand += kl_divergence(_normal(q_v), Normal(0.0, 1.0)).sum()
    torch.testing.assert_close(terms["loss"], by_hand / B, rtol=1e-4, atol=1e-3)


def _normal(gaussian):
    return Normal(gaussian.mean, torch.exp(0.5 * gaussian.logvar))


def test_the_mean_reduction_weighs_the_global_kl_627_times_harder(x, monkeypatch):
    """T F / (2 Dv) at the paper's sizes, which is why the plain DSAE collapses."""
    without_noise(monkeypatch)
    made, long = model(), torch.randn(2, 251, M)
    stage = {"informed": False, "swaps": False}
    with torch.no_grad():
        mean = all_losses(made, long, config=ObjectiveConfig(), **stage)
        elbo = all_losses(made, long, config=ObjectiveConfig(reduction="elbo"), **stage)
    scale = elbo["reconstruction"] / mean["reconstruction"]
    assert float(scale * mean["kl_v"] / elbo["kl_v"]) == pytest.approx(627.5, rel=1e-3)


FORMS = [
    {},
    {"posterior": "full"},
    {"decoder": "recurrent"},
    {"decoder": "convolutional"},
    {"decorrelate": True},
    {"posterior": "full", "decorrelate": True},
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reduction", ["mean", "elbo"])
def test_padding_changes_nothing(form, reduction, monkeypatch):
    """Clips of different lengths in one padded batch score as each would alone."""
    without_noise(monkeypatch)
    made, config = model(**form), ObjectiveConfig(reduction=reduction)
    lengths = torch.tensor([40, 25, 33])
    padded = torch.full((3, 40, M), -36.0)
    clips = [torch.randn(n, M) for n in lengths]
    for row, clip in zip(padded, clips, strict=True):
        row[: len(clip)] = clip

    # Partners fixed, so that each clip's swaps can be rebuilt one by one.
    partner = torch.tensor([1, 2, 0])
    monkeypatch.setattr(torch, "randperm", lambda n, device=None: partner)
    with torch.no_grad():
        together = all_losses(made, padded, lengths, config)
        alone = _one_by_one(made, clips, partner, config)
    for name, value in alone.items():
        torch.testing.assert_close(
            together[name], value, rtol=1e-4, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
        )


def _one_by_one(made, clips, partner, config):
    """Each clip and its two swaps without any padding; every term averaged over the clips."""

    def reduce(values):
        return values.sum() if config.reduction == "elbo" else values.mean()

    posteriors = [made.encode(clip[None]) for clip in clips]
    half = 0.5 if config.reduction == "elbo" else 1.0
    sums = {}
    for i, j in enumerate(partner.tolist()):
        (v_i, z_i), (v_j, z_j) = posteriors[i], posteriors[j]
        by_global = made.encode(made.decoder(z_i.mean, v_j.mean))
        by_local = made.encode(made.decoder(z_j.mean, v_i.mean))
        decoded = made.decoder(z_i.mean, v_i.mean)
        kl = objective.kl
        terms = {
            "reconstruction": half * reduce((decoded - clips[i]) ** 2),
            "kl_z": reduce(kl(z_i, made.prior(z_i.mean))),
            "kl_v": reduce(kl(v_i, made.snapshot(clips[i][None]))),
            "z_gswap": reduce(kl(by_global[1], z_i)),
            "v_gswap": reduce(kl(by_global[0], v_j)),
            "v_lswap": reduce(kl(by_local[0], v_i)),
            "z_lswap": reduce(kl(by_local[1], z_j)),
        }
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value / len(clips)
    return sums


def test_swaps_of_a_clip_with_itself_cost_nothing_when_reconstruction_is_perfect(x, monkeypatch):
    """A decoder that returns the input makes every re-encoded posterior the original's."""
    without_noise(monkeypatch)
    made = model()
    monkeypatch.setattr(torch, "randperm", lambda n, device=None: torch.arange(n))
    made.decoder.forward = lambda z, v, lengths: torch.cat([x] * (len(z) // len(x)))
    terms = all_losses(made, x)
    for name in objective.SWAP_TERMS:
        assert float(terms[name]) == pytest.approx(0.0, abs=1e-6)


def test_weights_scale_their_terms(x):
    made = model()
    config = ObjectiveConfig(kl_z=0.5, kl_v=0.25, z_gswap=2, v_gswap=3, v_lswap=0, z_lswap=0.1)
    terms = all_losses(made, x, config=config)
    expected = terms["reconstruction"] + sum(
        getattr(config, name) * terms[name] for name in ("kl_z", "kl_v", *objective.SWAP_TERMS)
    )
    torch.testing.assert_close(terms["loss"], expected)


def test_the_regression_from_v_to_z_is_learnt_in_training_only_and_from_originals_only(x):
    made = model(decorrelate=True)
    regression = made.local_encoder.without_v
    all_losses(made, x)
    assert not regression.seen
    made.train()
    regression.slope.zero_()
    with torch.no_grad():
        all_losses(made, x)
        assert float(regression.seen) == 1
        q_v = made.global_encoder(x)
        raw = made.local_encoder.head(made.local_encoder.frames(x)).mean.mean(1)
    torch.testing.assert_close(regression.v, q_v.mean.mean(0))
    torch.testing.assert_close(regression.z, raw.mean(0))


def test_z_is_freed_of_the_mean_of_v_and_not_of_a_draw_of_it(x, monkeypatch):
    """Else the noise in the dimensions of v that are not in use would come into z."""
    made, seen = model(decorrelate=True), []
    regression = made.local_encoder.without_v.forward
    monkeypatch.setattr(
        made.local_encoder.without_v, "forward", lambda v: seen.append(v) or regression(v)
    )
    all_losses(made, x)
    assert torch.equal(seen[0], made.global_encoder(x).mean)
    first = len(seen)  # before and after the batch is learnt from, and of the re-encoded swaps
    again = all_losses(made, x)
    assert torch.equal(seen[0], seen[first]) and "loss" in again


def test_the_full_posterior_is_given_draws_of_v(x, monkeypatch):
    made, seen = model(posterior="full"), []
    forward = made.local_encoder.forward
    monkeypatch.setattr(
        made.local_encoder, "forward", lambda x, v, *rest: seen.append(v) or forward(x, v, *rest)
    )
    all_losses(made, x)
    assert not torch.equal(seen[0], made.global_encoder(x).mean)
