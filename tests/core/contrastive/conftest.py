"""A separator of random weights with a snapshot, and an encoder that learnt from it in seconds."""

import shutil

import pytest


@pytest.fixture(scope="session")
def separator(tmp_path_factory):
    """The folder of an untrained separator of two channels, and other weights as its step 7."""
    import torch

    from core import registry
    from core.checkpoints import checkpoint
    from core.separation.config import SeparationConfig
    from core.separation.model import Separator

    config = SeparationConfig.parse({"model": registry.preset("separation", "tiny")["model"]})
    torch.manual_seed(0)
    weights, other = (Separator(config.model).state_dict() for _ in range(2))
    folder = tmp_path_factory.mktemp("checkpoints") / "random"
    return checkpoint.write(folder, config.model_dump(), weights, {7: other}).path


@pytest.fixture(scope="session")
def tiny(scenes, separator):
    """Makes configs of an encoder that is small enough for tests: `tiny(**changes)`."""
    from core import registry
    from core.training.config import merge

    def made(**changes):
        values = {
            "data.store": str(scenes),
            "views.separators": (str(separator), f"{separator}@7"),
            "model.width": 8,
            "model.embedding": 16,
            "model.head": 32,
            "training.steps": 60,
            "training.warmup_steps": 5,
            "training.validate_every": 30,
            "training.checkpoint_every": 30,
        }
        values = merge(merge(registry.preset("contrastive", "tiny"), values), changes)
        return registry.parse({**values, "system": "contrastive"})

    return made


@pytest.fixture(scope="session")
def trained(tiny, tmp_path_factory):
    """Its run."""
    from core import registry
    from core.training.engine import train
    from core.training.run import Run

    run = Run.create(tmp_path_factory.mktemp("runs") / "encoder", tiny().model_dump())
    train(registry.task(tiny()), run, progress=False)
    return run


@pytest.fixture(scope="session")
def encoder(trained, tmp_path_factory):
    """The checkpoint of that run."""
    from core.checkpoints import card

    out = tmp_path_factory.mktemp("checkpoints") / "tiny-encoder"
    return card.export_run(trained.path, out, title="Tiny", state="last", half=True).path


@pytest.fixture
def store(scenes, tmp_path):
    """A copy of the scenes, in whose folder an index can be made."""
    from core.data.store import FeatureStore

    return FeatureStore.open(shutil.copytree(scenes, tmp_path / "scenes"))


@pytest.fixture
def checkpoint(encoder):
    """The encoder's checkpoint as an object."""
    from core.checkpoints import checkpoint as checkpoints

    return checkpoints.find(encoder)
