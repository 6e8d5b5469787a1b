"""Checkpoints scored by a process of its own: real ones, on a corpus of 36 real clips."""

import json
import os
import shutil
import signal
import time

import pytest

from core.checkpoints.checkpoint import Checkpoint
from core.errors import RavelError
from core.training import evaluation


def wait(folder, seconds=300):
    deadline = time.monotonic() + seconds
    while (found := evaluation.look(folder)).state == "running":
        assert time.monotonic() < deadline, found.log
        time.sleep(0.05)
    return found


@pytest.fixture
def checkpoint(untrained, tmp_path):
    return shutil.copytree(untrained, tmp_path / "checkpoint")


def test_a_checkpoint_is_scored_and_its_scores_are_those_in_its_folder(
    checkpoint, melodies, tmp_path
):
    folder = tmp_path / "evaluation"
    assert evaluation.look(folder) is None
    evaluation.start(folder, checkpoint, str(melodies))
    assert evaluation.look(folder).state == "running"
    with pytest.raises(RavelError, match="being scored already"):
        evaluation.start(folder, checkpoint, str(melodies))

    done = wait(folder)
    assert (done.state, done.store) == ("done", str(melodies))
    assert done.scores == json.loads((checkpoint / "metrics.json").read_text())[melodies.name]
    assert done.scores["clips"] == 6 and set(done.scores["mse"]) == {"value", "low", "high"}

    same = Checkpoint(shutil.copytree(checkpoint, tmp_path / "same"))
    (same.path / "metrics.json").unlink()
    assert evaluation.carry_over(checkpoint, same)
    assert same.metrics[melodies.name] == done.scores
    (same.path / "config.json").write_text("{}")
    assert not evaluation.carry_over(checkpoint, Checkpoint(same.path))


def test_the_page_shows_why_a_checkpoint_could_not_be_scored(checkpoint, tmp_path):
    evaluation.start(tmp_path / "evaluation", checkpoint, str(tmp_path / "nothing"))
    failed = wait(tmp_path / "evaluation")
    assert failed.state == "failed"
    assert "no feature store" in failed.message and failed.scores is None


@pytest.mark.parametrize("how", ["asked to stop", "killed"])
def test_an_evaluation_that_was_ended_has_failed_and_can_be_started_again(
    checkpoint, melodies, tmp_path, how
):
    folder = tmp_path / "evaluation"
    evaluation.start(folder, checkpoint, str(melodies))
    if how == "killed":
        os.kill(int((folder / "lock").read_text()), signal.SIGKILL)
    else:
        evaluation.stop(folder)
    ended = wait(folder, seconds=5)
    assert (ended.state, ended.message) == ("failed", "its process was ended")
    evaluation.stop(folder)  # there is nothing to stop any more
    evaluation.start(folder, checkpoint, str(melodies))
    evaluation.stop(folder)
    wait(folder, seconds=5)
