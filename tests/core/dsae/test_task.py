"""What training keeps exact: what v tells of z, at each validation and at the end."""

import pytest
import torch

from core.checkpoints.card import export_run
from core.data.store import FeatureStore
from core.dsae.config import DsaeConfig, preset
from core.dsae.decorrelation import Regression
from core.dsae.evaluation.swap_f1 import read_split
from core.dsae.latents import load
from core.dsae.task import DsaeTask
from core.training.config import merge
from core.training.engine import train
from core.training.run import Run

SMALL = {
    "model.hidden": 16,
    "objective.stage1_steps": 6,
    "training.steps": 12,
    "training.batch_size": 4,
    "training.validate_every": 6,
    "training.checkpoint_every": 6,
    "training.device": "cpu",
}


def config(store, **changes):
    values = merge(merge(preset("ts-dsae-plus"), SMALL), {"data.store": str(store)})
    return DsaeConfig.parse(merge(values, changes))


@pytest.fixture(scope="module")
def run(melodies, tmp_path_factory):
    """A short run of the plus setting."""
    made = config(melodies)
    run = Run.create(tmp_path_factory.mktemp("runs") / "plus", made.model_dump())
    train(DsaeTask(made), run, progress=False)
    return run


@pytest.mark.parametrize("state", ["best", "last"])
def test_the_regression_from_v_to_z_is_saved_exact_for_the_training_clips(
    run, melodies, state, tmp_path
):
    export_run(run.path, tmp_path / state, state=state)
    model = load(tmp_path / state).model
    fitted = model.local_encoder.without_v
    clips = read_split(FeatureStore.open(melodies), "train", "instrument", model.config.floor)
    with torch.no_grad():
        q_v, q_z = model.encode(clips.x)
        exact = Regression(*fitted.slope.shape, 0.01)
        exact.fit(q_v.mean, model.local_encoder.means(q_z, q_v, None))
    torch.testing.assert_close(fitted.centre, exact.centre)
    torch.testing.assert_close(fitted.slope, exact.slope, rtol=1e-3, atol=1e-4)
    assert float(fitted.slope.abs().max()) > 0.01
    assert not torch.allclose(fitted.v, fitted.centre, atol=1e-5)  # what training itself follows


def test_a_run_resumed_goes_on_learning_where_it_was(melodies, tmp_path):
    """The running moments are part of what is saved."""
    made = config(melodies, **{"training.schedule": "constant"})
    short = config(melodies, **{"training.schedule": "constant", "training.steps": 6})
    whole, halted = (Run.create(tmp_path / name, made.model_dump()) for name in "ab")
    for config_of, one in ((made, whole), (short, halted), (made, halted)):
        train(DsaeTask(config_of), one, progress=False)
    first, second = (one.load("last")[0] for one in (whole, halted))
    assert float(first["local_encoder.without_v.seen"]) == 12
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, msg=lambda m, n=name: f"{n}: {m}")


def test_the_papers_setting_has_nothing_to_keep_exact(melodies):
    task = DsaeTask(config(melodies, **{"model.decorrelate": False}))
    task.load(torch.device("cpu"))
    model = task.build().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        task.validate(model, "informed")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
