"""The Find page as people meet it: the real server, a real browser, sound and all."""

import csv
import io
import shutil
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile

from core.audio.clip import read
from core.contrastive.external.folder import make_hear
from core.service import HEADROOM
from lab.bundled import sources
from tests.conftest import ROOT
from tests.lab.browser import Server, at_rest, needs_chromium

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium
HEAR = "tests/core/contrastive/external/statistics_hear.py"
ROUNDING = 1 / 32768
PLAYERS = 11  # of the query and of what is found


@pytest.fixture(scope="module")
def address(tmp_path_factory, scene_models, scene_data) -> Iterator[str]:
    """Where the lab answers; it has one small store, without an index, and among its encoders one
    that Ravel did not train."""
    folder = tmp_path_factory.mktemp("server")
    data = shutil.copytree(scene_data, folder / "data")
    models = shutil.copytree(scene_models, folder / "checkpoints")
    places = {"RAVEL_DATA": str(data), "XDG_STATE_HOME": str(folder / "state")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", places["XDG_STATE_HOME"])
        make_hear(models / "statistics", str(ROOT / HEAR), None)
    server = Server(folder / "log.txt", models, **places)
    yield server.address
    server.kill()


def sounds(tab: "sync_api.Page") -> list[np.ndarray]:
    """What the players were sent, in the order of the page."""
    addresses = tab.evaluate("[...document.querySelectorAll('.player')].map(p => p.currentSrc)")
    answers = [tab.request.get(address) for address in addresses]
    assert all(answer.ok for answer in answers)
    return [soundfile.read(io.BytesIO(answer.body()))[0] for answer in answers]


def saved(tab: "sync_api.Page") -> list[dict[str, str]]:
    with tab.expect_download() as started:
        tab.get_by_role("button", name="CSV", exact=True).click()
    with open(started.value.path(), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_clips_found_are_played_filtered_and_saved(tab, address):
    tab.goto(f"{address}/find")
    at_rest(tab, PLAYERS)
    query, *others = sounds(tab)
    dog = read(sources()["dog"]["path"]).wave
    assert np.abs(query - HEADROOM * dog).max() < 2 * ROUNDING
    assert all(np.abs(sound).max() > 0.1 * HEADROOM for sound in others)
    assert tab.get_by_role("slider", name="log-mel spectrogram and player").count() == 11
    rows = saved(tab)
    assert [row["rank"] for row in rows] == [str(i) for i in range(1, 11)]
    assert sorted(float(row["distance"]) for row in rows) == [float(r["distance"]) for r in rows]

    tab.locator(".st-key-find_only_scenes_label input").fill("rain")
    tab.locator(".st-key-find_only_scenes_label input").press("Enter")
    tab.wait_for_url("**find_only_scenes_label=rain**")
    tab.keyboard.press("Escape")
    at_rest(tab, 1 + rain_clips())
    assert {row["label"] for row in saved(tab)} == {"rain"}

    tab.reload()
    at_rest(tab, 1 + rain_clips())
    tab.locator(".st-key-find_like_1 button:visible").click()
    tab.wait_for_url("**clip=scenes%2Frain**")
    tab.get_by_text("a clip of scenes").wait_for()


def rain_clips() -> int:
    """How many the store has: two-second segments of a bundled clip."""
    seconds = len(read(sources()["rain"]["path"]).wave) / 16_000
    return int(-(-(seconds - 0.5) // 2))


def test_a_channel_of_an_upload_is_searched_for_among_the_bundled_examples(tab, address, examples):
    tab.goto(f"{address}/find?find_corpus=Bundled+examples")
    at_rest(tab, PLAYERS)
    tab.locator(".st-key-query_slot").get_by_role("radiogroup").get_by_text(
        "Upload", exact=True
    ).click()
    tab.locator("input[type=file]").set_input_files(examples / "saxophone-1.flac")
    tab.get_by_text("1. tenor saxophone").wait_for()
    at_rest(tab, PLAYERS)
    first = saved(tab)[0]
    assert first["name"] == "saxophone-1" and float(first["distance"]) < 1e-3

    whole = sounds(tab)[0]
    tab.get_by_text("Channel 2", exact=True).click()
    tab.wait_for_url("**find_what_of_2=Channel+2**")
    tab.get_by_text("below the whole").wait_for()
    at_rest(tab, PLAYERS)
    assert np.abs(sounds(tab)[0] - whole).max() > 10 * ROUNDING
    assert saved(tab)[0]["rank"] == "1"

    tab.evaluate("document.querySelectorAll('.player')[1].play()")
    tab.wait_for_function("document.querySelectorAll('.player')[1].currentTime > 0")
    tab.evaluate("document.querySelectorAll('.player')[2].play()")
    tab.wait_for_function("document.querySelectorAll('.player')[1].paused")


def rightmost(tab) -> list[float]:
    """Where on the screen the rightmost point of the map is by now."""
    return tab.evaluate(
        """() => {
            const graph = document.querySelector(".map .plot"), layout = graph._fullLayout;
            const box = graph.getBoundingClientRect(), trace = graph.data[0];
            const at = trace.x.indexOf(Math.max(...trace.x));
            return [box.left + layout._size.l + layout.xaxis.d2p(trace.x[at]),
                box.top + layout._size.t + layout.yaxis.d2p(trace.y[at])];
        }"""
    )


def test_a_channel_is_placed_on_the_map_whose_points_play_and_lead_back(tab, address):
    tab.goto(f"{address}/find?query=Dog+in+the+rain&find_what_of_2=Channel+2")
    tab.get_by_text("below the whole").wait_for()
    at_rest(tab)
    tab.get_by_role("button", name="Show on the map").click()
    tab.wait_for_url("**/map?**asked=Dog+in+the+rain**")
    tab.wait_for_function(
        """() => {
            const graph = document.querySelector(".map .plot");
            const query = graph?.data?.find((trace) => trace.meta?.queries);
            const words = [...document.querySelectorAll(".map .annotation-text")]
                .map((word) => word.textContent);
            return query?.x.length == 2 && words.join() == "Query,Channel 2";
        }"""
    )
    tab.wait_for_function(
        "document.querySelectorAll('.st-key-map_query_panel .player').length == 2"
    )

    tab.mouse.click(*rightmost(tab))
    tab.wait_for_function(
        "document.querySelector('.st-key-map_focus_panel .player')?.currentTime > 0"
    )
    at_rest(tab)  # a map that is drawn again meanwhile would lose the click
    tab.locator(".map .annotation-text").first.click()
    tab.wait_for_function(
        "[...document.querySelectorAll('.st-key-map_query_panel .player')]"
        ".some(p => p.currentTime > 0)"
    )
    at_rest(tab)
    tab.mouse.click(*rightmost(tab))
    tab.get_by_role("button", name="Find similar").click()
    tab.wait_for_url("**/find?**clip=scenes%2F**")
    tab.get_by_text("a clip of scenes").wait_for()


def test_an_encoder_that_was_added_finds_and_maps_clips(tab, address):
    tab.goto(f"{address}/find?encoder=statistics")
    at_rest(tab, PLAYERS)
    assert saved(tab)[0]["label"] == "dog"
    tab.get_by_role("button", name="Show on the map").click()
    tab.wait_for_url("**/map?**map_model=statistics**")
    tab.wait_for_function(
        """() => {
            const graph = document.querySelector(".map .plot");
            return graph?.data?.find((trace) => trace.meta?.queries)?.x.length == 1;
        }"""
    )
    at_rest(tab)
