"""The networks: sizes as published, a prior that only looks back, a snapshot from the start."""

import pytest
import torch

from core.dsae.config import DsaeConfig, ModelConfig
from core.dsae.model import Dsae
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
    from core.dsae.model import Gaussian

    monkeypatch.setattr(Gaussian, "sample", lambda self: self.mean)
    model = Dsae(ModelConfig())
    with torch.no_grad():
        z = model.prior.sample(2, 9)
        told = model.prior(z).mean
    torch.testing.assert_close(z[:, 1:], told[:, 1:])


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
