"""A separator that is trained on small scenes."""

import pytest

from core.separation import task


@pytest.fixture(scope="session", autouse=True)
def short_validation():
    """Validation on a quarter of the usual mixtures.

    Gives the usual number, for a test that needs as many.
    """
    usual = task.HELD_OUT
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "HELD_OUT", usual // 4)
        yield usual


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
