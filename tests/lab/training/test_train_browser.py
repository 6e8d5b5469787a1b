"""The Train and Runs pages: the real server, a real browser, a real worker on a small corpus."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.dsae.config import DsaeConfig
from core.training import launcher
from core.training.run import Run
from tests.lab.browser import Server, at_rest, needs_chromium

sync_api = pytest.importorskip("playwright.sync_api")
ENDED = 5_000  # within which the page tells that a process is gone
OPENED = 15_000  # within which a dialog is there

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder with one small dMelodies store."""
    from core.data import dmelodies

    folder = tmp_path_factory.mktemp("data")
    dmelodies.build(folder / "melodies", count=30, audio=False, workers=1, progress=False)
    return folder


class Lab(Server):
    """The lab with runs and data of its own."""

    def __init__(self, runs: Path, data: Path) -> None:
        self.runs, self.data = runs, data
        log, checkpoints = runs.parent / "log.txt", runs.parent / "checkpoints"
        super().__init__(log, checkpoints, RAVEL_RUNS=str(runs), RAVEL_DATA=str(data))


@pytest.fixture(scope="module")
def server(tmp_path_factory, data) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "runs").mkdir()
    server = Lab(folder / "runs", data)
    yield server
    server.kill()


@pytest.fixture
def lab(server) -> Iterator[Lab]:
    """The lab without runs; a test that failed leaves no worker behind."""
    yield server
    for config in server.runs.glob("*/config.json"):
        Run(config.parent).ask_to_stop()
        launcher.kill(Run(config.parent))
    for folder in server.runs.iterdir():
        shutil.rmtree(folder)


def type_in(tab: "sync_api.Page", section: str, settings: dict[str, str]) -> None:
    """Fill fields one after the other and leave each only by going to the next."""
    tab.get_by_role("tab", name=section).click()
    for name, value in settings.items():
        tab.get_by_label(name, exact=True).fill(value)
        tab.get_by_label(name, exact=True).press("Tab")


def state(tab: "sync_api.Page", word: str, **options) -> None:
    """Wait until the page calls the run that."""
    tab.locator(".stMarkdownBadge", has_text=word).first.wait_for(**options)


def test_a_run_is_started_killed_resumed_watched_to_its_end_and_found_among_the_runs(tab, lab):
    tab.goto(f"{lab.address}/train")
    type_in(tab, "Model", {"hidden": "8"})
    type_in(tab, "Objective", {"stage1_steps": "400"})
    small = {"steps": "1200", "batch_size": "4", "validate_every": "100"}
    type_in(tab, "Training", small | {"checkpoint_every": "150"})
    tab.get_by_label("Name", exact=True).fill("by-hand")
    tab.get_by_role("button", name="Start training").click()  # the name is taken as it stands

    tab.wait_for_url("**/train?run=by-hand")
    state(tab, "Running")
    run = Run(lab.runs / "by-hand")
    assert run.config["training"]["steps"] == 1200
    assert Path(run.config["data"]["store"]) == lab.data / "melodies"

    tab.wait_for_function(
        "document.querySelectorAll('.js-plotly-plot .scatterlayer .js-line').length"
    )
    os.kill(run.state()["pid"], signal.SIGKILL)
    state(tab, "Failed", timeout=ENDED)

    tab.get_by_role("button", name="Resume").click()
    state(tab, "Running")
    lab.kill()  # the worker does not notice
    lab.start()
    tab.goto(f"{lab.address}/train?run=by-hand")
    state(tab, "Finished")
    tab.get_by_text("Step 1,200 of 1,200").wait_for()
    tab.get_by_text("finished at step 1,200").wait_for()

    tab.get_by_role("link", name="Compare").click()
    tab.wait_for_url("**/runs?runs=by-hand")
    tab.get_by_text("Validation criterion", exact=True).wait_for()
    tab.locator("[data-testid=stDataFrame] td", has_text="by-hand").wait_for(state="attached")
    figures = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert figures[-1]["step"] == 1200


def start(lab: Lab, name: str) -> Run:
    """A run that goes on for long, in its third step or later."""
    small = {"steps": 100_000, "batch_size": 4, "validate_every": 10_000, "device": "cpu"}
    given = {"model": {"hidden": 8}, "data": {"store": str(lab.data / "melodies")}}
    config = DsaeConfig.parse(given | {"training": small | {"log_every": 1}})
    run = launcher.start(lab.runs / name, config.model_dump())
    deadline = time.monotonic() + 90
    while sum(1 for _ in run.metrics("train")) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return run


def test_a_run_whose_worker_was_killed_with_the_lab_is_shown_as_failed(tab, lab):
    run = start(lab, "both")
    tab.goto(f"{lab.address}/train?run=both")
    state(tab, "Running")
    lab.kill()
    os.kill(run.state()["pid"], signal.SIGKILL)
    lab.start()
    tab.goto(f"{lab.address}/train?run=both")
    tab.wait_for_selector("h1")
    state(tab, "Failed", timeout=ENDED)
    tab.get_by_text("resume it to continue").wait_for()


def open_dialog(tab: "sync_api.Page", button: str) -> "sync_api.Locator":
    """Press a button that opens a dialog: again, as by hand, if the live page was just redrawn."""
    dialog = tab.get_by_role("dialog")
    for _ in range(5):
        tab.get_by_role("button", name=button).first.click()
        try:
            dialog.wait_for(timeout=OPENED)
            return dialog
        except sync_api.TimeoutError:
            continue
    raise AssertionError(f"{button} opened no dialog")


def test_a_worker_that_does_not_stop_is_ended_after_a_confirmation(tab, lab):
    run = start(lab, "stuck")
    worker = run.state()["pid"]
    os.kill(worker, signal.SIGSTOP)  # as a worker that hangs
    tab.goto(f"{lab.address}/train?run=stuck")
    tab.locator(".st-key-stop button").click()  # Streamlit has a Stop of its own
    state(tab, "Stopping")
    tab.get_by_text("Stopping: it finishes its step").wait_for()
    at_rest(tab)
    dialog = open_dialog(tab, "End it now")
    dialog.get_by_text("training since its last saved state is lost").wait_for()
    assert run.held
    dialog.get_by_role("button", name="End it now").click()
    state(tab, "Failed")
    assert not run.held
    tab.get_by_role("button", name="Resume").wait_for()


def test_a_run_is_made_a_checkpoint_and_played_on_the_swap_page(tab, lab):
    import torch

    from core.dsae.model import Dsae

    config = DsaeConfig.parse({"model": {"hidden": 8}})
    run = Run.create(lab.runs / "good", config.model_dump())
    model = Dsae(config.model)
    progress = {"step": 9, "stage": "informed", "best": 1.0, "waited": 0}
    run.save("best", model, torch.optim.Adam(model.parameters()), progress)
    run.write_state(state="finished", step=9)
    tab.goto(f"{lab.address}/runs?runs=good")
    dialog = open_dialog(tab, "Make good a checkpoint")
    at_rest(tab)
    dialog.get_by_role("button", name="Make checkpoint").click()
    tab.get_by_text("The checkpoint good is made").wait_for()
    tab.get_by_role("link", name="Play it on Swap").click()
    tab.wait_for_function("[...document.querySelectorAll('.player')].some(p => p.duration > 0)")
    assert "model=good" in tab.url or tab.get_by_text("good", exact=True).count()


def test_rows_selected_in_the_table_are_drawn_and_kept_in_the_address(tab, lab):
    for name in ("one", "two"):
        run = Run.create(lab.runs / name, {"training": {"steps": 30}})
        for step in (10, 20, 30):
            run.log("validation", step, {"criterion": 1 / step})
        run.write_state(state="finished", step=30)
    tab.goto(f"{lab.address}/runs")
    table = tab.locator("[data-testid=stDataFrame] canvas").first
    table.wait_for()
    box = table.bounding_box()
    for row in (1, 2):
        tab.mouse.click(box["x"] + 16, box["y"] + 35 * row + 17)
        tab.wait_for_function(
            "count => document.querySelectorAll('.legend .traces').length == count", arg=row
        )
    assert sorted(tab.url.split("?")[1].split("&")) == ["runs=one", "runs=two"]
    tab.reload()
    tab.wait_for_function("document.querySelectorAll('.legend .traces').length == 2")
