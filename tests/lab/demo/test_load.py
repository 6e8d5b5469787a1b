"""The load script: a small crowd on a real server, and what it makes of bad answers."""

from concurrent.futures import Future, TimeoutError

import numpy as np
import pytest
from gradio_client.utils import QueueError

from core.audio.clip import write_wav
from core.checkpoints.checkpoint import list_checkpoints
from lab.demo import models as space_engine
from tests.benchmarks import load_space
from tests.benchmarks.load_space import Tally, Visitor

ships = pytest.mark.skipif(
    space_engine.SWAP not in {found.name for found in list_checkpoints()},
    reason="checkpoints do not ship",
)


@ships
def test_every_visitor_of_a_small_crowd_gets_its_own_answer(capsys):
    assert load_space.main(["--visitors", "4", "--seconds", "3"]) == 0
    said = capsys.readouterr().out
    assert "4 visitors swapping for 3 s" in said and "wrong       0   lost 0" in said
    assert "MiB at the start, half-way and at the end" in said and "p95" in said


class Server:
    """What a visitor's client is, with answers that are given."""

    src = "http://127.0.0.1:1/"

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)

    def submit(self, *_, api_name: str) -> Future:
        assert api_name == "/swap"
        answer, future = self.answers.pop(0), Future()
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(str(answer))
        return future


@pytest.fixture
def visitor(tmp_path) -> Visitor:
    paths = [tmp_path / "source.wav", tmp_path / "target.wav"]
    for path in paths:
        path.touch()
    return Visitor(*paths, expected=np.full(99, 0.25), folder=tmp_path)


@pytest.mark.parametrize("level, length, right", [(0.25, 99, 1), (0.26, 99, 0), (0.25, 98, 0)])
def test_an_answer_is_right_if_it_is_the_expected_one(visitor, tmp_path, level, length, right):
    write_wav(tmp_path / "answer.wav", np.full(length, level))
    visitor.swap(Server(tmp_path / "answer.wav"), tally := Tally())
    assert (len(tally.wrong), len(tally.latencies), tally.ok) == (1 - right, 1, bool(right))


def test_one_who_is_refused_comes_again_and_one_without_answer_is_lost(
    visitor, tmp_path, monkeypatch
):
    monkeypatch.setattr(load_space, "AGAIN", 0.01)
    monkeypatch.setattr(load_space, "sentence", lambda address: "full")
    write_wav(tmp_path / "answer.wav", np.full(99, 0.25))
    full = QueueError("full")
    visitor.swap(Server(full, full, tmp_path / "answer.wav"), tally := Tally())
    assert tally.ok and tally.refused == ["full", "full"] and tally.latencies[0] > 0.02
    visitor.swap(Server(TimeoutError()), tally)
    assert not tally.ok and len(tally.lost) == 1


def test_memory_is_flat_if_the_second_half_adds_little():
    assert Tally(memory=[700, 900, 950]).is_flat and not Tally(memory=[700, 900, 970]).is_flat
