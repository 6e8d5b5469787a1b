"""Commands as jobs: by submitit's local executor really run, and for Slurm as far as its files."""

import os
import pickle
import threading
import time

import numpy as np
import pytest
import soundfile

from core import cluster, registry
from core.cli import main
from core.data.store import FeatureStore
from core.errors import RavelError
from core.training.config import merge
from core.training.run import Run
from tests.core.training.test_any_corpus import CORPORA, SYSTEMS, store

PATIENCE = 240
TRAINING = {
    "steps": 30,
    "batch_size": 4,
    "validate_every": 15,
    "checkpoint_every": 10,
    "log_every": 1,
}


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.1)


def results(folder):
    """What the jobs whose files are in a folder ended in, by submitit's files."""
    return [pickle.loads(file.read_bytes())[0] for file in folder.glob("*_result.pkl")]


def new_run(folder, **training):
    path = store(folder / "store", CORPORA["unlabelled"]).path
    changes = {"data": {"store": str(path)}, "training": TRAINING | {"device": "cpu"} | training}
    config = registry.parse(merge(SYSTEMS["dsae"], {"system": "dsae"} | changes))
    return Run.create(folder / "run", config.model_dump())


def test_a_run_of_two_processes_is_a_job_with_two_tasks(tmp_path):
    run = new_run(tmp_path, processes=2)
    assert main(["train", "--resume", str(run.path), "--launcher", "local", "--hours", "0.2"]) == 0
    assert run.state()["state"] in ("queued", "running", "finished")
    wait_for(lambda: len(results(run.path / "job")) == 2, "end of both tasks")
    assert results(run.path / "job") == ["success", "success"]
    assert (run.state()["state"], run.state()["step"]) == ("finished", 30)
    assert "finished at step 30" in (run.path / "log.txt").read_text()
    assert [record["step"] for record in run.metrics("train")] == list(range(1, 31))


def test_a_corpus_is_built_by_a_job_for_each_shard(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        soundfile.write(tmp_path / "mine" / f"{number}.wav", rng.uniform(-0.5, 0.5, 16_000), 16_000)
    out = tmp_path / "store"
    built = ["data", "folder", str(tmp_path / "mine"), "--out", str(out), "--workers", "1"]
    assert main([*built, "--shards", "2"]) == 2
    assert "--shards needs --launcher" in capsys.readouterr().err
    assert main([*built, "--shards", "2", "--launcher=local", "--hours", "0.2"]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    wait_for(lambda: len(results(tmp_path / ".jobs" / "store")) == 2, "end of both jobs")
    assert results(tmp_path / ".jobs" / "store") == ["success", "success"]
    assert main(said.removeprefix("then: python -m core ").split()) == 0
    assert len(FeatureStore.open(out)) == 10


def test_a_job_that_is_interrupted_goes_on_in_the_next_one(tmp_path):
    run = new_run(tmp_path, steps=120)
    command = cluster.Command([["train", "--resume", str(run.path)]], log=str(tmp_path / "log.txt"))
    after = []

    def interrupt():  # as submitit does when Slurm announces it
        wait_for(lambda: any(True for _ in run.metrics("train")), "step")
        after.append(command.checkpoint())

    thread = threading.Thread(target=interrupt)
    thread.start()
    command()
    thread.join()
    stopped = run.state()
    assert stopped["state"] == "stopped" and 0 < stopped["step"] < 120
    again = pickle.loads(pickle.dumps(after[0].function))
    again()
    assert (run.state()["state"], run.state()["step"]) == ("finished", 120)


def test_a_job_whose_command_fails_does_the_others_and_fails(tmp_path):
    log = tmp_path / "log.txt"
    commands = [["train", "--resume", str(tmp_path / "nothing")], ["hub", "--help"]]
    with pytest.raises(RavelError, match=r"train --resume .*nothing failed"):
        cluster.Command(commands, log=str(log))()
    assert "There is no run" in log.read_text() and "push-space" in log.read_text()


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Slurm's commands, which take a job and run none; the file that sbatch took last."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, text in {
        "srun": "exit 0",
        "sbatch": f'cp "$1" {folder}/taken.sh; echo Submitted batch job 4711',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder / "taken.sh"


def test_slurm_is_asked_for_what_the_run_needs_and_the_run_waits(slurm, tmp_path, capsys):
    run = new_run(tmp_path, processes=8, device="auto")
    given = [
        "--launcher",
        "slurm",
        "--nodes",
        "2",
        "--hours",
        "1.5",
        "--job",
        "slurm_partition=fast",
    ]
    assert main(["train", "--resume", str(run.path), *given]) == 0
    assert "as job 4711" in capsys.readouterr().out
    asked = slurm.read_text()
    for line in ("nodes=2", "ntasks-per-node=8", "gpus-per-node=8", "time=90", "partition=fast"):
        assert f"#SBATCH --{line}\n" in asked
    assert "_submit" in asked
    assert (run.state()["state"], run.state()["job"]) == ("queued", "slurm")
    # Days later it still waits; a run whose process has died would be said to have failed.
    os.utime(run.path / "lock", (0, 0))
    run.write_state(heartbeat=0)
    assert run.state()["state"] == "queued"
    run.ask_to_stop()  # and is stopped once its turn comes
    assert main(["train", "--resume", str(run.path)]) == 0
    assert (run.state()["state"], run.state()["step"]) == ("stopped", 0)
    run.write_state(state="running", job="slurm")
    assert run.state()["state"] == "failed"


def test_shards_are_one_array_of_slurm(slurm, tmp_path, capsys):
    given = ["data", "dmelodies", "--out", str(tmp_path / "melodies"), "--count", "100"]
    assert main([*given, "--shards", "4", "--launcher", "slurm", "--gpus", "0"]) == 0
    assert "#SBATCH --array=0-3" in slurm.read_text()
    assert "data merge" in capsys.readouterr().out


def test_what_cannot_be_submitted_is_refused_before_anything_is_written(
    tmp_path, capsys, monkeypatch
):
    out = ["train", "dsae", "--out", str(tmp_path / "run"), "--launcher"]

    def refused(*words):
        assert main([*out, *words]) == 2
        assert not (tmp_path / "run").exists()
        return capsys.readouterr().err

    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no srun here" in refused("slurm")
    assert "give submitit's options as KEY=VALUE" in refused("local", "--job", "partition")
    assert "has one machine" in refused("local", "--nodes", "2")
    assert "must be above zero" in refused("local", "--hours", "0")
    monkeypatch.setitem(__import__("sys").modules, "submitit", None)
    assert "pip install" in refused("local")


def test_options_that_submitit_does_not_take_fail_the_run_with_its_words(tmp_path):
    run = new_run(tmp_path)
    given = ["--launcher", "local", "--job", "flavour=vanilla"]
    assert main(["train", "--resume", str(run.path), *given]) == 2
    assert run.state()["state"] == "failed" and "flavour" in run.state()["message"]
