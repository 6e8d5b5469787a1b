"""Whether a corpus fits the settings of a run, and the settings of fine-tuning."""

import pytest

from core import registry
from core.checkpoints.checkpoint import Checkpoint
from core.cli import train as command
from core.errors import RavelError
from core.service import fitting
from core.training.engine import train
from core.training.run import Run
from tests.core.training.test_any_corpus import store
from tests.lab import tones


def config(system: str = "dsae", **changes):
    return registry.parse({"system": system, **changes})


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return tones.build(tmp_path_factory.mktemp("stores") / "tones").path


def test_a_corpus_with_labels_and_a_held_out_part_has_nothing_to_note(labelled):
    found = fitting.facts(labelled)
    assert (found.trained, found.held_out, found.has_audio) == (12, 4, True)
    small = config(training={"batch_size": 4})
    assert fitting.check(small, found) == fitting.Findings([], [])


def test_without_labels_and_splits_it_is_noted_and_no_problem(tmp_path):
    found = fitting.facts(store(tmp_path / "plain", [{"split": "train"}] * 3).path)
    findings = fitting.check(config(), found)
    assert not findings.problems
    assert [note.split(" ", 3)[:3] for note in findings.notes] == [
        ["It", "has", "no"], ["It", "holds", "out"], ["It", "has", "3"],
    ]  # fmt: skip


def test_a_label_that_is_not_there_and_missing_sound_are_problems(labelled, tmp_path):
    found = fitting.facts(labelled)
    (problem,) = fitting.check(config(data={"factor": "colour"}), found).problems
    assert "no label column called 'colour'" in problem and "instrument" in problem
    mute = fitting.facts(tones.build(tmp_path / "mute", audio=False).path)
    assert not fitting.check(config(), mute).problems
    for system in ("separation", "contrastive", "vocoder"):
        assert "trained on sound" in fitting.check(config(system), mute).problems[0]


def test_the_label_of_the_corpus_is_taken(tmp_path):
    rows = [{"split": "train", "label": name} for name in "ab"]
    found = fitting.facts(store(tmp_path / "named", rows).path)
    assert fitting.factor_for(config(), found) == "label"
    assert fitting.factor_for(config("vocoder"), found) is None


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    with pytest.raises(RavelError, match="no feature store"):
        fitting.facts(tmp_path)


def test_a_checkpoint_is_trained_on_from_its_weights(untrained, labelled, tmp_path):
    checkpoint = Checkpoint(untrained)
    settings = fitting.fine_tuning(checkpoint)
    settings["training"] |= {"steps": 1, "learning_rate": 1e-12, "start_from": str(untrained)}
    settings["data"]["store"] = str(labelled)
    parsed = registry.parse(settings)
    assert parsed.stage(0) == "informed" and parsed.training.schedule == "cosine"
    run = Run.create(tmp_path / "run", parsed.model_dump())
    command._fetch_initial(run)
    train(registry.task(parsed), run, progress=False)
    weights, before = run.load("last")[0], checkpoint.weights()
    for name in ("decoder", "local_encoder", "global_encoder"):
        some = [key for key in before if key.startswith(name)]
        assert some and all((weights[key] - before[key]).abs().max() < 1e-6 for key in some)


def test_weights_of_another_shape_are_refused(untrained, labelled, tmp_path):
    settings = fitting.fine_tuning(Checkpoint(untrained))
    settings["training"]["start_from"] = str(untrained)
    settings["data"]["store"] = str(labelled)
    settings["model"]["hidden"] = 9
    parsed = registry.parse(settings)
    run = Run.create(tmp_path / "run", parsed.model_dump())
    command._fetch_initial(run)
    with pytest.raises(RavelError, match="do not fit the model"):
        train(registry.task(parsed), run, progress=False)
