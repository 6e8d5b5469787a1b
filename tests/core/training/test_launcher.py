"""Runs started as processes of their own: real workers, on a corpus of 36 real clips."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import soundfile
import torch

from core import jobs
from core.dsae import trajectory
from core.dsae.config import DsaeConfig, preset
from core.errors import RavelError
from core.files import write_json
from core.training import launcher
from core.training.config import merge
from core.training.estimate import from_runs, measure, timing
from core.training.queue import waiting
from core.training.run import Run
from tests.core.training import fake_nvml

STEPS = 60
SAVED = (20, 40, 60)  # steps at which the state is saved and sounds are kept


def config(store, **changes):
    small = {
        "data.store": str(store),
        "model.hidden": 8,
        "objective.stage1_steps": STEPS // 2,
        "training.steps": STEPS,
        "training.batch_size": 4,
        "training.validate_every": 15,
        "training.checkpoint_every": SAVED[0],
        "training.log_every": 5,
        "training.device": "cpu",
    }
    return DsaeConfig.parse(merge(merge(preset("quick"), small), changes)).model_dump()


def wait(until, seconds=240):
    deadline = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
    return found


@pytest.fixture(autouse=True)
def no_survivors(tmp_path):
    """A test that fails leaves no worker behind, which would train on and on."""
    yield
    for config_file in tmp_path.rglob("config.json"):
        for pid in workers_of(Run(config_file.parent)):
            os.kill(pid, signal.SIGKILL)


def end_of(run):
    wait(lambda: not run.held)
    return run.state()


def step_of(run):
    return max((record["step"] for record in run.metrics("train")), default=0)


@pytest.fixture
def busy_cpu(tmp_path):
    """The lock of this machine's CPU among the runs of this test, held by another process."""
    (tmp_path / ".devices").mkdir()
    with open(tmp_path / ".devices" / f"{socket.gethostname()}-cpu.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


@pytest.fixture(scope="module")
def pair(melodies, tmp_path_factory):
    """Two runs of the same settings started in the same moment, both at their end."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    with ThreadPoolExecutor(2) as two:
        begun = [two.submit(launcher.start_numbered, folder, config(melodies)) for _ in range(2)]
        both = sorted((future.result() for future in begun), key=lambda run: run.path.name)
    for run in both:
        end_of(run)
    return both


def test_two_starts_at_once_make_two_runs_and_one_waits_for_the_other(pair):
    assert [run.path.name for run in pair] == ["mine", "mine-2"]
    assert [run.state()["state"] for run in pair] == ["finished", "finished"]
    spans = sorted((r[0]["time"], r[-1]["time"]) for r in (list(run.metrics()) for run in pair))
    assert spans[0][1] < spans[1][0]
    assert "finished at step 60" in (pair[0].path / "log.txt").read_text()


def test_what_the_model_sounds_like_is_kept_along_the_way(pair):
    folders = sorted((pair[0].path / "samples").iterdir())
    assert [folder.name for folder in folders] == [f"step_{n:06d}" for n in SAVED]
    for folder in (folders[0], folders[-1]):
        assert [soundfile.info(file).duration for file in sorted(folder.glob("*.wav"))] == [4.0] * 4
    early, late = ((f / "1 source rebuilt.wav").read_bytes() for f in (folders[0], folders[-1]))
    assert early != late
    for space in ("v", "z"):
        found = trajectory.read(dict(zip(SAVED, folders, strict=True)), space)
        assert found.points.shape == (3, 6, 2)  # of the 6 validation clips
        assert set(found.labels) == {"Trumpet", "Violin"}


def test_a_worker_has_a_session_of_its_own_and_holds_its_run_from_the_first_moment(
    melodies, tmp_path, busy_cpu
):
    run = launcher.start(tmp_path / "run", config(melodies))
    assert run.held
    assert run.state()["state"] == "queued"
    pid = wait(lambda: run.state().get("pid"))
    assert os.getsid(pid) == pid != os.getsid(0)
    os.kill(pid, signal.SIGKILL)
    wait(lambda: not run.held)
    assert run.state()["state"] == "failed"
    assert "resume" in run.state()["message"]


def test_a_killed_run_is_resumed_to_the_weights_of_one_that_was_not(pair, melodies, tmp_path):
    run = launcher.start(tmp_path / "run", config(melodies))
    wait(lambda: step_of(run) >= STEPS // 2 + 5)
    os.kill(run.state()["pid"], signal.SIGKILL)
    assert end_of(run)["state"] == "failed"

    launcher.resume(run)
    assert end_of(run)["state"] == "finished"
    whole, again = pair[0].load("last")[0], run.load("last")[0]
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_runs_wait_in_the_order_they_came_and_are_stopped_while_they_wait(
    melodies, tmp_path, busy_cpu
):
    names = ["b", "a", "c"]
    for name in names:
        run = launcher.start(tmp_path / name, config(melodies))
        wait(lambda run=run: run.state().get("since"))
    queue = waiting(tmp_path, "cpu")
    assert [run.path.name for run in queue] == names
    for run in queue:
        launcher.stop(run)
    for run in queue:
        assert end_of(run)["state"] == "stopped"
        assert not list(run.metrics())


def test_a_stop_requested_before_the_worker_is_up_is_not_forgotten(melodies, tmp_path):
    run = launcher.start(tmp_path / "run", config(melodies, **{"training.steps": 100_000}))
    launcher.stop(run)
    assert end_of(run)["state"] == "stopped"


def test_of_two_that_resume_a_run_at_once_one_gets_an_error(melodies, tmp_path, busy_cpu):
    Run.create(tmp_path / "run", config(melodies))
    with ThreadPoolExecutor(2) as two:
        both = [two.submit(launcher.resume, Run(tmp_path / "run")) for _ in range(2)]
    errors = [future.exception() for future in both]
    assert sum(error is None for error in errors) == 1
    assert any("another process" in str(error) for error in errors)

    run = Run(tmp_path / "run")
    with pytest.raises(RavelError, match="another process"):
        launcher.delete(run)
    wait(lambda: run.state().get("pid"))
    launcher.kill(run)
    assert not run.held
    launcher.delete(run)
    assert [path.name for path in tmp_path.iterdir()] == [".devices"]


def test_the_reason_why_a_worker_failed_is_in_the_run_s_state(tmp_path):
    run = launcher.start(tmp_path / "run", config(tmp_path / "nothing"))
    ended = end_of(run)
    assert ended["state"] == "failed"
    assert "no feature store" in ended["message"]


def test_a_run_says_why_it_failed_also_where_no_file_can_be_added(tmp_path, monkeypatch):
    run = Run.create(tmp_path / "run", {})
    run.write_state(state="running", step=7)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    run.fail("the disk is full")
    assert run.state()["message"] == "the disk is full"
    assert run.state()["step"] == 7


def test_what_watches_and_starts_runs_does_without_torch():
    rooms = (
        "core.training.launcher, core.training.estimate, core.dsae.config, lab.training.run_view"
    )
    script = f"import sys, {rooms}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=jobs.ROOT).returncode == 0


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "-rf", "x" * 101, "naïve run"])
def test_a_name_that_cannot_be_a_folder_is_refused(tmp_path, name):
    with pytest.raises(RavelError, match="cannot be called"):
        launcher.check_name(name)


def test_the_time_is_estimated_from_an_earlier_run_of_the_same_work(pair, melodies):
    longer = config(melodies, **{"training.steps": 6000, "objective.stage1_steps": 600})
    found = from_runs(longer, pair, {"constrained", "informed"})
    assert found.source in ("run mine", "run mine-2")
    assert set(found.step) == {"constrained", "informed"}
    assert from_runs(config(melodies, **{"model.hidden": 9}), pair, {"informed"}) is None


def test_the_time_is_estimated_from_a_few_real_steps(melodies):
    whole = DsaeConfig.parse(config(melodies))
    found = measure(whole.model_dump(), whole.shortened(3))
    assert set(found.step) == {"constrained", "informed"}
    assert found.seconds(whole.model_dump(), whole.stage) > STEPS * min(found.step.values())
    with pytest.raises(RavelError, match="no label column called 'colour'"):
        measure(merge(whole.model_dump(), {"data.factor": "colour"}), whole.shortened(3))


def test_a_pace_is_worked_out_from_the_clock_of_the_records():
    """Steps of 2 s, then of 1 s; a validation of 7 s after every tenth step."""
    records, clock = [], 0.0
    for step in range(1, 41):
        stage = "first" if step <= 20 else "second"
        clock += 2.0 if step <= 20 else 1.0
        records.append({"kind": "train", "step": step, "time": clock, "stage": stage})
        if step % 10 == 0:
            clock += 7.0
            records.append({**records[-1], "kind": "validation", "time": clock})
    found = timing(records, "a test")
    assert found.step == {"first": 2.0, "second": 1.0}
    assert found.validation == 7.0
    training = {"training": {"steps": 40, "validate_every": 10}}
    total = found.seconds(training, lambda step: "first" if step < 20 else "second")
    assert total == 20 * 2 + 20 * 1 + 5 * 7


def together(melodies) -> dict:
    """A run by two processes that does not end by itself, and makes no sounds on its way."""
    changes = {"training.processes": 2, "training.steps": 100_000, "training.log_every": 1}
    return config(melodies, **changes, **{"training.checkpoint_every": 100_000})


def test_two_processes_are_stopped_and_one_goes_on_to_the_end(melodies, tmp_path):
    run = launcher.start(tmp_path / "run", together(melodies))
    wait(lambda: step_of(run) >= 2)
    assert run.held and run.state()["state"] == "running"
    assert len(workers_of(run)) == 3  # the one above and its two
    launcher.stop(run)
    assert end_of(run)["state"] == "stopped"
    reached = run.load("last")[2]["step"]
    assert reached >= 2

    write_json(run.path / "config.json", merge(run.config, {"training.steps": reached + 40}))
    launcher.resume(run, ("cpu", 1))
    wait(lambda: step_of(run) > reached)
    assert len(workers_of(run)) == 1
    assert end_of(run)["state"] == "finished"
    assert run.load("last")[2]["step"] == reached + 40


@pytest.mark.parametrize("victim", ["the one above", "the second"])
def test_when_one_of_several_processes_is_killed_all_end_and_the_run_says_so(
    melodies, tmp_path, victim
):
    run = launcher.start(tmp_path / "run", together(melodies))
    wait(lambda: step_of(run) >= 1)
    above = os.getpgid(run.state()["pid"])
    first = run.state()["pid"]
    (second,) = set(workers_of(run)) - {above, first}
    os.kill(above if victim == "the one above" else second, signal.SIGKILL)
    wait(lambda: run.state()["state"] == "failed")
    assert "resume" in end_of(run)["message"]
    wait(lambda: not workers_of(run))


def test_two_processes_are_ended_by_force_together(melodies, tmp_path):
    run = launcher.start(tmp_path / "run", together(melodies))
    wait(lambda: step_of(run) >= 1)
    launcher.kill(run)
    wait(lambda: not run.held and not workers_of(run))
    assert run.state()["state"] in (
        "stopped",
        "failed",
    )  # SIGTERM comes first, at which it mostly saves


def test_a_run_on_two_devices_waits_for_both_and_others_wait_behind_it(
    melodies, tmp_path, monkeypatch
):
    gpus = [(f"GPU-{n}", "Small", 8192, 1024, 90) for n in range(2)]
    fake_nvml.install(tmp_path, monkeypatch, gpus)
    (tmp_path / "runs" / ".devices").mkdir(parents=True)
    lock = tmp_path / "runs" / ".devices" / f"{socket.gethostname()}-cuda1.lock"
    with open(lock, "a") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        places = {"both": ("cuda", 2), "one": ("cuda:0", 1)}
        queue = []
        for name, (device, count) in places.items():
            where = {"training.device": device, "training.processes": count}
            queue.append(launcher.start(tmp_path / "runs" / name, config(melodies, **where)))
            wait(lambda: queue[-1].state().get("since"))
        time.sleep(1.5)  # a few looks
        assert [run.path.name for run in waiting(tmp_path / "runs", "cuda:0")] == ["both", "one"]
        for run in queue:
            launcher.stop(run)
        assert {end_of(run)["state"] for run in queue} == {"stopped"}


def workers_of(run) -> list[int]:
    """The processes whose command line names the run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(run.path.resolve()) in (folder / "cmdline").read_text().split("\0"):
                state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
                found += [int(folder.name)] if state != "Z" else []
        except OSError:  # it ended while we looked
            continue
    return found
