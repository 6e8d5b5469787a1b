"""The networks: sizes as published, a prior that only looks back, a snapshot from the start."""

import pytest
import torch

from core.checkpoints import checkpoint
from core.dsae.config import DsaeConfig, ModelConfig
from core.dsae.latents import load
from core.dsae.model import ConvolutionalDecoder, Dsae
from core.dsae.task import DsaeTask


@pytest.mark.parametrize(
    ("z_size", "form", "parameters"),
    [
        (8, {}, 47_120),
        (16, {}, 50_224),
        (32, {}, 56_432),
        (8, {"posterior": "full"}, 212_112),
        (16, {"posterior": "full"}, 215_472),
        (32, {"posterior": "full"}, 222_192),
        (8, {"decoder": "recurrent"}, 186_768),
        (16, {"decoder": "recurrent"}, 193_456),
        (32, {"decoder": "recurrent"}, 206_832),
    ],
)
def test_sizes_are_those_of_the_original(z_size, form, parameters):
    model = Dsae(ModelConfig(z_size=z_size, **form))
    snapshot = sum(p.numel() for p in model.snapshot.parameters())
    assert snapshot == 11_424
    assert sum(p.numel() for p in model.parameters()) - snapshot == parameters


def test_the_prior_of_a_frame_depends_on_earlier_frames_only():
    model = Dsae(ModelConfig())
    z = torch.randn(1, 12, 16)
    changed = z.clone()
    changed[:, 6:] += 1
    with torch.no_grad():
        before, after = model.prior(z), model.prior(changed)
    assert torch.equal(before.mean[:, :7], after.mean[:, :7])
    assert not torch.equal(before.mean[:, 7], after.mean[:, 7])
    assert torch.equal(before.mean[:, 0], torch.zeros(1, 16))
    assert torch.equal(before.logvar[:, 0], torch.zeros(1, 16))


def test_free_generation_feeds_the_prior_its_own_draws(monkeypatch):
    """With the noise off, each draw is the prior's mean given those before it."""
    from core.dsae.layers import Gaussian

    monkeypatch.setattr(Gaussian, "sample", lambda self: self.mean)
    model = Dsae(ModelConfig())
    with torch.no_grad():
        z = model.prior.sample(2, 9)
        expected = model.prior(z).mean
    torch.testing.assert_close(z[:, 1:], expected[:, 1:])


def task(variant):
    return DsaeTask(DsaeConfig.parse({"objective": {"variant": variant, "stage1_steps": 10}}))


def trained(model):
    names = {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad}
    return names


@pytest.mark.parametrize("variant", ["dsae-f", "ts-dsae-no-swaps", "ts-dsae"])
def test_stage_1_trains_the_global_encoder_and_the_decoder_only(variant):
    model, made = Dsae(ModelConfig()), task(variant)
    made.enter(model, made.stage(0), fresh=True)
    assert trained(model) == {"global_encoder", "decoder"}


@pytest.mark.parametrize(("variant", "also"), [("dsae-f", set()), ("ts-dsae", {"global_encoder"})])
def test_stage_2_frees_the_local_modules(variant, also):
    model, made = Dsae(ModelConfig()), task(variant)
    made.enter(model, made.stage(10), fresh=True)
    assert trained(model) == {"local_encoder", "prior", "decoder"} | also


def test_the_plain_dsae_trains_everything_at_once():
    model, made = Dsae(ModelConfig()), task("dsae")
    assert made.stage(0) == made.stage(10**6) == "joint"
    made.enter(model, "joint", fresh=True)
    assert trained(model) == {"global_encoder", "local_encoder", "prior", "decoder"}


def test_the_snapshot_is_taken_on_entering_stage_2_and_not_again_on_resuming_it():
    model, made = Dsae(ModelConfig()), task("ts-dsae")
    with torch.no_grad():
        model.global_encoder.head.mean.weight.add_(1.0)
    made.enter(model, "informed", fresh=False)
    assert not torch.equal(model.snapshot.head.mean.weight, model.global_encoder.head.mean.weight)
    made.enter(model, "informed", fresh=True)
    assert torch.equal(model.snapshot.head.mean.weight, model.global_encoder.head.mean.weight)


def test_a_stage_2_model_loads_strictly_into_a_fresh_one():
    model, made = Dsae(ModelConfig()), task("ts-dsae")
    made.enter(model, "informed", fresh=True)
    Dsae(ModelConfig()).load_state_dict(model.state_dict(), strict=True)


def test_a_model_without_our_parts_has_no_trace_of_them():
    """So that what was trained before them loads, and gives what it gave: q(z_t | x_t) by hand."""
    made = load("ts-dsae-dmelodies").model
    assert set(made.state_dict()) == set(Dsae(ModelConfig()).state_dict())
    x, local = torch.randn(1, 9, 80), made.local_encoder
    with torch.no_grad():
        z = made.encode(x)[1].mean
        h = x
        for layer in (local.frames[0], local.frames[2]):
            h = torch.tanh(h @ layer.weight.T + layer.bias)
        by_hand = h @ local.head.mean.weight.T + local.head.mean.bias
    torch.testing.assert_close(z, by_hand)
    assert local.without_v is None


def test_the_convolutional_decoder_sees_four_frames_each_way_and_no_more():
    torch.manual_seed(0)
    decoder, v = ConvolutionalDecoder(ModelConfig()), torch.randn(1, 16)
    z = torch.randn(1, 40, 16)
    changed = z.clone()
    changed[:, 20] += 1
    with torch.no_grad():
        moved = (decoder(z, v) - decoder(changed, v)).abs().amax(2)[0] > 1e-6
        by_v = (decoder(z, v) - decoder(z, v + 1)).abs().amax(2)[0] > 1e-6
    assert torch.nonzero(moved).flatten().tolist() == list(range(16, 25))
    assert by_v.all()


def free_of_v():
    """A model that has learnt what v tells of z."""
    torch.manual_seed(0)
    made = Dsae(ModelConfig(decoder="convolutional", decorrelate=True)).eval()
    x = torch.randn(64, 20, 80) + 2 * torch.randn(64, 1, 1)
    with torch.no_grad():
        q_v = made.global_encoder(x)
        raw = made.local_encoder.means(made.local_encoder(x, q_v.mean), q_v, None)
        made.local_encoder.without_v.fit(q_v.mean, raw)
    return made, x


def test_what_v_predicts_is_removed_from_z_equally_in_all_frames():
    made, x = free_of_v()
    raw = Dsae(ModelConfig(decoder="convolutional")).eval()
    raw.load_state_dict(made.state_dict(), strict=False)
    with torch.no_grad():
        (q_v, q_z), (_, before) = made.encode(x), raw.encode(x)
        taken = before.mean - q_z.mean
        expected = made.local_encoder.without_v(q_v.mean)
    torch.testing.assert_close(taken, expected[:, None].expand_as(taken), rtol=1e-4, atol=1e-5)
    assert torch.equal(q_z.logvar, before.logvar)
    assert float(expected.std()) > 0.01
    means = made.local_encoder.means(q_z, q_v, None)
    torch.testing.assert_close(means, before.mean.mean(1), rtol=1e-4, atol=1e-5)


def test_z_is_then_uncorrelated_with_v():
    made, x = free_of_v()
    with torch.no_grad():
        q_v, q_z = made.encode(x)
        raw = made.local_encoder.means(q_z, q_v, None)
    v = q_v.mean - q_v.mean.mean(0)
    direction = torch.linalg.svd(v, full_matrices=False).Vh[0]

    def slope(z):  # of z on v along the direction in which v varies most
        return float(((v @ direction) @ (z - z.mean(0)) / (v @ direction).square().sum()).norm())

    assert slope(q_z.mean.mean(1)) < 0.1 * slope(raw)


def test_a_checkpoint_keeps_the_regression_from_v_to_z(tmp_path):
    made, x = free_of_v()
    config = DsaeConfig.parse({"model": made.config.model_dump()})
    checkpoint.write(tmp_path / "kept", config.model_dump(), made.state_dict())
    again = load(tmp_path / "kept").encode(x[0])
    with torch.no_grad():
        q_v, q_z = made.encode(x[:1])
    torch.testing.assert_close(again.z, q_z.mean[0])
    torch.testing.assert_close(again.v, q_v.mean[0])


@pytest.mark.parametrize("posterior", ["factorised", "full"])
def test_what_is_removed_from_z_depends_on_the_mean_of_v_and_not_on_a_draw(posterior):
    """Else the noise of v's posterior, times the regression's slope, would be noise in z."""
    torch.manual_seed(0)
    model = Dsae(ModelConfig(hidden=8, posterior=posterior, decorrelate=True)).eval()
    x = torch.randn(2, 12, 80)
    q_v, local = model.global_encoder(x), model.local_encoder
    with torch.no_grad():
        apart = model.local(x, q_v, q_v.mean + 1.0).mean - model.local(x, q_v, q_v.mean).mean
        local.without_v.slope.fill_(50.0)
        steep = model.local(x, q_v, q_v.mean + 1.0).mean - model.local(x, q_v, q_v.mean).mean
        at_rest = model.encode(x)[1].mean
    assert (float(apart.abs().max()) > 0) == (posterior == "full")  # which looks at the draw
    torch.testing.assert_close(steep, apart, rtol=0, atol=1e-4)
    torch.testing.assert_close(at_rest, model.local(x, q_v, q_v.mean).mean)
