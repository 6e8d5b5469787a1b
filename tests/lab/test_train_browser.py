"""Training as people meet it: the real server, a real browser, a real worker on a small corpus."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.training.run import Run
from tests.lab.browser import Server, needs_chromium

sync_api = pytest.importorskip("playwright.sync_api")
ENDED = 5_000  # within which the page tells that a process is gone

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
        log = runs.parent / "log.txt"
        super().__init__(log, RAVEL_RUNS=str(runs), RAVEL_DATA=str(data))


@pytest.fixture
def lab(tmp_path, data) -> Iterator[Lab]:
    (tmp_path / "runs").mkdir()
    lab = Lab(tmp_path / "runs", data)
    yield lab
    lab.kill()
    for config in lab.runs.glob("*/config.json"):  # a test that failed leaves no worker behind
        Run(config.parent).ask_to_stop()


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
    type_in(tab, "Training", small | {"checkpoint_every": "50"})
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


def test_rows_picked_in_the_table_are_drawn_and_kept_in_the_address(tab, lab):
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
