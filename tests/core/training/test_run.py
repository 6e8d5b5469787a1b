"""A run's directory: lock, state, metrics, saved states, whatever happens to the process."""

import json
import subprocess
import sys
import time

import pytest
import torch

from core.errors import RavelError
from core.training.run import Run, restore_optimizer

HOLDER = """
import sys, time
from core.training.run import Run
run = Run.open(sys.argv[1])
run.hold()
run.write_state(state="running")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", {"system": "dsae"})


def test_a_run_is_not_made_where_one_stands(run):
    with pytest.raises(RavelError, match="already"):
        Run.create(run.path, {})


def test_opening_a_folder_that_is_no_run_says_so(tmp_path):
    with pytest.raises(RavelError, match="no run"):
        Run.open(tmp_path)


def test_a_killed_worker_loses_its_lock_and_the_state_is_failed(run):
    worker = subprocess.Popen([sys.executable, "-c", HOLDER, run.path], stdout=subprocess.PIPE)
    assert worker.stdout.readline() == b"held\n"
    assert run.held
    assert run.state()["state"] == "running"
    with pytest.raises(RavelError, match="another process"):
        run.hold()
    assert run.state()["state"] == "running"

    worker.kill()
    worker.wait()
    assert not run.held
    assert run.state()["state"] == "failed"
    assert "resume" in run.state()["message"]
    run.hold()
    run.release()


def test_a_half_written_line_of_metrics_is_passed_over_and_later_lines_stand(run):
    run.log("train", 1, {"loss": 2.0})
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"kind": "train", "step": 2, "lo')
    assert [r["step"] for r in run.metrics()] == [1]
    run.log("train", 3, {"loss": 1.0})
    assert [r["step"] for r in run.metrics("train")] == [1, 3]


def test_a_saved_state_comes_back_bit_for_bit(run):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    run.save("last", model, optimizer, {"step": 7, "best": None})

    weights, slots, progress = run.load("last")
    other = torch.nn.Linear(3, 2)
    other.load_state_dict(weights)
    again = torch.optim.Adam(other.parameters())
    restore_optimizer(again, slots)
    assert progress == {"step": 7, "best": None}
    assert torch.equal(other.weight, model.weight)
    kept, fresh = optimizer.state_dict()["state"], again.state_dict()["state"]
    assert all(torch.equal(kept[i][s], fresh[i][s]) for i in kept for s in kept[i])


def test_a_damaged_saved_state_is_named(run):
    (run.path / "checkpoints").mkdir()
    (run.path / "checkpoints" / "last.safetensors").write_bytes(b"not tensors")
    with pytest.raises(RavelError, match="damaged"):
        run.load("last")


def test_the_state_file_is_never_half_written(run):
    """A reader that looks all the time sees only whole states."""
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys\nfrom core.training.run import Run\nrun = Run.open(sys.argv[1])\n"
            "for step in range(10**6): run.write_state(state='running', step=step)",
            run.path,
        ]
    )
    seen, deadline = set(), time.monotonic() + 20
    while len(seen) < 20 and time.monotonic() < deadline:
        seen.add(json.loads((run.path / "state.json").read_text())["step"])
    writer.kill()
    writer.wait()
    assert len(seen) == 20
