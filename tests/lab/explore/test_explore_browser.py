"""The Explore page as people meet it: the real server, a real browser, the models that ship."""

import base64
import re
from collections.abc import Iterator

import numpy as np
import pytest

from core import service
from core.audio.clip import VOICED, read
from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT, find, list_checkpoints
from lab.explore.data import dimensions
from tests.lab.browser import Server, at_rest, needs_chromium

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(
        "ts-dsae-players" not in [found.name for found in list_checkpoints("dsae")],
        reason="the checkpoint does not ship",
    ),
]
FIRST_MS = 180_000  # the first page loads the model and all libraries
DECIBELS = 10 / np.log(10)
FETCH = """async index => {
    const player = document.querySelectorAll(".player")[index];
    const bytes = new Uint8Array(await (await fetch(player.currentSrc)).arrayBuffer());
    return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""));
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """Where the page is."""
    server = Server(tmp_path_factory.mktemp("server") / "log.txt")
    yield f"{server.address}/explore"
    server.kill()


def open_page(tab: "sync_api.Page", address: str, players: int) -> None:
    tab.goto(address)
    at_rest(tab, players, FIRST_MS)


def sources(tab: "sync_api.Page") -> list[str]:
    return tab.evaluate("[...document.querySelectorAll('.player')].map(p => p.currentSrc)")


def file_of(tab: "sync_api.Page", index: int) -> bytes:
    """The file that a player plays."""
    return base64.b64decode(tab.evaluate(FETCH, index))


def press(tab: "sync_api.Page", slider: str, key: str, index: int) -> None:
    """Move a slider by a key, and wait until the player at `index` plays something else."""
    before, count = sources(tab)[index], len(sources(tab))
    tab.locator(f".st-key-{slider}").get_by_role("slider").first.press(key)
    tab.wait_for_function(
        """([index, before]) => {
            const player = document.querySelectorAll(".player")[index];
            return player && player.currentSrc && player.currentSrc != before;
        }""",
        arg=[index, before],
    )
    at_rest(tab, count)


def difference(one: bytes, other: bytes) -> float:
    """How far two sounds of one length are apart, in dB over frames and mel bands."""
    first, second = (service.log_mel(read(wav, normalise=False)) for wav in (one, other))
    return float(DECIBELS * np.abs(first - second).mean())


def test_a_dial_changes_the_timbre_of_the_sound_and_keeps_its_melody(tab, address):
    open_page(tab, address, 2)
    clip, rebuilt, own = file_of(tab, 0), file_of(tab, 1), sources(tab)[1]
    classes = tab.locator("[class*=st-key-dial_]").first.get_attribute("class")
    first = int(re.search(r"st-key-dial_(\d+)", classes)[1])
    assert first == 1 + dimensions(find(DEFAULT_CHECKPOINT)).split()[0][0]

    press(tab, f"dial_{first}", "Home", 1)
    tab.wait_for_url(f"**v={first}*")
    turned = file_of(tab, 1)
    assert file_of(tab, 0) == clip
    assert difference(rebuilt, turned) > 1
    assert service.melody_kept(rebuilt, turned) > 0.8  # at the end of the strongest dial

    tab.reload()
    at_rest(tab, 2)
    assert file_of(tab, 1) == turned

    tab.get_by_role("button", name="Reset to the clip").click()
    tab.get_by_text("Rebuilt from its own latents").wait_for()
    tab.wait_for_function(
        "own => document.querySelectorAll('.player')[1].currentSrc == own", arg=own
    )
    assert "v=" not in tab.url


def test_a_moved_dial_plays_at_once_with_autoplay(tab, address):
    open_page(tab, address, 2)
    tab.locator(".st-key-autoplay").get_by_text("Play when a dial moves").click()
    press(tab, "dial_12", "Home", 1)
    tab.wait_for_function("!document.querySelectorAll('.player')[1].paused")
    assert tab.evaluate("document.querySelectorAll('.player')[0].paused")


def test_collapsed_dials_change_nothing_one_could_hear(tab, address):
    open_page(tab, f"{address}?model=ts-dsae-dmelodies&source=Violin%2C+dMelodies", 2)
    rebuilt = file_of(tab, 1)
    tab.get_by_text("Collapsed: 14 of 16").click()
    press(tab, "dial_1", "End", 1)
    assert difference(rebuilt, file_of(tab, 1)) < 1
    press(tab, "dial_5", "End", 1)
    assert difference(rebuilt, file_of(tab, 1)) > 5


def test_a_morph_goes_from_one_clip_to_the_other(tab, address):
    open_page(tab, f"{address}?section=Morph", 6)
    assert len(set(sources(tab))) == 5  # the middle is shown twice
    press(tab, "position", "End", 0)
    assert sources(tab)[0] == sources(tab)[-1]
    tab.get_by_role("button", name="0.00", exact=True).click()
    tab.wait_for_function(
        """() => {
            const [here, start] = document.querySelectorAll(".player");
            return here.currentSrc == start.currentSrc;
        }"""
    )
    tab.wait_for_url("**position=0*")


def test_a_stretched_melody_lasts_longer_at_the_same_pitch(tab, address):
    open_page(tab, f"{address}?section=Melody", 2)
    tab.locator(".st-key-tool").get_by_text("Stretch", exact=True).click()
    tab.get_by_text("not kept yet").wait_for()
    at_rest(tab, 2)
    press(tab, "stretch_amount", "End", 1)  # the current edit has changed the sound already
    tab.wait_for_function(
        """() => {
            const [own, edited] = [...document.querySelectorAll(".player")].map(p => p.duration);
            return edited > 1.9 * own;
        }"""
    )

    before, after = (service.pitch(file_of(tab, index)) for index in (0, 1))
    assert len(after.times) == pytest.approx(2 * len(before.times), abs=4)
    medians = [np.median(p.f0[0][p.confidence[0] > VOICED]) for p in (before, after)]
    assert 12 * abs(np.log2(medians[1] / medians[0])) < 0.5

    tab.get_by_role("button", name="Keep this edit").click()
    tab.wait_for_url("**edits=stretch*")
    tab.get_by_text("Stretch to 200% of the time").wait_for()
    at_rest(tab, 2)  # a button that still moves is missed, by hand as well
    tab.get_by_role("button", name="Undo").click()
    tab.locator("strong", has_text="Not edited yet").wait_for()


def test_new_draws_are_other_sounds(tab, address):
    open_page(tab, f"{address}?section=Draw&seconds=2", 4)
    before = sources(tab)
    tab.get_by_role("button", name="Draw again").click()
    tab.wait_for_function(
        """before => {
            const now = [...document.querySelectorAll(".player")].map(player => player.currentSrc);
            return now.length == 4 && new Set([...before, ...now]).size == 8;
        }""",
        arg=before,
    )
