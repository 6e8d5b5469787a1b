"""Encoders and baselines in one table, printed, kept and put on the card."""

import json
import shutil

import numpy as np
import pytest
import torch

from core import statistics
from core.cli import main
from core.contrastive import baselines, evaluate, mixed, report, views
from core.contrastive.embed import load
from core.data.store import FeatureStore
from core.errors import RavelError


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 40)
    monkeypatch.setattr(evaluate, "EPOCHS", 4)
    monkeypatch.setattr(evaluate, "EPISODES", 10)


@pytest.fixture
def checkpoint(encoder, tmp_path):
    """A copy that may be written to, with a snapshot."""
    folder = shutil.copytree(encoder, tmp_path / "mine")
    shutil.copy(folder / "model.safetensors", folder / "step_5.safetensors")
    return folder


def kept(folder):
    return json.loads((folder / "metrics.json").read_text())["scenes"]


def test_a_table_is_printed_kept_and_put_on_the_card(checkpoint, scenes, capsys):
    arguments = ["evaluate", str(checkpoint), "--data", str(scenes), "--supervised"]
    assert main(arguments) == 0
    found = kept(checkpoint)
    rows = [name for name, value in found.items() if isinstance(value, dict)]
    assert rows == [row for row in report.ORDER if row != report.WHOLE]
    counts = {k: v for k, v in found.items() if k not in rows}
    chance = 6 / (6 + 16)  # four clips of either class are held out
    assert counts == {
        "clips": 8, "training_clips": 24, "classes": 2, "folds": 4,
        "qbe_chance": round(chance, 4),
    }  # fmt: skip
    for row in rows:
        assert set(found[row]) == set(report.COLUMNS)
        for score in found[row].values():
            assert 0 <= score["low"] <= score["value"] <= score["high"] <= 1
    assert found["encoder"]["knn_accuracy"]["value"] > 0.8
    printed, card = capsys.readouterr().out, (checkpoint / "README.md").read_text()
    assert "log-mel statistics" in printed and "0.2727" in printed
    assert "not on held-out clips" in printed
    assert "| same encoder, untrained |" in card and "| query by example, mAP |" in card
    assert not any(name in card.split("## Scores")[1] for name in ("qbe_map", "three_shot"))


def test_a_snapshot_is_a_row_beside_its_run_and_leaves_the_others(checkpoint, scenes):
    report.on_store([str(checkpoint)], str(scenes), lambda text: None)
    before = kept(checkpoint)
    assert "supervised" not in before
    report.on_store([f"{checkpoint}@5"], str(scenes), lambda text: None)
    after = kept(checkpoint)
    rows = [name for name, value in after.items() if isinstance(value, dict)]
    assert rows == ["encoder", "step 5", "untrained", "log-mel statistics"]
    assert {name: after[name] for name in before} == before
    assert after["step 5"] == after["encoder"]  # the same weights


def test_figures_are_the_same_each_time(checkpoint, scenes):
    report.on_store([str(checkpoint)], str(scenes), lambda text: None)
    before = kept(checkpoint)
    (checkpoint / "metrics.json").unlink()
    torch.manual_seed(99)
    report.on_store([str(checkpoint)], str(scenes), lambda text: None)
    assert kept(checkpoint) == before


def test_what_cannot_be_scored_is_one_sentence(checkpoint, scenes, melodies, tmp_path, capsys):
    mistakes = {
        (str(checkpoint), "--data", str(melodies)): "'label'",
        (str(checkpoint), "--data", "nowhere"): "nowhere",
        (str(checkpoint), "--real", str(scenes)): "--data STORE",
    }
    for arguments, words in mistakes.items():
        assert main(["evaluate", *arguments]) == 2
        said = capsys.readouterr().err.strip()
        assert words in said and "\n" not in said
    labels = FeatureStore.open(scenes).labels
    assert not (checkpoint / "metrics.json").exists() and len(labels["name"]) == 32


def test_a_store_without_a_held_out_part_is_refused(checkpoint, scenes, tmp_path):
    copied = shutil.copytree(scenes, tmp_path / "one")
    text = (copied / "clips.csv").read_text().replace(",validation,", ",train,")
    (copied / "clips.csv").write_text(text)
    with pytest.raises(RavelError, match="32 training and 0 held-out"):
        report.on_store([str(checkpoint)], str(copied), lambda text: None)


def test_a_part_kept_for_tests_goes_before_the_one_that_states_are_chosen_by(scenes, tmp_path):
    copied = shutil.copytree(scenes, tmp_path / "three")
    lines = (copied / "clips.csv").read_text().splitlines()
    lines[1:5] = [line.replace(",train,", ",eval,") for line in lines[1:5]]
    (copied / "clips.csv").write_text("\n".join(lines) + "\n")
    clips = report.read_clips(FeatureStore.open(copied), "label", torch.device("cpu"))
    assert (len(clips.train), len(clips.held_out)) == (20, 4)


@pytest.fixture(scope="module")
def features(scenes):
    store = FeatureStore.open(scenes)
    log_mels = torch.from_numpy(np.array(views.mixtures(store, progress=False)[:, 0]))
    return log_mels, torch.from_numpy(views.frames_of(store)), store.indices("train")


def test_statistics_are_those_of_bands_over_time_standardised_by_training_clips(features):
    log_mels, frames, train = features
    found = baselines.log_mel_statistics(log_mels.numpy(), frames.numpy(), train).clips
    assert found.shape == (32, 128)
    assert np.allclose(found[train].mean(axis=0), 0, atol=1e-5)
    assert np.allclose(found[train].std(axis=0), 1, atol=1e-2)
    means = np.stack([x[:n].float().mean(dim=0) for x, n in zip(log_mels, frames, strict=True)])
    expected = (means - means[train].mean(axis=0)) / means[train].std(axis=0)
    assert np.allclose(found[:, :64], expected, atol=1e-3)


def test_the_untrained_encoder_is_where_training_begins_with_batch_norm_at_work(
    features, encoder, trained
):
    log_mels, frames, train = features
    model = load(encoder)
    torch.manual_seed(7)
    found = baselines.untrained(model.config, log_mels, frames, train)
    again = baselines.untrained(model.config, log_mels, frames, train)
    assert all(map(torch.equal, found.state_dict().values(), again.state_dict().values()))
    bands = log_mels[train].float().mean(dim=(0, 1))
    assert torch.allclose(found.bn0.running_mean, bands, atol=0.3)
    assert not found.training
    assert torch.equal(found.bn0.weight, torch.ones(64))  # nothing was learnt


def test_labels_teach_an_encoder_of_the_same_size(features, encoder, tiny):
    log_mels, frames, train = features
    model = load(encoder)
    config = tiny(**{"training.steps": 30})
    drawn = views.Views(
        config.views.model_copy(update={"pair": "mixture-mixture"}),
        [log_mels[train][:, None].numpy()],
        frames[train].numpy(),
    )
    targets = torch.eye(2)[torch.arange(24) % 2]
    by_order = baselines.supervised(config, drawn, targets, True)
    shapes = {k: v.shape for k, v in by_order.state_dict().items()}
    assert shapes == {k: v.shape for k, v in model.encoder.state_dict().items()}
    fresh = baselines.untrained(config, log_mels, frames, train)
    assert not torch.equal(by_order.fc.weight, fresh.fc.weight)


def test_scenes_of_several_sounds_have_all_their_labels_and_scores_of_their_own(
    checkpoint, scenes, capsys
):
    assert (
        main(["evaluate", str(checkpoint), "--data", str(scenes), "--alone", "--mixed", "2"]) == 0
    )
    found = kept(checkpoint)["encoder"]
    assert set(found) == {*report.COLUMNS, "map_of_2", "qbe_map_of_2"}
    assert 0 <= found["map_of_2"]["low"] <= found["map_of_2"]["value"] <= 1
    assert "map_of_2" in capsys.readouterr().out
    card = (checkpoint / "README.md").read_text()
    assert "mAP of a shallow network, scenes of 2 sounds" in card


@pytest.mark.parametrize("count", [1, 6])
def test_scenes_have_two_to_five_sounds(checkpoint, scenes, capsys, count):
    arguments = ["evaluate", str(checkpoint), "--data", str(scenes), "--mixed", str(count)]
    assert main(arguments) == 2
    assert "give 2 to 5" in capsys.readouterr().err


def test_a_scene_is_the_sum_of_its_sounds_and_has_their_labels(scenes):
    store = FeatureStore.open(scenes)
    labels = evaluate.labels_of(store)
    train, held_out = store.indices("train"), store.indices("validation")
    made = mixed.scenes(store, labels, train, held_out, 3)
    assert len(made.log_mels) == len(train) + len(held_out) == len(made.labels.truth)
    assert made.held_out.tolist() == list(range(len(train), len(made.log_mels)))
    of_first = np.concatenate([labels.truth[train], labels.truth[held_out]])
    assert (made.labels.truth >= of_first).all() and not made.labels.single
    assert made.labels.truth.all(axis=1).any()  # scenes with both classes
    again = mixed.scenes(store, labels, train, held_out, 3)
    assert torch.equal(made.log_mels, again.log_mels)
    other = mixed.scenes(store, labels, train, held_out, 2)
    assert not torch.equal(made.log_mels, other.log_mels)
