"""The loop: the same weights however often it is interrupted, by whatever."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from core.errors import RavelError
from core.training.engine import train
from core.training.run import Run
from core.training.schedule import learning_rate
from tests.core.training.toy import EXAMPLES, Toy, small

ROOT = Path(__file__).parents[3]


def new_run(tmp_path, name="run", **changes):
    config = small(**changes)
    return Run.create(tmp_path / name, config.model_dump()), config


def weights(run, state="last"):
    return run.load(state)[0]


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def train_whole(tmp_path, **changes):
    run, config = new_run(tmp_path, "whole", **changes)
    final = train(Toy(config), run, progress=False)
    return run, final


def worker(run, pause=0.05, launcher=()):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    script = [*launcher] or [sys.executable]
    return subprocess.Popen(
        [*script, str(ROOT / "tests/core/training/toy.py"), str(run.path), str(pause)],
        env=environment,
    )


def wait_for_step(run, step, timeout=60):
    deadline = time.monotonic() + timeout
    while max((r["step"] for r in run.metrics("train")), default=0) < step:
        assert time.monotonic() < deadline, "the worker does not get on"
        time.sleep(0.02)


def test_a_run_learns_and_finishes(tmp_path):
    run, final = train_whole(tmp_path)
    losses = [r["loss"] for r in run.metrics("train")]
    assert (final["state"], final["step"]) == ("finished", 30)
    assert run.state()["state"] == "finished"
    assert losses[-1] < losses[0] / 2
    assert [r["step"] for r in run.metrics("validation")] == [0, 5, 10, 15, 20, 25, 30]
    assert {r["stage"] for r in run.metrics("train") if r["step"] <= 10} == {"weights"}


def test_a_killed_run_resumes_to_the_same_weights(tmp_path):
    whole, _ = train_whole(tmp_path)
    run, config = new_run(tmp_path)
    process = worker(run)
    wait_for_step(run, 14)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run.state()["state"] == "failed"
    train(Toy(config), run, progress=False)
    assert same(weights(run), weights(whole))
    assert same(weights(run, "best"), weights(whole, "best"))


@pytest.mark.parametrize("how", ["stop file", signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_saves_first_and_resumes_to_the_same_weights(tmp_path, how):
    whole, _ = train_whole(tmp_path)
    run, config = new_run(tmp_path)
    process = worker(run)
    wait_for_step(run, 6)
    if how == "stop file":
        run.ask_to_stop()
    else:
        process.send_signal(how)
    assert process.wait(timeout=30) == 0
    assert run.state()["state"] == "stopped"
    assert run.load("last")[2]["step"] == run.state()["step"]
    train(Toy(config), run, progress=False)
    assert same(weights(run), weights(whole))


def test_two_processes_train_as_one_would_and_one_continues_what_two_began(tmp_path):
    """Without noise and with equal shares, averaged gradients are those of the whole batch."""
    steps = {"steps": 12, "batch_size": EXAMPLES}
    whole, config = new_run(tmp_path, "whole", **steps)
    train(Toy(config, noise=0.0), whole, progress=False)

    run, config = new_run(tmp_path, "two", **steps)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = tmp_path / "quiet_toy.py"
    text = (ROOT / "tests/core/training/toy.py").read_text()
    script.write_text(text.replace("noise: float = 0.1", "noise: float = 0.0"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*torchrun, str(script), str(run.path), "0.05"], env=environment)
    wait_for_step(run, 5)
    run.ask_to_stop()
    assert process.wait(timeout=60) == 0
    assert 5 <= run.state()["step"] < 12
    train(Toy(config, noise=0.0), run, progress=False)
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(run)[name], value)


def test_patience_ends_a_run_that_no_longer_improves(tmp_path):
    run, config = new_run(tmp_path, steps=10_000, patience=3, learning_rate=1e-12)
    final = train(Toy(config, noise=0.0), run, progress=False)
    # Best at step 10, where the second stage begins a new count; then three without a new best.
    assert final["reason"] == "stopped early"
    assert final["step"] < 100


def test_the_best_state_is_of_the_last_stage(tmp_path):
    run, _ = train_whole(tmp_path)
    assert run.load("best")[2]["stage"] == "all"


def test_a_loss_that_is_no_number_fails_with_advice(tmp_path):
    run, config = new_run(tmp_path, learning_rate=1e30)
    with pytest.raises(RavelError, match="learning_rate"):
        train(Toy(config), run, progress=False)
    assert run.state()["state"] == "failed"
    assert "learning_rate" in run.state()["message"]


def test_a_run_in_other_hands_is_left_alone(tmp_path):
    run, config = new_run(tmp_path)
    process = worker(run)
    wait_for_step(run, 2)
    with pytest.raises(RavelError, match="another process"):
        train(Toy(config), Run.open(run.path), progress=False)
    assert run.state()["state"] == "running"
    assert process.wait(timeout=60) == 0


def test_a_full_disk_fails_the_run_and_keeps_the_last_state(tmp_path, monkeypatch):
    run, config = new_run(tmp_path)
    saved = Run.save

    def full(self, name, model, optimizer, progress, *more):
        if progress["step"] > 12:
            raise OSError(28, "No space left on device")
        saved(self, name, model, optimizer, progress, *more)

    monkeypatch.setattr(Run, "save", full)
    with pytest.raises(RavelError, match="No space left"):
        train(Toy(config), run, progress=False)
    assert run.state()["state"] == "failed"
    assert run.load("last")[2]["step"] == 12


def test_a_last_batch_that_teaches_nothing_is_left_out(tmp_path):
    batches = []

    class Picky(Toy):
        def batch(self, indices):
            batches.append(len(indices))
            return super().batch(indices)

    for smallest, wanted in ((1, [7, 7, 7, 1]), (2, [7, 7, 7, 7])):
        run, config = new_run(tmp_path, f"run-{smallest}", steps=4, batch_size=7)
        task = Picky(config)
        task.smallest_batch = smallest
        train(task, run, progress=False)
        assert batches == wanted
        batches.clear()


def test_the_learning_rate_warms_up_and_falls_to_nothing():
    config = small(steps=100, schedule="cosine", warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))
    assert rates[-1] < 1e-3
    assert {learning_rate(small(), step) for step in range(9)} == {0.05}


def test_an_exponential_learning_rate_is_that_of_torch_and_halves_when_it_says():
    config = small(steps=100, schedule="exponential", half_life=40, learning_rate=0.2)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.2)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=2 ** (-1 / 40))
    for step in range(100):
        assert learning_rate(config, step) == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert learning_rate(config, 80) == pytest.approx(0.05)


def test_an_unknown_device_is_named(tmp_path):
    run, config = new_run(tmp_path, device="tpu9")
    with pytest.raises(RavelError, match="tpu9"):
        train(Toy(config), run, progress=False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_bf16_on_a_gpu_finishes(tmp_path):
    run, config = new_run(tmp_path, device="cuda", precision="bf16")
    assert train(Toy(config), run, progress=False)["state"] == "finished"
