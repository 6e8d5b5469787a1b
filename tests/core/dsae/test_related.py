"""The objectives of related methods, against closed forms, loops and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from core import registry
from core.checkpoints.card import export_run
from core.dsae import related
from core.dsae.config import ModelConfig, ObjectiveConfig
from core.dsae.latents import load
from core.dsae.layers import Gaussian
from core.dsae.model import Dsae
from core.training.engine import train
from core.training.run import Run
from tests.core.training.resuming import whole_and_parted

VARIANTS = tuple(related.LOSSES)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Dsae(ModelConfig(v_size=4, z_size=3, hidden=8)).eval()


@pytest.fixture
def clips():
    torch.manual_seed(1)
    return torch.randn(3, 45, 80) - 3


@pytest.fixture
def no_gradient():
    with torch.no_grad():
        yield


@pytest.fixture
def no_noise(monkeypatch):
    monkeypatch.setattr("core.dsae.layers.Gaussian.sample", lambda self: self.mean)


def config(variant, **changes):
    return ObjectiveConfig(variant=variant, **changes)


def test_fhvae_s_terms_are_those_of_its_segments_one_by_one(model, clips, no_noise, no_gradient):
    found = related.fhvae(model, clips, None, config("fhvae", segment=20, kl_v=0.5))
    segments = clips[:, :40].reshape(3, 2, 20, 80)
    error, kl_v, unlike, posteriors = [], [], [], []
    q = [[model.global_encoder(segments[b, s][None]) for s in range(2)] for b in range(3)]
    # The mean's posterior, by multiplying Gaussians: N(0, 1) and N(mean, 0.25) twice.
    centres = [sum(one.mean[0] / 0.25 for one in clip) / (1 + 2 / 0.25) for clip in q]
    for b in range(3):
        for s in range(2):
            one = q[b][s]
            q_z = model.local(segments[b, s][None], one, one.mean)
            posteriors.append(q_z)
            error.append((model.decoder(q_z.mean, one.mean) - segments[b, s]).square().mean())
            mine = Normal(one.mean[0], (0.5 * one.logvar[0]).exp())
            kl_v.append(kl_divergence(mine, Normal(centres[b], 0.5)).mean())
            near = [
                MultivariateNormal(centre, 0.25 * torch.eye(4)).log_prob(one.mean[0])
                for centre in centres
            ]
            unlike.append(torch.logsumexp(torch.stack(near), 0) - near[b])
    assert found["reconstruction"] == pytest.approx(float(torch.stack(error).mean()), rel=1e-4)
    of_centres = torch.stack(centres).square().mean() / 2
    assert found["kl_v"] == pytest.approx(float(torch.stack(kl_v).mean() + of_centres), rel=1e-4)
    assert found["discriminative"] == pytest.approx(float(torch.stack(unlike).mean()) / 4, rel=1e-3)
    means = torch.cat([one.mean for one in posteriors]).reshape(3, 40, 3)
    assert found["kl_z"].isfinite() and model.prior(means).mean.shape == means.shape
    bound = found["reconstruction"] + found["kl_z"] + 0.5 * found["kl_v"]
    assert found["elbo_loss"] == pytest.approx(float(bound), rel=1e-5)
    assert found["loss"] == pytest.approx(float(bound + 10 * found["discriminative"]), rel=1e-5)


def test_fhvae_leaves_out_what_is_not_of_the_clip(model, clips, no_noise, no_gradient):
    lengths = torch.tensor([45, 20, 45])
    changed = clips.clone()
    changed[1, 20:] = 7.0
    settings = config("fhvae", segment=20)
    for one, other in zip(
        related.fhvae(model, clips, lengths, settings).values(),
        related.fhvae(model, changed, lengths, settings).values(),
        strict=True,
    ):
        assert one == pytest.approx(float(other), rel=1e-4)


def test_the_discrepancy_is_that_of_its_definition(no_noise):
    torch.manual_seed(2)
    a, b = torch.randn(2, 5, 3), 1 + torch.randn(2, 5, 3)

    def kernel(x, y):
        return sum(6 * s / (6 * s + float((x - y).square().sum())) for s in related.SCALES)

    for k, found in enumerate(related.mmd(a, b)):
        within = sum(
            kernel(part[k, i], part[k, j]) / 20
            for part in (a, b)
            for i in range(5)
            for j in range(5)
            if i != j
        )
        across = sum(kernel(a[k, i], b[k, j]) / 25 for i in range(5) for j in range(5))
        assert float(found) == pytest.approx(within - 2 * across, abs=1e-5)
    assert related.mmd(a[:, :1], b[:, :1]).tolist() == [0, 0]


def test_the_discrepancy_of_one_distribution_is_zero_on_average():
    torch.manual_seed(3)
    same = related.mmd(*torch.randn(2, 400, 8, 4))
    other = related.mmd(torch.randn(400, 8, 4), 1.5 * torch.randn(400, 8, 4) + 0.5)
    assert abs(float(same.mean())) < 3 * float(same.std()) / 20
    assert float(other.mean()) > 10 * abs(float(same.mean()))


def test_shared_information_is_nothing_or_all_of_a_batch_where_it_should_be():
    rows = torch.zeros(6, 2, dtype=torch.long)
    wide = Gaussian(torch.zeros(6, 2), torch.zeros(6, 2))
    z = Gaussian(torch.zeros(6, 4, 3), torch.zeros(6, 4, 3))
    assert float(related.shared_information(wide, z, rows)) == pytest.approx(0, abs=1e-5)
    apart = torch.arange(6.0)
    v = Gaussian(100 * apart[:, None].expand(6, 2), torch.zeros(6, 2))
    assert float(related.shared_information(v, z, rows)) == pytest.approx(0, abs=1e-4)
    apart_z = Gaussian(100 * apart[:, None, None].expand(6, 4, 3), torch.zeros(6, 4, 3))
    found = related.shared_information(v, apart_z, rows)
    assert float(found) == pytest.approx(math.log(6), abs=1e-4)


def test_densities_are_those_of_torch():
    torch.manual_seed(4)
    x, mean, logvar = torch.randn(3, 5, 4)
    expected = Normal(mean, (0.5 * logvar).exp()).log_prob(x).sum(-1)
    assert torch.allclose(related.log_density(x, mean, logvar), expected, atol=1e-5)


def test_what_a_line_does_not_explain_is_as_by_scikit_learn(monkeypatch):
    monkeypatch.setattr(related, "RIDGE", 1e-9)
    torch.manual_seed(5)
    z = torch.randn(60, 3)
    target = z @ torch.tensor([1.0, -2.0, 0.5]) + torch.randn(60) + 4
    fitted = LinearRegression().fit(z.numpy(), target.numpy())
    found = float(related.unexplained(z, target))
    assert found == pytest.approx(1 - fitted.score(z.numpy(), target.numpy()), abs=1e-4)


def test_halves_are_of_the_clip_alone(clips):
    lengths = torch.tensor([45, 20, 1])
    (first, ends), (second, after) = related.halves(clips, lengths)
    assert ends.tolist() == [22, 10, 1] and after.tolist() == [23, 10, 1]
    assert torch.equal(first[1, :10], clips[1, :10])
    assert torch.equal(second[1, :10], clips[1, 10:20])
    assert torch.equal(second[0, :23], clips[0, 22:45])


def test_frames_are_drawn_from_the_clip_alone(clips):
    torch.manual_seed(6)
    rows = related.random_frames(clips, torch.tensor([45, 3, 1]))
    assert (rows < torch.tensor([45, 3, 1])[:, None]).all() and (rows >= 0).all()
    assert int(rows[0].max()) > 22


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("lengths", [None, torch.tensor([45, 30, 12])])
def test_every_term_has_a_gradient_and_its_weight(model, clips, variant, lengths):
    model.train()
    torch.manual_seed(7)
    found = related.LOSSES[variant](model, clips, lengths, config(variant))
    assert all(term.dim() == 0 and term.isfinite() for term in found.values())
    found["loss"].backward()
    for part in (model.global_encoder, model.local_encoder, model.decoder, model.prior):
        assert any(p.grad is not None and p.grad.any() for p in part.parameters())


def settings(store, variant, **changes):
    values = {
        "system": "dsae",
        "model": {"v_size": 4, "z_size": 4, "hidden": 8},
        "objective": {"variant": variant},
        "data": {"store": str(store)},
        "training": {"steps": 6, "batch_size": 4, "validate_every": 3, "checkpoint_every": 3,
                     "log_every": 1, **changes},
    }  # fmt: skip
    return registry.parse(values)


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_trains_and_its_checkpoint_swaps(variant, melodies, tmp_path):
    wanted = settings(melodies, variant)
    run = Run.create(tmp_path / "run", wanted.model_dump())
    train(registry.task(wanted), run, progress=False)
    figures = list(run.metrics("validation"))
    assert {"f1_global", "active_v", "criterion"} <= set(figures[-1])
    assert all(np.isfinite(value) for value in figures[-1].values() if isinstance(value, float))
    export_run(run.path, tmp_path / "made")
    found = load(tmp_path / "made")
    one = found.encode(np.random.default_rng(0).normal(-3, 1, (30, 80)).astype("float32"))
    assert found.swap(one, one).shape == (30, 80)
    card = (tmp_path / "made" / "README.md").read_text()
    assert "Luo" not in card.split("```")[0]


def test_a_stopped_run_resumes_to_the_same_weights(melodies, tmp_path):
    whole, parted = whole_and_parted(settings(melodies, "c-dsvae"), tmp_path, 3)
    one, other = (run.load("last")[0] for run in (whole, parted))
    assert all(torch.equal(one[name], other[name]) for name in one)
