"""Training an encoder by the engine: it learns, resumes to the same end, and by two processes."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from core import registry
from core.contrastive.config import FRONT_END_SETTINGS, ContrastiveConfig
from core.errors import RavelError
from core.training.config import merge
from core.training.engine import train
from core.training.run import Run
from tests.core.training.resuming import whole_and_parted
from tests.core.training.together import by_two_processes

ROOT = Path(__file__).parents[3]


def test_both_losses_fall_without_labels(trained):
    first, *_, last = trained.metrics("validation")
    assert last["similarity"] < first["similarity"] - 0.3
    assert last["coincidence"] < first["coincidence"] - 0.1
    assert first["coincidence"] == pytest.approx(2 * math.log(2), abs=0.1)
    assert last["uniformity"] < first["uniformity"]
    assert last["criterion"] == last["loss"]
    assert last["loss"] == pytest.approx(last["similarity"] + last["coincidence"], rel=1e-4)
    assert 0.5 < last["knn_accuracy"] <= 1.0  # whistles and rushes are easy to distinguish
    assert last["alignment"] > 0


def test_a_stopped_run_resumes_to_the_same_weights(tiny, tmp_path):
    config = tiny(**{"training.steps": 8, "training.snapshots": "3 8"})
    whole, parted = whole_and_parted(config, tmp_path, 4)
    for state in ("step_3", "step_8", "last"):
        one, other = whole.load(state)[0], parted.load(state)[0]
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("weight", ["similarity", "coincidence"])
def test_the_head_of_an_objective_that_does_not_weigh_is_left_alone(tiny, tmp_path, weight):
    other = {"similarity": "coincidence", "coincidence": "similarity"}[weight]
    head = {"similarity": "projection", "coincidence": "coincidence"}
    config = tiny(**{"training.steps": 2, f"objective.{other}": 0, "training.snapshots": "0"})
    run = Run.create(tmp_path / weight, config.model_dump())
    train(registry.task(config), run, progress=False)
    before, after = run.load("step_0")[0], run.load("last")[0]
    for name in before:
        if name.endswith("weight") and "bn" not in name:
            assert torch.equal(before[name], after[name]) == name.startswith(head[other]), name
    assert {record["stage"] for record in run.metrics("validation")} == {weight}


@pytest.mark.parametrize("pair", ["mixture-mixture", "channel-channel"])
def test_other_pairs_train_too_and_half_the_precision(tiny, tmp_path, pair):
    changes = {"views.pair": pair, "training.steps": 2, "training.precision": "bf16"}
    if pair == "mixture-mixture":
        changes |= {"views.separators": ""}
    config = tiny(**changes)
    run = Run.create(tmp_path / pair, config.model_dump())
    assert train(registry.task(config), run, progress=False)["state"] == "finished"


def test_two_processes_train_one_objective_and_one_of_them_validates(tiny, tmp_path):
    changes = {"training.steps": 4, "objective.coincidence": 0, "training.validate_every": 2}
    config = tiny(**changes, **{"training.batch_size": 7, "training.device": "cpu"})
    registry.task(config).load(torch.device("cpu"))  # the views, which both will find
    run = Run.create(tmp_path / "run", config.model_dump())
    by_two_processes("train", "--resume", run.path)
    assert run.state()["state"] == "finished"
    assert [record["step"] for record in run.metrics("validation")] == [0, 2, 4]


def test_labels_are_for_the_probe_alone(tiny, scenes, tmp_path):
    found = []
    for factor in ("label", "nothing"):
        config = tiny(**{"training.steps": 2, "data.factor": factor})
        run = Run.create(tmp_path / factor, config.model_dump())
        train(registry.task(config), run, progress=False)
        found.append(run)
    one, other = (run.load("last")[0] for run in found)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert ["knn_accuracy" in next(iter(run.metrics("validation"))) for run in found] == [
        True,
        False,
    ]


def test_a_config_keeps_its_front_end_and_refuses_another(tiny):
    values = tiny().model_dump()
    assert values["front_end"] == FRONT_END_SETTINGS
    assert ContrastiveConfig.parse(values) == tiny()
    for change in ({"sample_rate": 44_100}, {"bands": 80}, {"power": 2.0}):
        with pytest.raises(RavelError, match=f"front_end.*its {next(iter(change))} should be"):
            ContrastiveConfig.parse(merge(values, {"front_end": change}))


def test_settings_that_cannot_be_are_named(tiny):
    with pytest.raises(RavelError, match="must be above 0"):
        tiny(**{"objective.similarity": 0, "objective.coincidence": 0})
    with pytest.raises(RavelError, match=r"views\.frames"):
        tiny(**{"views.frames": 16})
    with pytest.raises(RavelError, match="no checkpoint called 'nothing'"):
        registry.task(tiny(**{"views.separators": "nothing"})).load(torch.device("cpu"))


def test_separators_are_listed_as_they_are_typed(tiny):
    listed = tiny(**{"views.separators": "a, b@0 c"}).views.separators
    assert listed == ("a", "b@0", "c")


def test_the_probe_asks_the_nearest_of_the_training_clips():
    from core.contrastive import probe

    train_h = np.array([[1, 0], [1, 0.1], [1, -0.1], [0, 1], [0.1, 1], [-0.1, 1]], dtype=float)
    labels = np.array(["a"] * 3 + ["b"] * 3)
    held_out = np.array([[9.0, 1.0], [0.0, 0.3], [0.2, 0.1]])
    figures = probe.quick(train_h, held_out, labels, np.array(["a", "b", "b"]))
    assert figures == {"knn_accuracy": pytest.approx(2 / 3)}


def test_patches_cover_a_clip_to_its_end():
    from core.contrastive.probe import starts_of

    assert starts_of(96, 96) == [0]
    assert starts_of(192, 96) == [0, 96]
    assert starts_of(200, 96) == [0, 96, 104]
    assert starts_of(30, 96) == starts_of(0, 96) == [0]
    assert starts_of(200, 96, hop=50) == [0, 50, 100]


def test_every_curve_of_its_charts_is_recorded(trained):
    for chart in registry.get("contrastive").charts:
        for curve in chart.curves:
            kind, name = curve.split(" ")[:2]
            assert any(name in record for record in trained.metrics(kind)), curve
