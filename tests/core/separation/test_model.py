"""TDCN++: its size, what its parts compute, and that channels add up whatever comes in."""

import math

import pytest
import torch

from core import registry
from core.errors import RavelError
from core.separation.config import ModelConfig, SeparationConfig
from core.separation.model import SCALE_DECAY, FeatureNorm, Separator

TINY = ModelConfig(**registry.preset("separation", "tiny")["model"])


def size(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_papers_separator_has_the_papers_size():
    assert round(size(Separator(ModelConfig())) / 1e6, 2) == 9.07
    assert round(size(Separator(ModelConfig(skips=False))) / 1e6, 2) == 8.67


def test_the_small_preset_is_the_one_measured():
    small = SeparationConfig.parse(registry.preset("separation", "small"))
    assert size(Separator(small.model)) == 666_082


@pytest.mark.parametrize("consistency", ["learned", "energy", "uniform"])
@pytest.mark.parametrize("samples", [1, 255, 256, 4_001, 16_000])
def test_channels_are_as_long_as_the_mixture_and_add_up_to_it(consistency, samples):
    torch.manual_seed(0)
    model = Separator(TINY.model_copy(update={"consistency": consistency, "channels": 4}))
    mixture = torch.randn(2, samples)
    channels = model(mixture)
    assert channels.shape == (2, 4, samples)
    assert torch.allclose(channels.sum(dim=1), mixture, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 511, 4_001])
def test_masks_on_the_fourier_transform_add_up_too(samples):
    torch.manual_seed(0)
    config = TINY.model_copy(update={"transform": "stft", "window": 512, "hop": 128})
    mixture = torch.randn(2, samples)
    channels = Separator(config)(mixture)
    assert channels.shape == (2, 2, samples)
    assert torch.allclose(channels.sum(dim=1), mixture, atol=1e-5)


def test_the_fourier_transform_and_back_changes_nothing():
    config = ModelConfig(transform="stft", window=1024, hop=256)
    wave = torch.randn(2, 5_000)
    transform = Separator(config).transform
    spectra, inputs = transform(wave)
    assert spectra.shape == inputs.shape == (2, 513, 20)
    assert torch.allclose(transform.back(spectra, 5_000), wave, atol=1e-5)
    assert inputs.mean(dim=(1, 2)).abs().max() < 1e-4


def test_without_consistency_channels_need_not_add_up():
    torch.manual_seed(0)
    mixture = torch.randn(1, 4_000)
    channels = Separator(TINY.model_copy(update={"consistency": "none"}))(mixture)
    assert (channels.sum(dim=1) - mixture).abs().max() > 0.1


def test_the_norm_is_over_time_of_each_feature_alone():
    torch.manual_seed(0)
    x = 3 + 5 * torch.randn(2, 7, 50)
    norm = FeatureNorm()
    with torch.no_grad():
        norm.scale.fill_(2.0)
        norm.offset.fill_(-1.0)
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    by_hand = 2 * (x - mean) / (variance + 1e-3).sqrt() - 1
    assert torch.allclose(norm(x), by_hand, atol=1e-5)
    assert size(norm) == 2


def test_blocks_begin_with_fading_scales_and_prelu_of_a_tenth():
    config = ModelConfig(basis=8, bottleneck=4, hidden=6, blocks=3, repeats=2)
    blocks = [block for repeat in Separator(config).tdcn.repeats for block in repeat]
    scales = [float(block.contract.scale.detach()) for block in blocks]
    assert scales == pytest.approx([SCALE_DECAY**b for b in range(6)])
    assert [block.depthwise.dilation[0] for block in blocks] == [1, 2, 4, 1, 2, 4]
    assert all(float(block.first.weight.detach()) == pytest.approx(0.1) for block in blocks)


def keras_shape(name, weight):
    """The shape of the same weights in Keras: Dense [inputs, outputs], depthwise [K, 1, H, 1]."""
    if "depthwise" in name:
        return (weight.shape[2], 1, weight.shape[0], 1)
    if "transform" in name:  # [N, 1, window], a dense layer from or to the samples of a frame
        return (weight.shape[2], weight.shape[0])
    return (weight.shape[1], weight.shape[0])


def test_weights_begin_glorot_uniform_by_the_fans_of_keras_and_biases_at_zero():
    torch.manual_seed(0)
    model = Separator(ModelConfig(repeats=2, blocks=3))
    kernels = [(n, p) for n, p in model.named_parameters() if p.dim() > 1]
    assert len(kernels) == 2 + 1 + 3 * 6 + 1 + 2  # basis, input, blocks, skip, mask and share
    for name, weight in kernels:
        *field, inputs, outputs = keras_shape(name, weight)
        taps = math.prod(field)
        limit = math.sqrt(6 / (taps * inputs + taps * outputs))
        assert 0.97 * limit < float(weight.detach().abs().max()) <= limit, name
        assert float(weight.detach().std()) == pytest.approx(limit / math.sqrt(3), rel=0.05), name
    depthwise = [weight.detach().std() for name, weight in kernels if "depthwise" in name]
    assert float(torch.stack(depthwise).mean()) == pytest.approx(0.036, abs=5e-4)
    biases = [p for name, p in model.named_parameters() if name.endswith("bias")]
    assert len(biases) == 1 + 6 + 1 and not any(p.any() for p in biases)


def test_the_input_of_each_repeat_reaches_every_later_one():
    skips = Separator(ModelConfig(basis=8, bottleneck=4, hidden=6, blocks=2)).tdcn.skips
    assert sorted(skips) == ["0_1", "0_2", "0_3", "1_2", "1_3", "2_3"]


def test_all_of_it_learns():
    torch.manual_seed(0)
    model = Separator(TINY.model_copy(update={"repeats": 2}))
    channels = model(torch.randn(1, 4_000))
    (channels * torch.randn_like(channels)).sum().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("mixture", [torch.zeros(1, 4_000), torch.full((1, 4_000), 1e6)])
def test_silence_and_excess_come_out_finite(mixture):
    assert torch.isfinite(Separator(TINY)(mixture)).all()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"model.channels": 1}, "model.channels"),
        ({"model.hop": 80}, "must not be above model.window"),
        ({"model.transform": "stft", "model.hop": 30}, "not be above half"),
        ({"objective.method": "labels"}, "objective.method"),
        ({"objective.method": "pit", "objective.sparsity": 1}, "apply to mixit only"),
        ({"objective.covariance": -1}, "objective.covariance"),
        ({"training.snapshots": "0, soon"}, "training.snapshots"),
    ],
)
def test_a_wrong_setting_is_named(values, says):
    from core.training.config import merge

    with pytest.raises(RavelError, match=says):
        SeparationConfig.parse(merge({}, values))
