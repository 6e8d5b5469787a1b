"""The Map page as people meet it: the real server, a real browser, tones and untrained models."""

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.lab import tones
from tests.lab.browser import DESK, WAIT_MS, Server, at_rest, needs_chromium

sync_api = pytest.importorskip("playwright.sync_api")
WHERE = """([panel, id]) => {
    const graph = document.querySelectorAll(".map .plot")[panel], layout = graph._fullLayout;
    const box = graph.getBoundingClientRect();
    for (const trace of graph.data) {
        const at = (trace.customdata || []).indexOf(id);
        if (at >= 0) return [
            box.left + layout._size.l + layout.xaxis.d2p(trace.x[at]),
            box.top + layout._size.t + layout.yaxis.d2p(trace.y[at])];
    }
}"""
MARKED = """() => [...document.querySelectorAll(".map .plot")].map(graph =>
    graph.data.flatMap(trace => (trace.selectedpoints || []).map(i => trace.customdata[i])).sort(
        (a, b) => a - b))"""

PANEL = ".st-key-map_focus_panel"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """The lab's data folder, with the tones as its only corpus."""
    folder = tmp_path_factory.mktemp("lab") / "data"
    tones.build(folder / "tones")
    return folder


@pytest.fixture(scope="module")
def address(data, untrained) -> Iterator[str]:
    """Where the lab answers."""
    server = Server(data.parent / "log.txt", untrained, RAVEL_DATA=str(data))
    yield server.address
    server.kill()


@pytest.fixture(scope="module")
def umap_tab(chromium, address) -> Iterator["sync_api.Page"]:
    """A tab that waits for UMAP and shows PCA; other tests run while UMAP is computed."""
    tab = chromium.new_page(**DESK)
    tab.set_default_timeout(WAIT_MS)
    tab.goto(f"{address}/map")
    tab.get_by_text("PCA is shown meanwhile").wait_for()
    tab.wait_for_selector(".map .nsewdrag", state="attached")
    yield tab
    tab.close()


def playing(tab: "sync_api.Page") -> str | None:
    return tab.evaluate("document.querySelector('.st-key-map_focus_panel .player')?.currentSrc")


def click(tab: "sync_api.Page", point: int, panel: int = 0) -> None:
    """Click a point, and wait until it plays."""
    at_rest(tab)  # while the page still changes, the point may move from under the pointer
    before = playing(tab)
    tab.mouse.click(*tab.evaluate(WHERE, [panel, point]))
    tab.wait_for_function(
        """before => {
            const player = document.querySelector(".st-key-map_focus_panel .player");
            return player && player.currentSrc != before && player.currentTime > 0;
        }""",
        arg=before,
    )


def lasso(tab: "sync_api.Page", panel: int = 0) -> None:
    """Draw a lasso around everything on a map."""
    box = tab.locator(".map .nsewdrag").nth(panel).bounding_box()
    corners = [(0.01, 0.02), (0.99, 0.02), (0.99, 0.98), (0.01, 0.98), (0.01, 0.05)]
    path = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    tab.mouse.move(*path[0])
    tab.mouse.down()
    for corner in path[1:]:
        tab.mouse.move(*corner, steps=6)
    tab.mouse.up()


def box(tab: "sync_api.Page", left: float, right: float) -> None:
    """Take the box tool and draw a box from top to bottom, between two shares of the width."""
    tab.locator(".map .modebar-btn[data-val=select]").click()
    area = tab.locator(".map .nsewdrag").bounding_box()
    tab.mouse.move(area["x"] + left * area["width"], area["y"] + 3)
    tab.mouse.down()
    tab.mouse.move(area["x"] + right * area["width"], area["y"] + area["height"] - 3, steps=8)
    tab.mouse.up()


def save(tab: "sync_api.Page", label: str) -> bytes:
    with tab.expect_download() as download:
        tab.locator(f".st-key-map_save_{label} button").first.click()
    return Path(download.value.path()).read_bytes()


def test_pca_is_shown_while_umap_is_computed(umap_tab):
    axis = umap_tab.evaluate("document.querySelector('.map .plot')._fullLayout.xaxis.title.text")
    assert axis == "PCA 1"


def test_clicked_points_play_and_the_address_keeps_the_last(tab, address):
    tab.goto(f"{address}/map?map_projection=PCA")
    tab.wait_for_selector(".map .nsewdrag", state="attached")
    for point, name in ((3, "bright-294"), (12, "dark-330"), (6, "bright-415")):
        click(tab, point)
        tab.locator(PANEL).get_by_text(name).wait_for()
        assert tab.url.endswith(f"clip={name}")
    tab.reload()
    tab.locator(PANEL).get_by_text("bright-415").wait_for()

    tab.get_by_role("button", name="Swap as target").click()
    tab.get_by_text("Target: bright", exact=True).wait_for()
    assert "target_clip=tones%2Fbright-415" in tab.url


def test_a_lasso_on_one_of_two_maps_marks_both_and_its_clips_are_saved(tab, address):
    tab.goto(f"{address}/map?map_projection=PCA&map_compare=dsae-dmelodies")
    tab.wait_for_function("document.querySelectorAll('.map .nsewdrag').length == 2")
    lasso(tab, panel=1)
    tab.get_by_text("16 clips selected").wait_for()
    assert tab.evaluate(MARKED) == [list(range(16))] * 2

    rows = list(csv.DictReader(io.StringIO(save(tab, "CSV").decode())))
    assert len({row["name"] for row in rows}) == 16 and {"instrument", "x", "y"} <= set(rows[0])
    with np.load(io.BytesIO(save(tab, "Latents"))) as arrays:
        assert arrays["v"].shape == (16, 16) and "bright-220" in arrays["name"]
    with zipfile.ZipFile(io.BytesIO(save(tab, "WAVs"))) as archive:
        assert len(archive.namelist()) == 16
        wave, rate = soundfile.read(io.BytesIO(archive.read(archive.namelist()[0])))
    assert rate == 16_000 and len(wave) == 15_872
    page = save(tab, "page").decode()
    assert page.startswith("<!DOCTYPE html>") and page.count('"sound":') == 16
    assert "included for up to 12 chosen clips" in page

    click(tab, 5, panel=1)
    tab.get_by_role("button", name="Next").click()
    tab.locator(PANEL).get_by_text("bright-415").wait_for()


def test_a_box_selects_the_points_inside_it_and_autoplay_plays_them_in_turn(tab, address):
    tab.goto(f"{address}/map?map_projection=PCA")
    tab.wait_for_selector(".map .nsewdrag", state="attached")
    xs = tab.evaluate("() => document.querySelector('.map .plot').data.flatMap(t => [...t.x])")
    box(tab, 0.0, 0.5)
    left, right = tab.evaluate("document.querySelector('.map .plot')._fullLayout.xaxis.range")
    inside = sum(x < (left + right) / 2 for x in xs)
    assert 0 < inside < 16
    tab.get_by_text(f"{inside} clips selected").wait_for()
    (marked,) = tab.evaluate(MARKED)
    assert len(marked) == inside

    tab.get_by_text("Autoplay").click()
    tab.wait_for_function("document.querySelector('.st-key-map_autoplay input').checked")
    tab.get_by_role("button", name="Next").click()
    names = []
    while len(names) < 3:  # each a second long
        tab.wait_for_function(
            "last => { const c = new URLSearchParams(location.search).get('clip'); "
            "return c && c != last; }",
            arg=names[-1] if names else None,
        )
        names.append(tab.evaluate("new URLSearchParams(location.search).get('clip')"))
    assert len(set(names)) == min(3, inside)


def test_umap_computed_in_the_background_takes_the_place_of_pca(umap_tab):
    umap_tab.get_by_text("UMAP: 15 neighbours").wait_for(timeout=3 * WAIT_MS)
    umap_tab.wait_for_function(
        "document.querySelector('.map .plot')?._fullLayout?.xaxis.title.text == 'UMAP 1'"
    )
    click(umap_tab, 7)
    umap_tab.locator(PANEL).get_by_text("bright-440").wait_for()
    assert umap_tab.locator("[data-testid=stException]").count() == 0


def test_a_fresh_lab_opens_on_a_umap_of_what_ships_and_a_legend_entry_plays(tab, tmp_path):
    """With the models that ship, and nothing in the data folder."""
    server = Server(tmp_path / "log.txt", RAVEL_DATA=str(tmp_path / "data"), RAVEL_WARM="1")
    try:
        tab.goto(f"{server.address}/map")
        tab.wait_for_selector(".map .nsewdrag", state="attached", timeout=3 * WAIT_MS)
        graph = "document.querySelector('.map .plot')"
        tab.wait_for_function(f"{graph}._fullLayout.xaxis.title.text == 'UMAP 1'", timeout=WAIT_MS)
        traces = f"{graph}.data.filter(trace => trace.customdata)"
        assert tab.evaluate(f"{traces}.reduce((n, trace) => n + trace.customdata.length, 0)") > 300
        assert "Violin" in tab.evaluate(f"{traces}.map(trace => trace.name)")
        tab.get_by_text("Near points are alike to the model").wait_for()

        heard = []
        for _ in range(2):  # each click plays another example
            before = playing(tab)
            tab.locator(".map .legendtoggle").first.click()
            tab.wait_for_function(
                """before => {
                    const player = document.querySelector(".st-key-map_focus_panel .player");
                    return player && player.currentSrc != before && player.currentTime > 0;
                }""",
                arg=before,
            )
            heard.append(tab.locator(PANEL).inner_text())
            tab.wait_for_timeout(500)  # else the next click makes a double click of it
        assert "Bassoon" in heard[0] and "Bassoon" in heard[1] and heard[0] != heard[1]
    finally:
        server.kill()
