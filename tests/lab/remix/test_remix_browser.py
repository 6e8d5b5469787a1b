"""The Remix page as people meet it: the real server and browser, small untrained models."""

import io
import json
import zipfile
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile

from tests.lab.browser import Server, mixed, needs_chromium

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium
ROUNDING = 1 / 32768
FIRST_MS = 180_000  # both models and all libraries are loaded
NAMES = ["mixture", "channel 1", "channel 2", "stem 1", "stem 2", "remix"]


@pytest.fixture(scope="module")
def address(both, tmp_path_factory) -> Iterator[str]:
    """Where the lab answers."""
    server = Server(tmp_path_factory.mktemp("server") / "log.txt", both)
    yield f"{server.address}/remix"
    server.kill()


def sources(tab: "sync_api.Page") -> dict[str, str]:
    found = tab.evaluate("[...document.querySelectorAll('.player')].map(p => p.currentSrc)")
    return dict(zip(NAMES, found, strict=True))


def sounds(tab: "sync_api.Page") -> dict[str, np.ndarray]:
    """What the players were sent."""
    files = {name: tab.request.get(source).body() for name, source in sources(tab).items()}
    return {name: soundfile.read(io.BytesIO(data))[0] for name, data in files.items()}


def choose(tab: "sync_api.Page", key: str, option: str) -> None:
    box = tab.locator(f".st-key-{key}")
    box.locator("input").click()
    tab.get_by_role("option", name=option, exact=True).click()


def wait_for_another(tab: "sync_api.Page", name: str, before: dict[str, str]) -> None:
    tab.wait_for_function(
        """([at, before]) => {
            const now = [...document.querySelectorAll(".player")][at]?.currentSrc;
            return now && now != before;
        }""",
        arg=[NAMES.index(name), before[name]],
    )
    mixed(tab, 6, FIRST_MS)


def test_a_part_of_a_duet_is_given_to_another_instrument_mixed_and_saved(tab, address):
    tab.goto(f"{address}?instrument_1=Its+own&separator=separator-scenes")
    mixed(tab, 6, FIRST_MS)
    output = sounds(tab)
    assert np.abs(output["remix"] - output["mixture"]).max() < 3 * ROUNDING
    assert tab.get_by_text("Sounds like").count() == 2

    before = sources(tab)
    choose(tab, "instrument_2", "Bassoon")
    tab.wait_for_url("**instrument_2=Bassoon**")
    wait_for_another(tab, "remix", before)
    after = sources(tab)
    assert {name for name in NAMES if before[name] != after[name]} == {"stem 2", "remix"}
    assert tab.get_by_text("played by bassoon").is_visible()
    assert tab.locator(".js-plotly-plot .annotation-arrow-g path").count() >= 1

    tab.get_by_label("Mute 1 clarinet").click()
    tab.wait_for_url("**levels=m0%2C0**")
    wait_for_another(tab, "remix", after)
    output = sounds(tab)
    assert np.abs(output["remix"] - output["stem 2"]).max() < 2 * ROUNDING
    with tab.expect_download() as started:
        tab.get_by_role("button", name="Stems", exact=True).click()
    with zipfile.ZipFile(started.value.path()) as archive:
        report = json.loads(archive.read("remix.json"))
        stem = soundfile.read(archive.open("stem-2.wav"))[0]
    assert [channel["level"] for channel in report["channels"]] == [None, 0.0]
    assert report["channels"][1]["instrument"] == "bassoon"
    assert np.corrcoef(stem, output["stem 2"])[0, 1] > 0.9999

    tab.reload()
    mixed(tab, 6, FIRST_MS)
    assert tab.get_by_label("Mute 1 clarinet").get_attribute("aria-pressed") == "true"
    assert tab.get_by_text("played by bassoon").is_visible()
