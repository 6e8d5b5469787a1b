"""A grid as a file, and the same grid really run: interrupted, continued, scored, in one table."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.cli import main
from core.errors import RavelError
from core.experiments import grid
from core.training.run import Run

ROOT = Path(__file__).parents[3]
TEXT = """
title = "Two models"
system = "dsae"
preset = "quick"
seeds = [0, 1]
state = "last"
evaluate = ["--data", "{store}"{options}]
[settings]
"data.store" = "{store}"
"model.hidden" = 8
"objective.stage1_steps" = 10
"training.steps" = {steps}
"training.batch_size" = 4
"training.validate_every" = 20
"training.checkpoint_every" = 10
[[tables]]
name = "models"
rows = {{ "objective.variant" = ["dsae", "ts-dsae"] }}
columns = {{ "model.z_size" = [4, 8] }}
[[tables]]
name = "again"
settings = {{ "model.z_size" = 4 }}
rows = {{ "objective.variant" = ["dsae"] }}
"""


def written(folder, store="data/none", steps=40, options="", text=TEXT):
    path = folder / "two.toml"
    path.write_text(text.format(store=store, steps=steps, options=options))
    return path


def test_a_cell_that_stands_in_two_tables_is_one_run_for_each_seed(tmp_path):
    runs = grid.read(written(tmp_path)).runs()
    assert [run.seed for run in runs] == [0] * 4 + [1] * 4
    assert len({run.name for run in runs}) == 8
    assert runs[0].name == "z_size-4_variant-dsae_seed-0"
    first = runs[0].config
    assert (first.model.z_size, first.objective.variant, first.training.seed) == (4, "dsae", 0)
    assert first.training.schedule == "cosine"  # the preset's
    assert runs[0].settings == {"model.z_size": "4", "objective.variant": "dsae"}


def test_cells_beyond_rows_and_columns_are_run_too_and_tell_what_differs(tmp_path):
    more = TEXT + 'more = [{{ "objective.v_gswap" = 0.0 }}]'
    found = grid.read(written(tmp_path, text=more))
    assert found.tables[1].axes() == ["objective.variant", "objective.v_gswap"]
    assert [cell.get("objective.v_gswap") for cell in found.tables[1].cells()] == [None, 0.0]
    assert "z_size-4_v_gswap-0.0_seed-0" in {run.name for run in found.runs()}


def test_only_settings_that_vary_become_columns_and_names(tmp_path):
    one = TEXT.replace('["dsae", "ts-dsae"]', '["ts-dsae"]').replace('["dsae"]', '["ts-dsae"]')
    found = grid.read(written(tmp_path, text=one))
    assert found.varied() == ["model.z_size"]
    assert [run.name for run in found.runs([3])] == ["z_size-4_seed-3", "z_size-8_seed-3"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"model.z_size" = [4, 8]', '"model.z_sice" = [4, 8]', "did you mean model.z_size"),
        ("[4, 8]", "[4, -1]", "model.z_size cannot be -1"),
        ('"dsae", "ts-dsae"', '"dsae", "tsdsae"', "objective.variant cannot be 'tsdsae'"),
        ('preset = "quick"', 'preset = "quik"', "no preset called 'quik'"),
        ('system = "dsae"', 'system = "vae"', "no system called 'vae'"),
        ("seeds = [0, 1]", "seeds = []", "seeds"),
        ("title =", "titel =", "title is missing"),
        ("[settings]", "[settings", "not a grid in TOML"),
    ],
)
def test_a_mistake_is_reported_before_anything_is_trained(tmp_path, old, new, message):
    with pytest.raises(RavelError, match=message):
        grid.read(written(tmp_path, text=TEXT.replace(old, new)))


def test_a_missing_grid_and_a_folder_are_refused(tmp_path, capsys):
    assert main(["grid", str(tmp_path / "none.toml")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
    assert main(["grid", str(tmp_path)]) == 2
    assert "Is a directory" in capsys.readouterr().err


def test_list_says_what_would_be_run_and_runs_nothing(tmp_path, capsys):
    path = written(tmp_path)
    assert main(["grid", str(path), "--runs", str(tmp_path / "runs"), "--list"]) == 0
    assert len(capsys.readouterr().out.split()) == 8
    assert not (tmp_path / "runs").exists()


def test_a_grid_that_is_interrupted_goes_on_and_ends_in_one_table(tmp_path, melodies):
    silent = ', "--melodies", "0"'  # resynthesis and CREPE are tested with the scores
    path = written(tmp_path, melodies, steps=2_000, options=silent)
    runs, seconds = tmp_path / "runs", 240
    command = [sys.executable, "-m", "core", "grid", str(path), "--runs", str(runs)]
    command += ["--seeds", "0", "--only", "z_size-4", "--jobs", "1"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # Tests that run in the background ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    first = Run(runs / "z_size-4_variant-dsae_seed-0")
    deadline = time.monotonic() + seconds
    while not first.has("last"):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and b"Traceback" not in errors
    stopped = first.state()
    assert stopped["state"] == "stopped" and 0 < stopped["step"] < 2_000
    assert not (tmp_path / "two.csv").exists()

    shorter = {**first.config, "training": {**first.config["training"], "steps": stopped["step"]}}
    (first.path / "config.json").write_text(json.dumps(shorter))
    path = written(tmp_path, melodies, steps=stopped["step"], options=silent)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr
    assert "2/2" in done.stdout and "failed" not in done.stdout
    trained = [record["step"] for record in first.metrics("train")]
    assert trained == sorted(set(trained))  # it was continued, not begun again

    with open(tmp_path / "two.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["objective.variant"] for line in lines] == ["dsae", "ts-dsae"]
    for line in lines:
        kept = json.loads((runs / line["run"] / "checkpoint" / "metrics.json").read_text())
        kept = kept[melodies.name]
        assert float(line["mse"]) == kept["mse"]["value"]
        assert float(line["mse_low"]) == kept["mse"]["low"]
        assert line["seed"] == "0" and int(line["steps"]) == stopped["step"]
    before = (first.path / "metrics.jsonl").stat().st_mtime_ns
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    assert again.returncode == 0
    assert (first.path / "metrics.jsonl").stat().st_mtime_ns == before  # what is done is skipped


def by_itself(*given) -> str:
    """What the command says, in a process of its own: it starts others, which repeat its start."""
    command = [sys.executable, "-m", "core", "grid", *map(str, given)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_a_run_with_other_settings_in_its_place_is_not_overwritten(tmp_path, melodies):
    path, runs = written(tmp_path, melodies), tmp_path / "runs"
    name = "z_size-4_variant-dsae_seed-0"
    Run.create(runs / name, {"system": "dsae"})
    said = by_itself(path, "--runs", runs, "--only", name, "--jobs", 1)
    assert "failed" in said and "made with other settings" in said
    assert not path.with_suffix(".csv").exists()
    assert json.loads((runs / name / "config.json").read_text()) == {"system": "dsae"}


def test_a_run_from_before_a_setting_was_there_is_continued(tmp_path, melodies):
    path, runs = written(tmp_path, melodies), tmp_path / "runs"
    planned = grid.read(path).runs()[0]
    older = planned.config.model_dump()
    del older["training"]["amsgrad"]
    run = Run.create(runs / planned.name, older)
    run.write_state(state="finished", step=0)
    options = ("--runs", runs, "--only", planned.name, "--jobs", 1, "--part", "train")
    assert f"{planned.name}: trained" in by_itself(path, *options)
