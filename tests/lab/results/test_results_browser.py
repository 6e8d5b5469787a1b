"""The Results page as people meet it: a dot is clicked, its run is opened, a table is saved."""

import csv
from collections.abc import Iterator

import pytest

from core.experiments import grid
from core.training.run import Run
from tests.lab.browser import Server, needs_chromium
from tests.lab.results.test_results_page import PUBLISHED, SCENES, scene, write

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium
WAIT_MS = 150_000  # two cores that do other things as well


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """Where the lab answers; a grid has six scored runs, of which the first is on this machine."""
    shipped, kept = tmp_path_factory.mktemp("checkpoints"), tmp_path_factory.mktemp("runs")
    folder = shipped / "results"
    (folder / "published").mkdir(parents=True)
    write(folder, "scenes", SCENES, scene)
    (folder / "published" / "contrastive-tables.csv").write_text(PUBLISHED)
    run = grid.read(folder / "scenes.toml").runs()[0]
    (kept / "grid-scenes").mkdir()
    Run.create(kept / "grid-scenes" / run.name, run.config.model_dump())
    log = tmp_path_factory.mktemp("server") / "log.txt"
    server = Server(log, shipped, RAVEL_RUNS=str(kept))
    yield server.address
    server.kill()


def test_a_dot_is_clicked_and_its_run_opened(tab, address):
    tab.set_default_timeout(WAIT_MS)
    tab.goto(f"{address}/results")
    tab.get_by_text("Separated scenes", exact=True).click()
    tab.wait_for_url("**paper=Separated+scenes**")
    dots = tab.locator(".js-plotly-plot .scatterlayer path.point")
    dots.first.wait_for()
    dots.first.hover(force=True)
    tab.locator(".hoverlayer .hovertext").first.wait_for()
    dots.first.click(force=True)
    tab.get_by_text("Open its run").wait_for()
    tab.get_by_text("Open its run").click()
    tab.wait_for_url("**/runs?runs=grid-scenes**")
    tab.get_by_text("Watch grid-scenes/").wait_for()


def test_the_table_is_saved_and_the_address_brings_the_same_page(tab, address):
    tab.set_default_timeout(WAIT_MS)
    tab.goto(f"{address}/results?paper=Separated+scenes")
    with tab.expect_download() as started:
        tab.get_by_role("button", name="CSV", exact=True).click()
    with open(started.value.path(), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["map_n"] for row in rows] == ["2.0", "", "2.0", "2.0"]
    tab.get_by_text("Every run", exact=True).click()
    tab.wait_for_url("**below_scenes_table_4=Every+run**")
    tab.reload()
    tab.get_by_text("Views on scenes").wait_for()
    tab.wait_for_function("document.querySelectorAll('[data-testid=stDataFrame]').length == 1")
    tab.locator(".js-plotly-plot .scatterlayer path.point").first.wait_for()
