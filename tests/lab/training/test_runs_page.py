"""The Runs page, and what the pages read of runs."""

import json
import time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import registry
from core.checkpoints import checkpoint
from core.dsae.config import DsaeConfig
from core.training import evaluation
from core.training.run import Run
from lab.training import curves, runs, scores
from tests.lab.conftest import APP


def make(folder, name, steps=40, hidden=8, store="data/dmelodies", **state):
    """A run with metrics of a training that a formula stands in for."""
    given = {"model": {"hidden": hidden}, "training": {"steps": steps}, "data": {"store": store}}
    config = DsaeConfig.parse(given)
    run = Run.create(folder / name, config.model_dump())
    for step in range(0, steps + 1, 10):
        stage = "constrained" if step < steps // 2 else "informed"
        run.log("validation", step, {"stage": stage, "criterion": 9 / (1 + step), "f1_global": 1.0})
        run.log("train", step + 5, {"stage": stage, "loss": 10 / (1 + step), "kl_v": 0.1})
    run.write_state(**{"state": "finished", "step": steps, "device": "cpu"} | state)
    return run


def save(run):
    """The untrained model that is kept as the run's best state."""
    import torch

    from core.dsae.model import Dsae

    model = Dsae(DsaeConfig.parse(run.config).model)
    optimizer = torch.optim.Adam(model.parameters())
    run.save("best", model, optimizer, {"step": 40, "stage": "informed", "best": 1.0, "waited": 0})
    return model


def wait(until, seconds=90):
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "FOLDER", tmp_path / "runs")
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path / "checkpoints")
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


@pytest.fixture
def page(folder):
    return AppTest.from_file(APP, default_timeout=120).switch_page("lab/pages/runs.py")


def curves_of(folder):
    return curves.Curves(folder / "metrics.jsonl")


def test_a_run_that_waits_as_a_job_of_a_cluster_is_alive(folder):
    run = make(folder, "one", state="queued", step=0, device="auto", job="slurm")
    run.hold()
    run.release()  # it was submitted: its lock is there, and nobody holds it
    about = runs.summary("one")
    assert (about.state, about.job) == ("queued", "slurm")
    assert about.alive and not about.at_work


def test_every_run_is_a_row_and_the_filter_leaves_those_that_match(page, folder):
    make(folder, "one")
    make(folder, "two", state="stopped", step=20)
    page.run()
    assert not page.exception
    table = page.dataframe[0].value.set_index("Run")
    assert set(table.index) == {"one", "two"}
    assert table.loc["two", "Progress"] == 50
    assert table.loc["one", "Validation"] == pytest.approx(9 / 41, abs=1e-5)
    page.text_input(key="filter").set_value("stop dsae").run()
    assert list(page.dataframe[0].value["Run"]) == ["two"]


def test_picked_runs_are_laid_over_one_another_and_their_settings_compared(page, folder):
    make(folder, "one")
    make(folder, "two", hidden=32)
    page.query_params["runs"] = ["one", "two"]
    page.run()
    assert not page.exception
    charts = [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]
    assert [[line["name"] for line in chart["data"]] for chart in charts] == [["one", "two"]] * 2
    assert dict(page.table[0].value.T["model.hidden"]) == {"one": "8", "two": "32"}
    assert list(page.table[0].value.index) == ["model.hidden"]


def ask_for_checkpoint(name) -> AppTest:
    """What the dialog holds, on a page of its own."""

    def page(name):
        from lab.training import promote

        promote.form(name)

    return AppTest.from_function(page, default_timeout=120, kwargs={"name": name}).run()


def test_a_run_is_made_a_checkpoint_once(folder):
    import torch

    run = make(folder, "good")
    model = save(run)
    dialog = ask_for_checkpoint("good")
    dialog.text_input(key="promote_title").set_value("A good one")
    dialog.button(key="promote_yes").click().run()
    assert not dialog.error
    assert "good is made" in dialog.success[0].value
    (made,) = checkpoint.list_checkpoints("dsae")
    assert (made.name, made.title) == ("good", "A good one")
    assert all(torch.equal(made.weights()[k], v) for k, v in model.state_dict().items())

    dialog.button(key="promote_yes").click().run()
    assert "already" in dialog.error[0].value


def test_a_run_is_scored_and_its_scores_go_with_the_checkpoint_made_of_it(page, folder, melodies):
    run = make(folder, "good", store=str(melodies))
    save(run)
    scores.begin("good", "best", str(melodies))
    page.query_params["runs"] = "good"
    page.run()
    assert not page.exception
    assert any("is scored on" in markdown.value for markdown in page.markdown)
    wait(lambda: evaluation.look(scores.folder("good")).state != "running", seconds=300)
    page.run()
    assert not page.exception and not page.error
    column = page.table[-1].value["good on dmelodies"]
    assert (
        column["validation clips"] == "6"
        and "[" in column[registry.get("dsae").meanings["f1_global"]]
    )

    dialog = ask_for_checkpoint("good")
    dialog.button(key="promote_yes").click().run()
    assert "scores of the run were copied" in dialog.success[0].value
    (made,) = checkpoint.list_checkpoints("dsae")
    assert made.metrics["dmelodies"]["clips"] == 6
    assert "| validation clips | 6 |" in (made.path / "README.md").read_text()


def test_the_page_shows_why_a_run_could_not_be_scored(page, folder):
    run = make(folder, "lost", store="data/nothing-here")
    save(run)
    page.query_params["runs"] = "lost"
    page.run()
    scores.begin("lost", "best", "data/nothing-here")
    wait(lambda: evaluation.look(scores.folder("lost")).state != "running")
    page.run()
    assert not page.exception
    assert "lost could not be scored" in page.error[0].value
    assert "no feature store" in page.error[0].value


def test_a_run_with_nothing_saved_is_not_made_a_checkpoint(folder):
    make(folder, "early")
    dialog = ask_for_checkpoint("early")
    dialog.button(key="promote_yes").click().run()
    assert "no saved state 'best'" in dialog.error[0].value
    assert not checkpoint.list_checkpoints()


def test_with_no_run_the_page_says_how_to_get_one(page):
    page.run()
    assert not page.exception
    assert "python -m core train" in page.info[0].value


def test_damaged_runs_do_not_hide_the_others(page, folder):
    make(folder, "good")
    (make(folder, "bad").path / "config.json").write_text("{")
    (make(folder, "odd").path / "state.json").write_text("[]")
    page.run()
    assert not page.exception
    assert set(page.dataframe[0].value["Run"]) == {"good", "odd"}


def test_metrics_are_read_on_and_a_half_written_line_waits_until_it_is_whole(folder):
    run = Run.create(folder / "run", {})
    run.log("train", 1, {"loss": 3.0})
    seen = curves_of(run.path).read_on()
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"kind": "train", "step": 2, "lo')
    assert list(seen.read_on().curve("train", "loss")[0]) == [1]
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('ss": 2.0}\nno json\n{"kind": "train", "step": 3, "new": 7.0}\n')
    seen.read_on()
    assert [list(part) for part in seen.curve("train", "loss")] == [[1, 2], [3.0, 2.0]]
    assert [list(part) for part in seen.curve("train", "new")] == [[3], [7.0]]
    assert seen.offset == (run.path / "metrics.jsonl").stat().st_size


def test_what_a_crashed_worker_logged_gives_way_to_the_resumed_one(folder):
    run = Run.create(folder / "run", {})
    stages = {1: "first", 2: "first", 3: "second", 4: "second"}
    for step, loss in ((1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (2, 20.0), (3, 30.0)):
        run.log("train", step, {"stage": stages[step], "loss": loss})
    seen = curves_of(run.path).read_on()
    assert [list(part) for part in seen.curve("train", "loss")] == [[1, 2, 3], [1.0, 20.0, 30.0]]
    assert seen.stages == [(1, "first"), (3, "second")]


def test_a_run_made_anew_under_the_same_name_does_not_show_the_old_curves(folder):
    run = Run.create(folder / "run", {})
    for step in range(5):
        run.log("train", step, {"loss": 1.0})
    seen = curves_of(run.path).read_on()
    (run.path / "metrics.jsonl").unlink()
    assert not len(seen.read_on().curve("train", "loss")[0])
    run.log("train", 9, {"loss": 2.0})
    assert list(seen.read_on().curve("train", "loss")[0]) == [9]


def test_a_thinned_curve_keeps_its_ends_and_every_peak():
    x = np.arange(100_000)
    y = np.zeros(len(x))
    y[[777, 50_001]] = 5.0, -3.0
    thin_x, thin_y = curves.thinned(x, y)
    assert len(thin_x) <= 2000
    assert (thin_x[0], thin_x[-1]) == (0, 99_999)
    assert {777, 50_001} <= set(thin_x)
    assert (thin_y.max(), thin_y.min()) == (5.0, -3.0)
    assert (np.diff(thin_x) > 0).all()


def test_the_log_s_end_shows_a_progress_bar_once(folder):
    run = Run.create(folder / "run", {})
    (run.path / "log.txt").write_bytes(b"a\n1%\r2%\r3%\nb\n")
    assert runs.log_tail("run") == "a\n3%\nb"
    (run.path / "log.txt").write_bytes(b"x" * 50 + b"\n" + b"line\n" * 10_000)
    assert set(runs.log_tail("run").split("\n")) == {"line"}
    assert runs.log_tail("none") == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3.4, "3 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (200_000, "2 days 7 h")],
)
def test_a_duration_has_at_most_two_units(seconds, words):
    assert runs.duration(seconds) == words
