"""A separator that is trained on small scenes."""

import pytest


@pytest.fixture(scope="session")
def trained(scenes, tmp_path_factory):
    """A tiny separator trained for seconds on the scenes, by the engine: its run."""
    from core import registry
    from core.training.config import merge
    from core.training.engine import train
    from core.training.run import Run

    changes = {"data.store": str(scenes), "training.steps": 160, "training.snapshots": "0 40"}
    changes |= {"training.validate_every": 80, "training.checkpoint_every": 80}
    config = registry.parse(
        {**merge(registry.preset("separation", "tiny"), changes), "system": "separation"}
    )
    run = Run.create(tmp_path_factory.mktemp("runs") / "tiny", config.model_dump())
    train(registry.task(config), run, progress=False)
    return run


@pytest.fixture(scope="session")
def separator(trained, tmp_path_factory):
    """The checkpoint of that run, with its snapshots, in half precision."""
    from core.checkpoints import card

    out = tmp_path_factory.mktemp("checkpoints") / "tiny-separator"
    return card.export_run(trained.path, out, title="Tiny", half=True).path
