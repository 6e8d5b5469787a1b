"""A separator that is trained on small scenes."""

import pytest

from core.separation import task


@pytest.fixture(scope="session", autouse=True)
def short_validation():
    """Validation on 24 mixtures of 3 s, as long as the clips are; usually it is on 96 of 5 s."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "HELD_OUT", 24)
        patch.setattr(task, "HELD_OUT_SECONDS", 3.0)
        patch.setattr(task, "SINGLE", 8)
        yield


@pytest.fixture(scope="session")
def trained(short_validation, scenes, tmp_path_factory):
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
