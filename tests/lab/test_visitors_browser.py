"""Two visitors of one lab, and one long visit: the real server and a real browser."""

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.training.run import Run
from tests.lab import tones
from tests.lab.browser import DESK, WAIT_MS, Server, at_rest, needs_chromium
from tests.lab.map.test_map_browser import lasso

sync_api = pytest.importorskip("playwright.sync_api")
CHANGES = 50  # of pages
WARM = 14  # after so many, what is loaded once has been loaded
SETTLE = 5.0  # s, in which the sounds of a page that was left are made to their end
SECONDS = 10.0  # of an upload; Streamlit keeps its bytes for as long as the tab is open
MOST_MB = 100  # that the lab may grow by meanwhile, of which the uploads are a fifth

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def lab(tmp_path_factory, untrained) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("lab")
    tones.build(folder / "data" / "tones")
    data, runs = str(folder / "data"), str(folder / "runs")
    server = Server(folder / "log.txt", untrained, RAVEL_DATA=data, RAVEL_RUNS=runs)
    server.runs = Path(runs)
    yield server
    server.kill()
    for config in server.runs.glob("*/config.json"):
        Run(config.parent).ask_to_stop()


@pytest.fixture
def visitors(chromium) -> Iterator[list["sync_api.Page"]]:
    """Two tabs without shared cookies or storage."""
    both = [chromium.new_page(**DESK) for _ in range(2)]
    for one in both:
        one.set_default_timeout(WAIT_MS)
    yield both
    for one in both:
        assert one.locator("[data-testid=stException]").count() == 0
        one.close()


def upload(tab: "sync_api.Page", name: str, seconds: float = 1.0) -> None:
    """Give the Swap page a source of one's own, stereo at 44.1 kHz, and wait until it is shown."""
    wave = np.random.default_rng(sum(name.encode())).normal(0, 0.1, (round(44_100 * seconds), 2))
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, 44_100, format="WAV", subtype="PCM_16")
    slot = tab.locator(".st-key-source_slot")
    slot.get_by_role("radiogroup").get_by_text("Upload", exact=True).click()
    file = {"name": f"{name}.wav", "mimeType": "audio/wav", "buffer": buffer.getvalue()}
    slot.locator("input[type=file]").set_input_files(file)
    tab.get_by_text(f"Source: {name}", exact=True).wait_for()


def turn_to(tab: "sync_api.Page", page: str) -> None:
    """Change the page, and wait until it stands."""
    tab.get_by_role("link", name=page, exact=True).first.click()
    if page != "Swap":
        tab.get_by_role("heading", name=page, exact=True).wait_for()
    at_rest(tab)


def test_visitors_do_not_see_each_other_s_recordings_or_choices(lab, visitors):
    one, other = visitors
    for visitor in visitors:
        visitor.goto(lab.address)
        visitor.locator(".st-key-source_slot").wait_for()
    upload(one, "mine-alone")
    other.reload()
    other.locator(".player").first.wait_for(state="attached")
    assert "mine-alone" not in other.content()

    for visitor in visitors:
        visitor.goto(f"{lab.address}/map?map_projection=PCA")
        visitor.wait_for_selector(".map .nsewdrag", state="attached")
    lasso(one)
    one.get_by_text("16 clips selected").wait_for()
    other.reload()
    other.get_by_text("All 16 clips").wait_for()
    assert other.get_by_text("clips selected").count() == 0


def test_two_starts_at_once_make_two_runs_that_both_see(lab, visitors):
    for visitor in visitors:
        visitor.goto(f"{lab.address}/train")
        visitor.get_by_role("button", name="Start training").wait_for()
        at_rest(visitor)
    for visitor in visitors:
        visitor.get_by_role("button", name="Start training").click(no_wait_after=True)
    names = []
    for visitor in visitors:
        visitor.wait_for_url(re.compile(r"[?&]run="))
        names.append(visitor.url.split("run=")[1].split("&")[0])
    assert sorted(names) == ["ts-dsae-tones", "ts-dsae-tones-2"]
    for visitor in visitors:
        visitor.goto(f"{lab.address}/runs?runs={names[0]}&runs={names[1]}")
        for name in names:
            visitor.get_by_role("link", name=f"Watch {name}", exact=True).wait_for()
    for name in names:
        Run(lab.runs / name).ask_to_stop()


def test_fifty_page_changes_with_uploads_leave_the_memory_bounded(lab, visitors):
    tab = visitors[0]
    tab.goto(lab.address)
    tab.locator(".st-key-source_slot").wait_for()
    warm = 0.0
    for number in range(CHANGES):
        page = ("Swap", "Map", "Train", "Runs")[number % 4]
        turn_to(tab, page)
        if page == "Swap":
            upload(tab, f"upload-{number}", SECONDS)
        if number == WARM:
            warm = settled(lab)
    assert settled(lab) - warm < MOST_MB


def settled(lab: Server) -> float:
    """What the lab keeps, in MB: its least within SETTLE seconds, as sounds are still being made
    for the page that was left."""
    readings = []
    for _ in range(10):
        readings.append(resident(lab))
        time.sleep(SETTLE / 10)
    return min(readings)


def resident(lab: Server) -> float:
    """The lab's resident memory in MB."""
    status = Path(f"/proc/{lab.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1000
