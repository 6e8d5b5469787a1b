"""A grid as a sweep: what is left, how long it takes, on which devices, and as jobs."""

import queue
import time

import pytest

from core.cli import main
from core.errors import RavelError
from core.experiments import grid, runner, sweep
from core.training import estimate
from core.training.devices import Device
from core.training.estimate import Timing
from core.training.run import Run
from tests.core.experiments.test_grid import ROOT, written
from tests.core.test_cluster import results, wait_for

PAPERS = ROOT / "checkpoints" / "results"


def begun(planned, folder, step, seconds_a_step=None, state="stopped", **facts):
    """A run of a grid that has got to a step."""
    run = Run.create(folder / planned.name, planned.config.model_dump())
    run.write_state(state=state, step=step, **facts)
    if seconds_a_step:
        for stage, first in (("constrained", 0), ("informed", 10)):
            for number in range(first, first + 5):
                record = {"stage": stage, "time": 1000 + number * seconds_a_step}
                run.log("train", number, record)
    return run


def test_what_is_left_is_told_by_the_runs_folders(tmp_path):
    runs = grid.read(written(tmp_path, steps=40)).runs()
    begun(runs[0], tmp_path, 40, state="finished")
    begun(runs[1], tmp_path, 10)
    left = sweep.left(runs, tmp_path)
    assert [(one.state, one.part) for one in left[:3]] == [
        ("trained", 0),
        ("begun", 0.75),
        ("new", 1),
    ]


def test_the_time_is_that_of_runs_at_hand_and_else_of_measured_steps(tmp_path, monkeypatch):
    runs = grid.read(written(tmp_path, steps=40)).runs([0])
    begun(runs[3], tmp_path, 20, seconds_a_step=2.0)
    scored = begun(runs[1], tmp_path / "elsewhere", 40, state="finished", score_seconds=30)
    measured = []

    def measure(config, changes):
        measured.append((config, changes))
        return Timing({"constrained": 1.0, "informed": 3.0}, 10.0, "a few steps measured just now")

    monkeypatch.setattr(estimate, "measure", measure)
    said = []
    left = sweep.left(runs, tmp_path)
    found = sweep.estimate(left, [*sweep.at_hand(tmp_path), scored], said.append)
    # Ten steps of TS-DSAE are constrained and thirty informed; the baseline's only stage, which was
    # not measured by that name, counts as the slowest. There are three validations.
    assert found.training == pytest.approx(0.5 * 40 * 2.0 + 130 + 2 * 150)
    assert found.scoring == 4 * 30
    assert found.sources == {"runs at hand": 1, "measured": 3}
    assert len(measured) == 3 and measured[0][1]["training.steps"] > 0
    text = sweep.said(found, ["cuda:0", "cuda:1"])
    assert "0.1 hours of one run after the other" in text and "1 on cuda:0, 1 on cuda:1" in text


def test_a_dry_run_measures_real_steps_and_writes_nothing(tmp_path, melodies, capsys):
    path, runs = written(tmp_path, melodies), tmp_path / "runs"
    name = "z_size-4_variant-dsae_seed-0"
    given = ["grid", str(path), "--runs", str(runs), "--run", name, "--dry-run", "--jobs", "2"]
    assert main(given) == 0
    said = capsys.readouterr().out
    assert "1 run: 1 new" in said and "a few steps measured just now" in said
    assert "2 at once (2 on cpu)" in said and "no run has been scored yet" in said
    assert not runs.exists() and not path.with_suffix(".csv").exists()


def test_a_speed_that_cannot_be_measured_is_an_error(tmp_path, monkeypatch, capsys):
    def measure(config, changes):
        raise RavelError("data/none is no feature store.")

    monkeypatch.setattr(estimate, "measure", measure)
    assert main(["grid", str(written(tmp_path)), "--runs", str(tmp_path), "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "speed of z_size-4_variant-dsae_seed-0 cannot be measured: data/none is no" in said


def test_runs_are_dealt_to_the_devices_there_are(monkeypatch):
    cards = [Device("cuda:0", "a card"), Device("cuda:1", "a card")]
    monkeypatch.setattr(runner, "gpus", lambda: cards)
    assert runner.places() == ["cuda:0", "cuda:1"]
    assert runner.places(3) == ["cuda:0", "cuda:1", "cuda:0"]
    monkeypatch.setattr(runner, "gpus", lambda: [])
    assert runner.places(2) == ["cpu", "cpu"] and set(runner.places()) == {"cpu"}
    with pytest.raises(RavelError, match="--jobs is 0"):
        runner.places(0)


@pytest.mark.parametrize(("wish", "given"), [("auto", "cuda:1"), ("cpu", "cpu")])
def test_a_run_has_its_device_to_itself_and_gives_it_back(wish, given, tmp_path, monkeypatch):
    free, used = queue.Queue(), []
    free.put("cuda:1")
    monkeypatch.setattr(runner, "_free", free)

    def train(task, run):
        assert free.empty()
        used.append(task.training.device)
        return {"state": "stopped"}

    monkeypatch.setattr("core.training.engine.train", train)
    found = grid.read(written(tmp_path))
    found = found.model_copy(update={"settings": found.settings | {"training.device": wish}})
    job = runner.jobs_of(found, found.runs()[:1], tmp_path / "runs")[0]
    assert job("train") == "stopped"
    assert used == [given] and free.get_nowait() == "cuda:1"
    assert Run(job.path).config["training"]["device"] == wish


def test_the_runs_of_a_grid_are_jobs(tmp_path, melodies, capsys):
    path, runs = written(tmp_path, melodies, steps=6), tmp_path / "runs"
    given = ["grid", str(path), "--runs", str(runs), "--seeds", "0", "--only", "z_size-4"]
    jobs = ["--launcher", "local", "--jobs", "1", "--part", "train", "--hours", "0.2"]
    assert main([*given, *jobs]) == 0
    assert "2 runs in 1 job," in capsys.readouterr().out
    wait_for(lambda: results(runs / ".jobs"), "end of the job")
    assert results(runs / ".jobs") == ["success"]
    finished = [run for run in sweep.at_hand(runs) if grid.is_trained(run)]
    assert len(finished) == 2 and all(run.state()["step"] == 6 for run in finished)


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (["paper-ts-dsae-dmelodies", "paper-ts-dsae-urmp"], 288),
        (["paper-waspaa"], 18),
    ],
)
def test_the_papers_grids_can_be_read(names, count):
    before = time.monotonic()
    assert sum(len(grid.read(PAPERS / f"{name}.toml").runs()) for name in names) == count
    assert time.monotonic() - before < 60
