"""The load script: a few visitors on a real server, and its verdict on bad answers."""

from concurrent.futures import Future, TimeoutError

import numpy as np
import pytest
from gradio_client.utils import QueueError

from core.audio.clip import write_wav
from core.checkpoints.checkpoint import list_checkpoints
from lab.demo.models import SWAP_MODEL
from tests.benchmarks import load_demo
from tests.benchmarks.load_demo import Tally, Visitor

ships = pytest.mark.skipif(
    SWAP_MODEL not in {found.name for found in list_checkpoints()},
    reason="checkpoints do not ship",
)


@ships
def test_every_visitor_of_a_small_crowd_gets_its_own_answer(capsys):
    assert load_demo.main(["--visitors", "4", "--seconds", "3"]) == 0
    report = capsys.readouterr().out
    assert "4 visitors swapping for 3 s" in report and "wrong       0   lost 0" in report
    assert "MiB at the start, half-way and at the end" in report and "p95" in report


class Server:
    """In place of a visitor's client, with given answers."""

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
def test_only_the_expected_answer_is_right(visitor, tmp_path, level, length, right):
    write_wav(tmp_path / "answer.wav", np.full(length, level))
    visitor.swap(Server(tmp_path / "answer.wav"), tally := Tally())
    assert (len(tally.wrong), len(tally.latencies), tally.ok) == (1 - right, 1, bool(right))


def test_a_refused_visitor_tries_again_and_one_without_an_answer_is_lost(
    visitor, tmp_path, monkeypatch
):
    monkeypatch.setattr(load_demo, "RETRY", 0.01)
    monkeypatch.setattr(load_demo, "error_text", lambda address: "full")
    write_wav(tmp_path / "answer.wav", np.full(99, 0.25))
    full = QueueError("full")
    visitor.swap(Server(full, full, tmp_path / "answer.wav"), tally := Tally())
    assert tally.ok and tally.refused == ["full", "full"] and tally.latencies[0] > 0.02
    visitor.swap(Server(TimeoutError()), tally)
    assert not tally.ok and len(tally.lost) == 1


def test_memory_is_flat_if_the_second_half_adds_little():
    assert Tally(memory=[700, 900, 950]).is_flat and not Tally(memory=[700, 900, 970]).is_flat
