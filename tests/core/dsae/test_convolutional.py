"""Networks with context: padding changes nothing, pieces give the whole, values are quantised."""

import numpy as np
import pytest
import torch
from torch import nn

from core.checkpoints.checkpoint import Checkpoint
from core.dsae import latents
from core.dsae.config import DsaeConfig, ModelConfig
from core.dsae.convolutional import FilmDecoder, Quantiser, TimeConvolution
from core.dsae.model import Dsae

PARTS = {"global_encoder": "pooling", "posterior": "context", "decoder": "film"}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Dsae(ModelConfig(**PARTS, v_size=6, z_size=5, hidden=12)).eval()


@pytest.mark.parametrize(("taps", "stride", "frames"), [(3, 1, 9), (5, 1, 8), (5, 2, 8), (5, 2, 9)])
def test_a_convolution_over_time_is_that_of_torch(taps, stride, frames):
    ours = TimeConvolution(4, 7, taps, stride)
    theirs = nn.Conv1d(4, 7, taps, stride, padding=taps // 2)
    with torch.no_grad():
        theirs.weight.copy_(ours.linear.weight.view(7, taps, 4).transpose(1, 2))
        theirs.bias.copy_(ours.linear.bias)
    x = torch.randn(2, frames, 4)
    torch.testing.assert_close(ours(x), theirs(x.transpose(1, 2)).transpose(1, 2))


@pytest.mark.parametrize("frames", [1, 2, 7, 8])
def test_what_lies_behind_a_clip_changes_nothing(model, frames):
    x = torch.randn(2, 12, 80)
    lengths = torch.tensor([12, frames])
    q_v, q_z = model.encode(x, lengths)
    alone_v, alone_z = model.encode(x[1:, :frames])
    torch.testing.assert_close(q_v.mean[1:], alone_v.mean)
    torch.testing.assert_close(q_z.mean[1:, :frames], alone_z.mean)
    padded = model.decoder(q_z.mean, q_v.mean, lengths)
    alone = model.decoder(alone_z.mean, alone_v.mean)
    torch.testing.assert_close(padded[1:, :frames], alone)


def test_long_clips_are_processed_in_pieces_with_the_same_result(model, monkeypatch):
    config = DsaeConfig.parse({"model": model.config.model_dump()})
    loaded = latents.Disentangler(model, config, Checkpoint(None))
    x = torch.randn(50, 80)
    whole = loaded.encode(x)
    sound = loaded.decode(whole.v, whole.z)
    monkeypatch.setattr(latents, "PIECE", 16)
    pieces = loaded.encode(x)
    for name, tensor in vars(whole).items():
        torch.testing.assert_close(getattr(pieces, name), tensor)
    torch.testing.assert_close(loaded.decode(whole.v, whole.z), sound)


def test_v_comes_from_means_and_deviations(model):
    """Frames in another order, far from each other, have the same summary up to their edges."""
    torch.manual_seed(1)
    quiet, loud = torch.zeros(400, 80), torch.ones(400, 80)
    one = torch.cat([quiet, loud])[None]
    other = torch.cat([loud, quiet])[None]
    a, b = model.global_encoder(one).mean, model.global_encoder(other).mean
    assert (a - b).abs().max() < 0.05 * (a - model.global_encoder(loud[None]).mean).abs().max()


@pytest.mark.parametrize("levels", [2, 3, 5, 6])
def test_a_quantised_value_is_the_nearest_of_so_many(levels):
    x = torch.linspace(-4, 4, 801)
    found = Quantiser(levels)(x)
    values = np.linspace(-1, 1, levels)
    nearest = values[np.abs(np.tanh(x.numpy())[:, None] - values).argmin(1)]
    # Half-way between two values either is right.
    edge = np.isclose(np.abs(np.tanh(x.numpy())[:, None] - values).min(1), 1 / (levels - 1))
    np.testing.assert_allclose(found.mean.numpy()[~edge], nearest[~edge], atol=1e-6)
    spacing = 2 / (levels - 1)
    np.testing.assert_allclose(found.logvar.exp().numpy(), spacing**2 / 12, rtol=1e-5)


def test_gradients_pass_the_rounding():
    x = torch.linspace(-1, 1, 7, requires_grad=True)
    Quantiser(5)(x).mean.sum().backward()
    torch.testing.assert_close(x.grad, 1 - torch.tanh(x.detach()) ** 2)


def test_the_posterior_of_a_quantised_model_has_its_values():
    model = Dsae(ModelConfig(**PARTS, z_size=4, hidden=8, z_levels=5)).eval()
    _, q_z = model.encode(torch.randn(3, 10, 80))
    assert set(np.unique(q_z.mean.detach().numpy())) <= {-1.0, -0.5, 0.0, 0.5, 1.0}


def test_v_scales_and_shifts_every_frame_alike():
    torch.manual_seed(0)
    decoder = FilmDecoder(ModelConfig(**PARTS, v_size=3, z_size=4, hidden=8))
    z, v = torch.randn(1, 6, 4), torch.randn(1, 3)
    by_hand = decoder.of_z(z)
    for block in decoder.blocks:
        scale, shift = (block.film.weight @ v[0] + block.film.bias).chunk(2)
        by_hand = by_hand + block.outer(
            nn.functional.silu(block.inner(by_hand) * (1 + scale) + shift)
        )
    torch.testing.assert_close(decoder(z, v), -1.0 + 4.5 * decoder.out(nn.functional.silu(by_hand)))
