"""The Swap page as people meet it: the real server, a real browser, the models that ship."""

import io
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core import service
from core.audio.clip import read
from core.checkpoints.checkpoint import list_checkpoints
from lab.bundled import EXAMPLES
from tests.lab.browser import Server, at_rest, needs_chromium
from tests.lab.pages import wav

sync_api = pytest.importorskip("playwright.sync_api")
Axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(not list_checkpoints("dsae"), reason="no checkpoint ships"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """Where the lab answers."""
    server = Server(tmp_path_factory.mktemp("server") / "log.txt")
    yield server.address
    server.kill()


FIRST_MS = 180_000  # the first page loads the model and all libraries


# How many players there were while the page moved, and which of its elements faded.
SEEN = """() => {
    const seen = { counts: [], fading: [] };
    const look = () => {
        seen.counts.push(document.querySelectorAll(".player").length);
        for (const { effect } of document.getAnimations())
            if (effect.target.classList.contains("stElementContainer"))
                seen.fading.push(effect.target.className);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true });
    window.seen = seen;
}"""


# Whether both results play other sounds than `before`.
OTHER_RESULTS = """before => {
    const now = [...document.querySelectorAll(".player")];
    return [2, 3].every((i) => now[i]?.duration > 0 && now[i].currentSrc != before[i]);
}"""


def choose(tab: "sync_api.Page", side: str, title: str) -> None:
    tab.locator(f".st-key-{side} input").click()
    tab.get_by_role("option", name=title, exact=True).click()
    tab.get_by_text(f"{side.title()}: {title.split(',')[0].lower()}", exact=True).wait_for()
    at_rest(tab, 4)


def open_page(tab: "sync_api.Page", address: str, players: int = 4) -> None:
    tab.goto(address)
    at_rest(tab, players, FIRST_MS)


def durations(tab: "sync_api.Page") -> list[float]:
    return tab.evaluate("[...document.querySelectorAll('.player')].map(p => p.duration)")


def sources(tab: "sync_api.Page") -> list[str]:
    return tab.evaluate("[...document.querySelectorAll('.player')].map(p => p.currentSrc)")


def test_two_recordings_and_their_swaps_are_seen_and_can_be_played(tab, address):
    open_page(tab, address)

    assert all(sources(tab)) and len(set(sources(tab))) == 4
    assert durations(tab) == pytest.approx([2.97] * 4, abs=0.05)
    assert tab.locator(".sound canvas").count() == 4
    for title in ("Source: violin", "Target: trumpet", "Source melody, target instrument"):
        assert tab.get_by_text(title, exact=True).is_visible()


def test_switching_the_swap_exchanges_the_results_and_is_kept_in_the_address(tab, address):
    open_page(tab, address)
    before = sources(tab)

    tab.locator(".st-key-swap").get_by_text("Melody", exact=True).click()
    tab.wait_for_url("**/?swap=Melody")
    tab.wait_for_function(
        """before => {
            const now = [...document.querySelectorAll(".player")].map(p => p.currentSrc);
            return now[2] == before[3] && now[3] == before[2];
        }""",
        arg=before,
    )
    assert sources(tab)[:2] == before[:2]

    tab.reload()
    at_rest(tab, 4)
    assert tab.get_by_text("its own instrument, playing the other's melody").is_visible()


def test_starting_a_player_pauses_the_one_before(tab, address):
    open_page(tab, address)
    playing = tab.evaluate(
        """async () => {
            const players = [...document.querySelectorAll(".player")];
            await players[0].play();
            await players[2].play();
            return players.map(player => !player.paused);
        }"""
    )
    assert playing == [False, False, True, False]


def test_sound_and_latents_are_saved_by_their_buttons(tab, address):
    open_page(tab, address)
    with tab.expect_download() as download:
        tab.get_by_role("button", name="WAV").first.click()
    wave, rate = soundfile.read(download.value.path())
    assert rate == 16_000 and len(wave) / rate == pytest.approx(durations(tab)[2], abs=0.01)

    with tab.expect_download() as download:
        tab.get_by_role("button", name="Target latents").first.click()
    with np.load(io.BytesIO(Path(download.value.path()).read_bytes())) as arrays:
        assert arrays["z"].shape[0] == pytest.approx(2.97 * 62.5, abs=2)


def test_a_file_that_is_no_sound_is_explained_and_a_good_one_is_taken(tab, address, examples):
    open_page(tab, address)
    slot = tab.locator(".st-key-source_slot")
    slot.get_by_role("radiogroup").get_by_text("Upload", exact=True).click()
    chooser = slot.locator("input[type=file]")
    chooser.set_input_files({"name": "a.wav", "mimeType": "audio/wav", "buffer": b"no sound"})
    slot.get_by_text("not a sound file").wait_for()

    chooser.set_input_files(examples / "flute-1.flac")
    tab.get_by_text("Source: flute-1", exact=True).wait_for()
    at_rest(tab, 4)


def test_the_part_of_a_long_recording_is_chosen_on_its_waveform_and_kept(tab, address):
    open_page(tab, address)
    slot = tab.locator(".st-key-source_slot")
    slot.get_by_role("radiogroup").get_by_text("Upload", exact=True).click()
    wave = wav(0.5 * np.sin(2 * np.pi * 440 * np.arange(9 * 16_000) / 16_000))
    file = {"name": "long.wav", "mimeType": "audio/wav", "buffer": wave}
    slot.locator("input[type=file]").set_input_files(file)
    part = tab.get_by_role("slider", name="Source: the part that is used")
    part.press("PageUp")
    tab.wait_for_url("**source_start=4.0**")
    at_rest(tab, 4)
    box = part.bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    tab.mouse.down()
    tab.mouse.move(box["x"], box["y"] + 20, steps=3)  # half a window to the left: 2 s
    tab.mouse.up()
    tab.wait_for_url("**source_start=2.0**")

    tab.reload()
    at_rest(tab, 4)
    part.wait_for()
    assert part.get_attribute("aria-valuetext") == "2.0 to 6.0 s of 9.0 s"


def test_while_a_choice_is_answered_players_stay_where_they_are_and_nothing_fades(tab, address):
    open_page(tab, address)
    for side, title in (
        ("source", "Flute, slow phrase"),
        ("target", "Clarinet, low register"),
    ):  # from the first choice on
        before = sources(tab)
        tab.evaluate(SEEN)
        choose(tab, side, title)
        tab.wait_for_function(OTHER_RESULTS, arg=before)
        seen = tab.evaluate("window.seen")
        assert set(seen["counts"]) == {4} and not seen["fading"]


def test_who_embeds_the_lab_does_not_control_it(address):
    with urllib.request.urlopen(f"{address}/_stcore/host-config") as answer:
        assert json.load(answer)["allowedOrigins"] == []


# -- the sound view ---------------------------------------------------------------------------

# What goes to the loudspeakers is kept: two thirds of a second of it.
TAP = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
    if (to instanceof AudioDestinationNode)
        connect.call(this, window.tap ??= new AnalyserNode(to.context, { fftSize: 32768 }));
    return connect.call(this, to, ...rest);
};
window.heard = () => {
    const samples = new Float32Array(32768);
    window.tap.getFloatTimeDomainData(samples);
    return [...samples];
};
"""
PLAYS = "[...document.querySelectorAll('.player')].findIndex(p => !p.paused)"
# Where the sound is, and when, in seconds: both sides of a press on a button of the bar.
SWITCH = """number => {
    const player = document.querySelector(".player");
    const now = () => [performance.now() / 1000, player.currentTime];
    const before = now();
    document.querySelectorAll(".sounds .chips button")[number].click();
    return [before, now()];
}"""


def test_sounds_are_switched_while_they_play_at_one_position_without_a_gap(tab, address):
    tab.add_init_script(TAP)
    open_page(tab, address)
    tab.get_by_role("button", name="Play Source: violin").click()
    tab.wait_for_function("document.querySelector('.player').currentTime > 0.9")
    (when, at), (then, after) = tab.evaluate(SWITCH, 2)
    assert tab.evaluate(PLAYS) == 2 and after - at == pytest.approx(then - when, abs=0.03)
    later, position = tab.evaluate(
        """async () => {
            await new Promise(then => setTimeout(then, 300));
            return [performance.now() / 1000, document.querySelector(".player").currentTime];
        }"""
    )
    assert position - at == pytest.approx(later - when, abs=0.1)  # the clock went on
    samples = np.array(tab.evaluate("window.heard()"))
    sounding = np.flatnonzero(samples)
    assert 0.01 < np.abs(samples).max() <= 0.51  # as loud as the files: none is brought up to 1
    assert np.diff(sounding).max() < 0.005 * 48_000  # nothing is silent for 5 ms

    tab.wait_for_function(f"{PLAYS} == -1")  # at its end it stops


def test_a_part_is_selected_and_looped_and_keys_do_what_the_pointer_does(tab, address):
    open_page(tab, address)
    first = tab.locator(".player .stage").first
    box = tab.locator(".player .plot").first.bounding_box()
    y = box["y"] + box["height"] / 2
    tab.mouse.move(box["x"] + 0.5 * box["width"], y)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.6 * box["width"], y, steps=4)
    tab.mouse.up()
    assert "selected 1.5 to 1.8 s" in first.get_attribute("aria-valuetext")

    tab.keyboard.press(" ")  # the picture that was clicked has the focus
    rounds = tab.evaluate(
        """() => new Promise(done => {
            const player = document.querySelector(".player"), seen = [];
            const look = () => {
                seen.push(player.currentTime);
                const wraps = seen.filter((at, i) => at < seen[i - 1]).length;
                if (wraps < 2) requestAnimationFrame(look);
                else done([Math.min(...seen), Math.max(...seen)]);
            };
            look();
        })"""
    )
    assert rounds[0] >= 1.47 and rounds[1] <= 1.79
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate(PLAYS) == 1
    tab.keyboard.press(" ")
    tab.keyboard.press("Escape")
    second = tab.locator(".player .stage").nth(1)
    assert "selected" not in second.get_attribute("aria-valuetext")
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("document.querySelector('.player').currentTime") > 0
    tab.keyboard.press("+")
    assert tab.get_by_role("button", name="Show all").is_enabled()
    tab.keyboard.press("0")
    assert tab.get_by_role("button", name="Show all").is_disabled()
    # One Tab stop for the sounds, one for the bar.
    for group in (".sound", ".sounds .tools"):
        assert tab.locator(f"{group} [tabindex='0']").count() == 1


def test_the_difference_of_two_pictures_is_measured_in_decibels(tab, address):
    open_page(tab, address)
    tab.get_by_role("button", name="Difference").click()
    tab.get_by_label("Picture", exact=True).select_option(label="Source")
    tab.get_by_label("Picture to subtract").select_option(label="Target")
    shown = tab.get_by_text("dB on average", exact=False).inner_text()

    mels = [service.log_mel(read(EXAMPLES / f"{name}-1.flac")) for name in ("violin", "trumpet")]
    mels = [10 * np.log10(np.e) * mel for mel in mels]
    least = max(mel.max() for mel in mels) - 80
    frames = min(map(len, mels))
    one, other = (np.maximum(mel[:frames], least) for mel in mels)
    assert float(shown.split()[0]) == pytest.approx(np.abs(one - other).mean(), abs=0.15)

    found = Axe().run(tab, {"include": [[".sounds"], [".sound"]]}).response["violations"]
    assert not found, found
