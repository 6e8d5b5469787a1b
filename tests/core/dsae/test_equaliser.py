"""The equaliser of v: least squares by hand, and what it gives back to a reconstruction."""

import numpy as np
import pytest
import torch
from scipy.fft import dct

from core.dsae import equaliser
from core.dsae.config import DsaeConfig, ModelConfig
from core.dsae.latents import Disentangler
from core.dsae.model import Dsae

FLOOR = -12.0
PARTS = {"global_encoder": "pooling", "posterior": "context", "decoder": "film", "floor": FLOOR}


def test_the_functions_are_those_of_the_cosine_transform():
    found = equaliser.basis(7, 80, torch.device("cpu")).numpy()
    np.testing.assert_allclose(
        found, 80**0.5 * dct(np.eye(80), norm="ortho", axis=0)[:7], atol=1e-5
    )


def test_a_smooth_filter_is_found_and_undone():
    torch.manual_seed(0)
    x = torch.randn(2, 4000, 80)
    gains = torch.stack([torch.cos(torch.linspace(0, 3.0, 80)), torch.linspace(-1, 1, 80)])
    found = equaliser.fit(x + gains[:, None], x, None, FLOOR, 80)
    torch.testing.assert_close(
        equaliser.apply(x, found, FLOOR), x + gains[:, None], atol=0.02, rtol=0
    )


def test_silence_and_quiet_frames_do_not_count():
    x = torch.full((1, 300, 80), FLOOR)
    x[:, :200] = 0.0  # what plays
    x[:, 200:250] = -8.0  # its reverb
    rebuilt = x - 5.0  # wrong everywhere
    rebuilt[:, :200] = -1.0
    found = equaliser.fit(x, rebuilt, None, FLOOR, 80) @ equaliser.basis(80, 80, x.device)
    torch.testing.assert_close(found, torch.full((1, 80), 200 / 220))
    assert torch.equal(equaliser.apply(x, found, FLOOR)[:, 250:], x[:, 250:])


def test_padding_does_not_count():
    x, rebuilt = torch.randn(2, 60, 80), torch.randn(2, 60, 80)
    lengths = torch.tensor([60, 25])
    found = equaliser.fit(x, rebuilt, lengths, FLOOR, 10)
    alone = equaliser.fit(x[1:, :25], rebuilt[1:, :25], None, FLOOR, 10)
    torch.testing.assert_close(found[1:], alone)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Dsae(ModelConfig(**PARTS, v_size=6, z_size=5, hidden=12, equaliser=9)).eval()


def test_it_is_part_of_v_and_brings_the_reconstruction_nearer(model):
    x = torch.randn(3, 400, 80) - 2
    with torch.no_grad():
        q_v, q_z = model.encode(x)
        assert q_v.mean.shape == q_v.logvar.shape == (3, 15)
        plain = model.decoder(q_z.mean, q_v.mean[:, :6])
        whole = model.decoder(q_z.mean, q_v.mean)
    basis = equaliser.basis(9, 80, x.device)
    before, after = ((x - y).mean(1) @ basis.T / 80 for y in (plain, whole))
    assert after.abs().max() < 0.2 * before.abs().max()


def test_latents_of_long_clips_and_samples_have_it_too(model, monkeypatch):
    config = DsaeConfig.parse({"model": model.config.model_dump()})
    loaded = Disentangler(model, config, None)
    assert loaded.v_size == 15
    x = torch.randn(60, 80) - 2
    whole = loaded.encode(x)
    monkeypatch.setattr("core.dsae.latents.PIECE", 16)
    pieces = loaded.encode(x)
    torch.testing.assert_close(pieces.v, whole.v)
    torch.testing.assert_close(loaded.decode(pieces.v, pieces.z), loaded.decode(whole.v, whole.z))
    drawn = loaded.sample(0.5, seed=1)
    assert drawn.v.shape == (15,) and not drawn.v[6:].any() and drawn.v[:6].all()
