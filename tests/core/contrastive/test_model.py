"""The two encoders: their sizes, any length, and weights taken over from PANNs."""

import pytest
import torch

from core.contrastive.config import ModelConfig
from core.contrastive.model import WIDTHS, Cnn14, Contrastive, SmallEncoder, take_panns
from core.errors import RavelError


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def cnn14():
    torch.manual_seed(0)
    return Cnn14(128).eval()


def test_cnn14_with_a_bottleneck_of_128_has_the_papers_size(cnn14):
    convolutions = sum(9 * (a * b + b * b) for a, b in zip((1, *WIDTHS), WIDTHS, strict=False))
    norms = 2 * (64 + 2 * sum(WIDTHS))
    assert parameters(cnn14) == convolutions + norms + 2048 * 128 + 128
    assert round(parameters(cnn14) / 1e6, 2) == 75.74


@pytest.mark.parametrize("frames", [32, 96, 101])
def test_cnn14_takes_any_length_from_32_frames_on(cnn14, frames):
    with torch.no_grad():
        assert cnn14(torch.randn(2, frames, 64)).shape == (2, 128)


def test_the_small_encoder_has_less_than_half_a_million_parameters():
    assert round(parameters(SmallEncoder(128, 32)) / 1e6, 2) == 0.42
    with torch.no_grad():
        for frames in (32, 96, 497):
            assert SmallEncoder(128, 32)(torch.randn(2, frames, 64)).shape == (2, 128)


def test_the_first_norm_is_over_bands():
    """A gain for each band is taken off again, as by bn0 of PANNs."""
    encoder = SmallEncoder(8, 4).train()
    x = torch.randn(16, 40, 64)
    shifted = x + torch.linspace(-5, 5, 64)
    assert torch.allclose(encoder(x), encoder(shifted), atol=1e-4)


def test_an_embedding_may_be_negative_and_dropout_is_for_training_alone(cnn14):
    x = torch.randn(2, 32, 64)
    with torch.no_grad():
        one, again = cnn14(x), cnn14(x)
    assert torch.equal(one, again)
    assert (one < 0).any()


def panns(**changes):
    """A state dict with the names and shapes of PANNs' Cnn14_16k, all of one number."""
    found = {"spectrogram_extractor.stft.conv_real.weight": torch.ones(257, 1, 512)}
    found["logmel_extractor.melW"] = torch.ones(257, 64)
    widths = {"bn0": 64}
    for number, (a, b) in enumerate(zip((1, *WIDTHS), WIDTHS, strict=False), start=1):
        block = f"conv_block{number}"
        found[f"{block}.conv1.weight"] = torch.full((b, a, 3, 3), 2.0)
        found[f"{block}.conv2.weight"] = torch.full((b, b, 3, 3), 3.0)
        widths |= {f"{block}.bn1": b, f"{block}.bn2": b}
    for norm, width in widths.items():
        for name in ("weight", "bias", "running_mean", "running_var"):
            found[f"{norm}.{name}"] = torch.full((width,), 0.5)
        found[f"{norm}.num_batches_tracked"] = torch.tensor(9)
    for name, classes in (("fc1", 2048), ("fc_audioset", 527)):
        found |= {f"{name}.weight": torch.ones(classes, 2048), f"{name}.bias": torch.ones(classes)}
    return found | changes


def test_the_trunk_of_panns_is_taken_over_and_its_ends_are_left():
    encoder = Cnn14(8)
    before = encoder.fc.weight.clone()
    left = take_panns(encoder, panns())
    own = encoder.state_dict()
    for name, tensor in panns().items():
        assert (name in left) or torch.equal(own[name], tensor)
    assert {name.split(".")[0] for name in left} == {
        "spectrogram_extractor", "logmel_extractor", "fc1", "fc_audioset",
    }  # fmt: skip
    assert torch.equal(encoder.fc.weight, before)


def test_old_files_that_count_no_batches_are_taken_too():
    weights = {k: v for k, v in panns().items() if not k.endswith("num_batches_tracked")}
    encoder = Cnn14(8)
    take_panns(encoder, weights)
    assert (encoder.conv_block6.conv2.weight == 3).all()


def test_weights_of_something_else_are_refused_and_nothing_is_changed():
    encoder = Cnn14(8)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    missing = {k: v for k, v in panns().items() if k != "conv_block6.bn2.weight"}
    with pytest.raises(RavelError, match=r"they have no conv_block6\.bn2\.weight"):
        take_panns(encoder, missing)
    with pytest.raises(RavelError, match=r"bn0\.weight has the shape \(128,\), but \(64,\)"):
        take_panns(encoder, panns(**{"bn0.weight": torch.ones(128)}))
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


def test_the_factorised_head_is_a_network_on_the_concatenated_pair():
    torch.manual_seed(0)
    model = Contrastive(ModelConfig(encoder="small", width=4, embedding=6, head=10))
    a, b = torch.randn(5, 6), torch.randn(7, 6)
    first = torch.cat([model.coincidence_a.weight, model.coincidence_b.weight], dim=1)
    for i, j in ((0, 0), (4, 6), (2, 3)):
        hidden = (first @ torch.cat([a[i], b[j]]) + model.coincidence_a.bias).relu()
        expected = model.coincidence_out.weight[0] @ hidden + model.coincidence_out.bias
        assert torch.allclose(model.coincidence(a, b)[i, j], expected, atol=1e-5)
