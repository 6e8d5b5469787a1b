"""Training a separator by the engine: it learns, keeps snapshots, and resumes to the same end."""

import numpy as np
import pytest
import soundfile
import torch

from core import registry
from core.errors import RavelError
from core.separation import objective, task
from core.training.config import merge
from core.training.engine import train
from core.training.run import Run
from tests.core.training.resuming import whole_and_parted


def tiny(store, **changes):
    values = merge(registry.preset("separation", "tiny"), {"data.store": str(store)})
    return registry.parse({**merge(values, changes), "system": "separation"})


def test_mixit_learns_to_separate_without_labels(trained):
    figures = list(trained.metrics("validation"))
    assert figures[-1]["momi_median"] > figures[0]["momi_median"] + 2
    assert figures[-1]["loss"] < figures[0]["loss"] - 1
    assert {"si_snri_median", "momi_mean", "channel_balance"} <= figures[-1].keys()
    assert {"one_source_median", "active", "active_of_one"} <= figures[-1].keys()


def test_snapshots_are_kept_beside_the_best_and_the_last(trained):
    assert trained.snapshots == [0, 40]
    untrained, _, progress = trained.load("step_0")
    assert progress["step"] == 0
    torch.manual_seed(0)
    assert not all(torch.equal(untrained[k], v) for k, v in trained.load("last")[0].items())


def test_a_mixture_and_its_channels_are_kept_during_training(trained):
    folder = trained.path / "samples" / "step_000080"
    names = sorted(path.name for path in folder.glob("*.wav"))
    assert [name[0] for name in names] == ["0", "1", "2"]
    assert {"rush", "whistle"} <= set(names[0].removesuffix(".wav").split())
    waves = [soundfile.read(folder / name)[0] for name in names]
    assert np.allclose(waves[0], waves[1] + waves[2], atol=1e-3)


def test_a_stopped_run_resumes_to_the_same_weights(scenes, tmp_path):
    config = tiny(scenes, **{"training.steps": 12, "training.snapshots": "4 12"})
    whole, parted = whole_and_parted(config, tmp_path, 5)
    for state in ("step_4", "step_12", "last"):
        one, other = whole.load(state)[0], parted.load(state)[0]
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_without_weights_the_loss_is_mixit_alone(scenes):
    task = registry.task(tiny(scenes))
    task.load(torch.device("cpu"))
    torch.manual_seed(0)
    model, references = task.build(), task.batch(torch.arange(2))
    terms = task.losses(model, references, "mixit")
    assert terms.keys() == {"loss"}
    loss, _ = objective.mixit(references, model(references.sum(dim=1)))
    torch.testing.assert_close(terms["loss"], loss.mean())


def test_penalties_are_added_by_their_weights_in_training_and_in_the_criterion(scenes):
    weights = {"objective.sparsity": 20.0, "objective.covariance": 5.0, "model.channels": 4}
    task = registry.task(tiny(scenes, **weights))
    task.load(torch.device("cpu"))
    torch.manual_seed(0)
    model = task.build()
    terms = task.losses(model, task.batch(torch.arange(2)), "mixit")
    parts = terms["mixit"] + 20 * terms["sparsity"] + 5 * terms["covariance"]
    torch.testing.assert_close(terms["loss"], parts)
    with torch.no_grad():
        figures = task.validate(model, "mixit")
    assert figures["criterion"] > figures["loss"] + 20 / 4
    assert 1 <= figures["active_of_one"] <= 4 and 1 <= figures["active"] <= 4


def test_sparsity_keeps_single_sources_together(scenes, tmp_path, monkeypatch, short_validation):
    monkeypatch.setattr(task, "HELD_OUT", short_validation)
    found = {}
    for weight in (0.0, 20.0):
        changes = {"objective.sparsity": weight, "model.channels": 4, "training.steps": 60}
        changes |= {"training.validate_every": 60, "training.snapshots": ()}
        config = tiny(scenes, **changes)
        run = Run.create(tmp_path / str(weight), config.model_dump())
        train(registry.task(config), run, progress=False)
        found[weight] = list(run.metrics("validation"))[-1]
    assert found[20.0]["active_of_one"] < found[0.0]["active_of_one"] - 0.5
    assert found[20.0]["one_source_median"] > found[0.0]["one_source_median"] + 1


def test_a_clip_by_itself_is_trained_to_be_kept_whole(scenes):
    task = registry.task(tiny(scenes, **{"data.single": 0.5}))
    task.load(torch.device("cpu"))
    torch.manual_seed(0)
    model, references = task.build(), task.batch(torch.arange(32) % len(task.waves))
    alone = ~references[:, 1].any(dim=1)
    assert 5 < int(alone.sum()) < 27
    found = task.losses(model, references, "mixit")["loss"]
    channels = model(references.sum(dim=1))
    mixtures, _ = objective.mixit(references[~alone], channels[~alone])
    clips = references[alone, 0]
    ratio = clips.square().sum(-1)[:, None] / (clips[:, None] - channels[alone]).square().sum(-1)
    bounded = -10 * torch.log10(1 / (1 / ratio.amax(dim=1) + 1e-3))
    assert float(found) == pytest.approx(float(torch.cat([mixtures, bounded]).mean()), abs=1e-3)


def test_remixing_takes_no_single_clips(scenes):
    start = {"objective.method": "remixit", "objective.start": "separator-scenes"}
    with pytest.raises(RavelError, match=r"leave data\.single 0"):
        tiny(scenes, **start, **{"data.single": 0.1})


def test_supervised_training_by_pit_is_there_for_comparison(scenes, tmp_path):
    config = tiny(scenes, **{"training.steps": 3, "objective.method": "pit"})
    run = Run.create(tmp_path / "pit", config.model_dump())
    train(registry.task(config), run, progress=False)
    assert [r["stage"] for r in run.metrics("validation")][-1] == "pit"


def test_one_clip_is_not_enough(scenes, tmp_path):
    from core.data import folder

    home = tmp_path / "one"
    home.mkdir()
    soundfile.write(home / "a.wav", np.sin(np.arange(32_000) / 9), 16_000)
    store = folder.build(home, tmp_path / "store", validation=0.0, workers=1, progress=False)
    with pytest.raises(RavelError, match="fewer than two"):
        registry.task(tiny(store.path)).load(torch.device("cpu"))
