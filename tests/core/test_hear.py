"""The HEAR common API, by the checks of its own validator."""

import importlib

import numpy as np
import pytest
import torch

from core import hear
from core.errors import RavelError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An encoder of random weights."""
    from core import registry
    from core.checkpoints import checkpoint
    from core.contrastive.model import Contrastive

    config = registry.parse(
        {"system": "contrastive", "model": {"encoder": "small", "width": 4, "embedding": 12}}
    )
    torch.manual_seed(0)
    weights = Contrastive(config.model).state_dict()
    out = tmp_path_factory.mktemp("checkpoints") / "random-encoder"
    return checkpoint.write(out, config.model_dump(), weights).path


@pytest.fixture(scope="module")
def model(folder):
    return importlib.import_module("core.hear").load_model(str(folder))


def noise(count, seconds, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, int(seconds * 16_000), generator=generator) * 2 - 1


def test_a_model_is_a_module_with_the_attributes_that_are_read(model, folder):
    assert isinstance(model, torch.nn.Module)
    assert model.sample_rate in (16_000, 22_050, 32_000, 44_100, 48_000)
    assert isinstance(model.scene_embedding_size, int) and model.scene_embedding_size == 12
    assert isinstance(model.timestamp_embedding_size, int)
    assert next(model.to("cpu").parameters()).device.type == "cpu"
    by_file = hear.load_model(str(folder / "model.safetensors"))
    assert torch.equal(by_file.encoder.fc.weight, model.encoder.fc.weight)
    with pytest.raises(RavelError, match="no checkpoint called 'nothing'"):
        hear.load_model("nothing")


def test_scenes_have_an_embedding_each(model):
    audio = noise(4, 2.74)
    found = hear.get_scene_embeddings(audio, model)
    assert found.shape == (4, 12) and found.dtype == torch.float32
    assert not found.requires_grad
    assert torch.allclose(found[2], hear.get_scene_embeddings(audio[2:3], model)[0], atol=1e-6)
    assert torch.allclose(found, hear.get_scene_embeddings(0.1 * audio, model), atol=1e-4)


@pytest.mark.parametrize("seconds", [0.02, 1.07, 1.98, 4.0])
def test_timestamps_are_regular_and_reach_both_ends(model, seconds):
    audio = noise(2, seconds)
    h, times = hear.get_timestamp_embeddings(audio, model)
    assert h.dtype == torch.float32 and h.ndim == 3
    assert h.shape == (2, times.shape[1], model.timestamp_embedding_size)
    assert times.shape == h.shape[:2]
    between = np.diff(times.numpy())
    assert np.allclose(between, 50.0)
    assert (times[:, 0] == 0).all()
    length = 1000 * audio.shape[1] / 16_000
    assert length - 50 < float(times.max()) <= length


def test_an_embedding_is_of_the_sound_around_its_timestamp(model):
    """A click changes what is within half a patch of it, and nothing else."""
    audio = 0.5 * noise(1, 4.0)
    audio[0, 0] = 1.0
    changed = audio.clone()
    changed[0, 32_000:32_400] = 1.0  # at 2,000 ms
    before, times = hear.get_timestamp_embeddings(audio, model)
    after, _ = hear.get_timestamp_embeddings(changed, model)
    moved = (before - after).abs().amax(dim=2)[0] > 1e-6
    where = times[0][moved]
    assert float(where.min()) == pytest.approx(2_000 - 491, abs=50)
    assert float(where.max()) == pytest.approx(2_025 + 491, abs=50)


def test_silence_and_a_single_sample_are_sounds_too(model):
    for audio in (torch.zeros(2, 16_000), torch.ones(1, 1)):
        assert hear.get_scene_embeddings(audio, model).isfinite().all()
        assert hear.get_timestamp_embeddings(audio, model)[0].isfinite().all()
    with pytest.raises(RavelError, match="n_sounds"):
        hear.get_scene_embeddings(torch.zeros(16_000), model)
