"""A checkpoint that costs nothing to make: real files, random weights."""

import pytest


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """A checkpoint folder of a small, untrained model."""
    import torch

    from core import checkpoints
    from core.dsae.config import DsaeConfig
    from core.dsae.model import Dsae

    config = DsaeConfig.parse({"model": {"hidden": 16, "z_size": 8}})
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoints") / "untrained"
    return checkpoints.write(folder, config.model_dump(), Dsae(config.model).state_dict()).path


@pytest.fixture(scope="session")
def melodies(tmp_path_factory):
    """A small dMelodies store: 24 melodies to train on, 6 to validate, their counterfactuals."""
    from core.data import dmelodies

    folder = tmp_path_factory.mktemp("stores") / "dmelodies"
    return dmelodies.build(folder, count=30, audio=False, workers=1, progress=False).path
