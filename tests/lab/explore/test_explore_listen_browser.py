"""The grid and blind listening as people meet them: the real server and browser, small models."""

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.lab.browser import Server, needs_chromium

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium
GRID = "explore?section=Grid&grid_clips=Violin,+slow+phrase&grid_clips=Trumpet,+fanfare"
LISTEN = "explore?section=Listen&listen_trials=5&listen_compare=Round+trip"
PLAYING = "[...document.querySelectorAll('audio')].filter(one => !one.paused)"


@pytest.fixture(scope="module")
def address(untrained, tmp_path_factory) -> Iterator[str]:
    """Where the lab answers."""
    server = Server(tmp_path_factory.mktemp("server") / "log.txt", untrained)
    yield server.address
    server.kill()


def open_grid(tab: "sync_api.Page", address: str) -> None:
    """Until every cell can be played and says what is known of it."""
    tab.goto(f"{address}/{GRID}")
    tab.get_by_text("2 swaps", exact=False).wait_for()
    tab.wait_for_function(
        """() => {
            const all = [...document.querySelectorAll('.sound-table button')];
            return all.length == 8 && all.every(one => !one.disabled);
        }"""
    )


def now_playing(tab: "sync_api.Page") -> np.ndarray:
    """The samples of the one sound that plays, which moves on."""
    tab.wait_for_function(f"{PLAYING}.length == 1 && {PLAYING}[0].currentTime > 0.05")
    data = tab.evaluate(
        f"async () => [...new Uint8Array(await (await fetch({PLAYING}[0].src)).arrayBuffer())]"
    )
    return soundfile.read(io.BytesIO(bytes(data)))[0]


def wait_for_other_sounds(tab: "sync_api.Page", before: list[str]) -> list[str]:
    """Until the trial's sounds have taken the place of those before."""
    sources = "[...document.querySelectorAll('audio')].map(one => one.src)"
    now = f"{sources}.length == 3 && {sources}.every(one => !before.includes(one))"
    tab.wait_for_function(f"before => {now}", arg=before)
    return tab.evaluate(sources)


def press(tab: "sync_api.Page", key: str) -> None:
    tab.keyboard.press(key)
    tab.wait_for_timeout(100)


def rows_of(download: "sync_api.Download") -> list[dict[str, str]]:
    """The table in a CSV file."""
    text = Path(download.path()).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def test_a_cell_of_the_grid_plays_and_stops_at_a_click(tab, address):
    open_grid(tab, address)
    cell = tab.get_by_role("button", name="Play: melody of violin-1, instrument of trumpet-1")
    cell.click()
    swap = now_playing(tab)
    assert "plays" in cell.get_attribute("class")

    tab.get_by_role("button", name="Play: violin-1, rebuilt").click()
    rebuilt = now_playing(tab)
    assert len(swap) == len(rebuilt) and not np.array_equal(swap, rebuilt)
    assert "plays" not in cell.get_attribute("class")

    tab.get_by_role("button", name="Play: violin-1, rebuilt").click()
    tab.wait_for_function(f"!{PLAYING}.length")


def test_the_grid_is_played_from_the_keyboard(tab, address):
    open_grid(tab, address)
    tab.locator(".sound-table td button").first.focus()
    press(tab, "ArrowRight")
    press(tab, "ArrowDown")
    focused = tab.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused.startswith("Play: trumpet-1, rebuilt")
    press(tab, "Enter")
    assert len(now_playing(tab)) > 16_000


def test_cells_still_play_after_another_colour_and_another_choice_of_clips(tab, address):
    open_grid(tab, address)
    cell = tab.get_by_role("button", name="Play: melody of trumpet-1, instrument of violin-1")
    cell.click()
    now_playing(tab)
    tab.get_by_text("Instrument moved", exact=True).click()
    tab.locator(".legend").get_by_text("Instrument moved:").wait_for()
    player = "document.querySelector('.sound-table audio')"
    assert tab.evaluate(f"!{player}.paused || {player}.ended")  # it was not interrupted
    tab.get_by_role("button", name="Play: trumpet-1, rebuilt").click()
    assert len(now_playing(tab)) > 16_000

    tab.locator(".st-key-grid_clips").get_by_role("combobox").click()
    tab.get_by_role("option", name="Flute, slow phrase").click()
    tab.keyboard.press("Escape")
    tab.get_by_text("6 swaps", exact=False).wait_for()
    tab.get_by_role("button", name="Play: melody of flute-1, instrument of violin-1").click()
    assert len(now_playing(tab)) > 16_000
    assert "Flute" in tab.url


def test_the_table_and_all_sounds_of_the_grid_are_saved_by_their_buttons(tab, address):
    open_grid(tab, address)
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Table").click()
    rows = rows_of(download.value)
    assert len(rows) == 4 and rows[1]["instrument_of"] == "trumpet-1"

    with tab.expect_download() as download:
        tab.get_by_role("button", name="WAVs").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert [name[3:] for name in archive.namelist()] == [row["file"] for row in rows]


def test_a_blind_test_is_played_answered_and_tallied_from_the_keyboard(tab, address):
    tab.goto(f"{address}/{LISTEN}")
    tab.get_by_role("button", name="Begin").click()
    before = []
    for number in range(1, 6):
        tab.get_by_text(f"Trial {number} of 5").wait_for()
        before = wait_for_other_sounds(tab, before)
        tab.get_by_role("button", name="X is B").wait_for()
        sounds = {}
        for key, letter in zip("123", "ABX", strict=True):
            press(tab, key)
            sounds[letter] = now_playing(tab)
            assert tab.get_by_role("button", name=f"Play {letter}").get_attribute("class")
        off = {letter: np.abs(sounds[letter] - sounds["X"]).max() for letter in "AB"}
        press(tab, min(off, key=off.get).lower())

    tab.get_by_text("5 of 5 right").first.wait_for()
    tab.get_by_text("once in 32 times").wait_for()
    tab.wait_for_function("!document.querySelector('audio')")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Every trial").click()
    rows = rows_of(download.value)
    assert [row["right"] for row in rows] == ["1"] * 5 and rows[0]["comparison"] == "Round trip"


def test_switching_goes_on_in_the_same_place_and_the_same_letter_stops(tab, address):
    tab.goto(f"{address}/{LISTEN}")
    tab.get_by_role("button", name="Begin").click()
    tab.get_by_role("button", name="Play A").click()
    tab.wait_for_function(f"{PLAYING}[0]?.currentTime > 0.8")
    tab.get_by_role("button", name="Play X").click()
    assert tab.evaluate(f"{PLAYING}.length") == 1
    assert tab.evaluate(f"{PLAYING}[0].currentTime") > 0.75
    tab.get_by_role("button", name="Play X").click()
    tab.wait_for_function(f"!{PLAYING}.length")
