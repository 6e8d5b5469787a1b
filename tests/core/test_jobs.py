"""Processes beside the caller: real ones, of a module that needs no torch."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from core import jobs
from core.errors import RavelError
from core.jobs import Job, Progress


def wait(until, seconds=30):
    deadline = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
    return found


@pytest.fixture
def job_that(tmp_path):
    """A job that ends as named, its result the file `result`."""
    made = []

    def make(then: str) -> tuple[Job, Callable[[], Progress]]:
        result = tmp_path / "job" / "result"
        job = Job(tmp_path / "job", "tests.core.job_child", [str(result), then])
        made.append(job)
        return job, lambda: job.progress(result.exists)

    yield make
    for job in made:
        job.stop()


def test_a_job_runs_beside_the_caller_once_and_reports_until_it_is_done(job_that, tmp_path):
    job, progress = job_that("wait")
    assert progress() == Progress("missing") and not job.is_running
    prepared = []
    assert job.start("Starting", prepare=lambda: prepared.append(1))
    assert job.is_running and progress().state == "running"
    assert job.start(prepare=lambda: prepared.append(2)) is None  # one is enough
    assert prepared == [1]
    wait(lambda: progress() == Progress("running", 0.5, "half of it"))
    (tmp_path / "job" / "go").touch()
    wait(lambda: not job.is_running)
    assert progress() == Progress("done", 1.0)
    assert job.log == "some output\n"
    assert not (tmp_path / "job" / "process.json").exists()
    (tmp_path / "job" / "result").unlink()  # as when a cache is cleared
    assert progress() == Progress("missing")


@pytest.mark.parametrize(
    ("how", "why"), [("fail", "There is no such thing."), ("crash", "ValueError: a bug")]
)
def test_a_job_that_failed_says_why_and_can_be_started_again(job_that, how, why):
    job, progress = job_that(how)
    job.start()
    wait(lambda: not job.is_running)
    assert progress() == Progress("failed", 0.0, why)
    assert job.start()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_job_that_was_ended_has_failed(job_that, how):
    job, progress = job_that("wait")
    pid = job.start()
    assert os.getsid(pid) == pid  # in a session of its own
    if how == "killed":
        os.kill(pid, signal.SIGKILL)
    else:
        job.stop()
    wait(lambda: not job.is_running)
    assert progress().state == "failed"
    assert progress().text in ("its process was ended", "some output")
    job.stop()  # there is nothing to stop any more


def test_a_job_outlives_the_process_that_started_it(job_that, tmp_path):
    job, progress = job_that("wait")
    script = (
        "import sys; from pathlib import Path; from core.jobs import Job;"
        "Job(Path(sys.argv[1]), 'tests.core.job_child', [sys.argv[1] + '/result', 'wait']).start()"
    )
    command = [sys.executable, "-c", script, str(job.folder)]
    subprocess.run(command, cwd=jobs.ROOT, check=True)
    assert progress().state == "running"
    (job.folder / "go").touch()
    wait(lambda: progress().state == "done")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RavelError, match="cannot be written"):
        Job(tmp_path / "file" / "in it", "tests.core.job_child").start()


def test_a_command_is_run_to_its_end_or_for_so_long(tmp_path):
    done = jobs.run("tests.core.job_child", [str(tmp_path / "result"), "fail"], seconds=60)
    assert done.returncode == 2 and "no such thing" in done.stdout
    with pytest.raises(TimeoutError):
        jobs.run("tests.core.job_child", [str(tmp_path / "result"), "wait"], seconds=0.2)


@pytest.fixture
def worker():
    """A worker that does the jobs of `job_child`."""
    worker = jobs.Worker("tests.core.job_child")
    worker.start()
    yield worker
    worker.stop()


def of_worker(folder, then: str) -> tuple[Job, Callable[[], Progress]]:
    job = Job(folder, "tests.core.job_child", [str(folder / "result"), then])
    return job, lambda: job.progress((folder / "result").exists)


def test_a_worker_does_one_job_after_another_in_one_process(worker, tmp_path):
    first, second = (of_worker(tmp_path / name, then) for name, then in (("a", "wait"), ("b", "")))
    for job, progress in (first, second):
        assert job.start("Starting", worker=worker) == worker.pid
        assert job.start(worker=worker) is None and job.is_running
        assert progress().state == "running"
    wait(lambda: first[1]().part == 0.5)
    assert second[1]() == Progress("running", 0.0, "Starting")  # its turn has not come
    (tmp_path / "a" / "go").touch()
    for job, progress in (first, second):
        wait(lambda job=job: not job.is_running)
        assert progress() == Progress("done", 1.0) and job.log == "some output\n"
    assert not list(tmp_path.glob("*/process.json")) and worker.is_running


@pytest.mark.parametrize(
    ("how", "why"), [("fail", "There is no such thing."), ("crash", "ValueError: a bug")]
)
def test_a_job_that_fails_leaves_its_reason_and_the_worker(worker, tmp_path, how, why):
    job, progress = of_worker(tmp_path / "bad", how)
    job.start(worker=worker)
    wait(lambda: not job.is_running)
    assert progress() == Progress("failed", 0.0, why)
    good, progress = of_worker(tmp_path / "good", "")
    good.start(worker=worker)
    wait(lambda: progress().state == "done")


def test_jobs_of_a_worker_that_is_killed_have_failed_and_it_can_be_started_again(worker, tmp_path):
    job, progress = of_worker(tmp_path / "a", "wait")
    job.start(worker=worker)
    wait(lambda: progress().part == 0.5)
    worker.stop()
    wait(lambda: progress().state == "failed")
    with open(tmp_path / "file", "w") as lock:
        assert worker.take(job, lock) is False
    before = worker.pid
    worker.start()
    (tmp_path / "a" / "go").touch()
    assert job.start(worker=worker) == worker.pid != before
    wait(lambda: progress().state == "done")


def test_a_worker_ends_with_the_process_that_started_it():
    code = (
        "import sys, time; from core import jobs; worker = jobs.Worker('tests.core.job_child');"
        "worker.start(); print(worker.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=jobs.ROOT, stdout=subprocess.PIPE)
    pid = int(parent.stdout.readline())
    os.kill(pid, 0)
    parent.kill()
    parent.wait()
    wait(lambda: not os.path.exists(f"/proc/{pid}") or "Z" in state_of(pid))


def state_of(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2]
