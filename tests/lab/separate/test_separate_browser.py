"""The Separate page as people meet it: the real server, a real browser, sound and all."""

import io
import time
import zipfile
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile

from core.audio.clip import wav_bytes
from core.service import HEADROOM
from lab.widgets import player
from tests.lab import separators
from tests.lab.browser import Server, mixed, needs_chromium

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium
ROUNDING = 1 / 32768
# What the mixer sends to the loudspeakers is measured, too.
TAP = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) {
    const tap = window.tap ??= new AnalyserNode(to.context, { fftSize: 32768 });
    if (tap.context === to.context) connect.call(this, tap); // the mixer's, which is first
  }
  return connect.call(this, to, ...rest);
};
window.loudness = () => {
  const samples = new Float32Array(8192);
  window.tap.getFloatTimeDomainData(samples);
  return Math.max(...samples.map(Math.abs));
};
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """Where the lab answers."""
    folder = separators.build(tmp_path_factory.mktemp("separators"))
    server = Server(tmp_path_factory.mktemp("server") / "log.txt", folder)
    yield server.address
    server.kill()


@pytest.fixture
def page(tab, address) -> "sync_api.Page":
    """The page, at rest: all is there, and the mixer can be played."""
    tab.add_init_script(TAP)
    tab.goto(f"{address}/separate")
    mixed(tab, 3)
    return tab


def sounds(tab: "sync_api.Page") -> list[np.ndarray]:
    """What the players were sent, in the order of the page."""
    addresses = tab.evaluate("[...document.querySelectorAll('.player')].map(p => p.currentSrc)")
    answers = [tab.request.get(address) for address in addresses]
    assert all(answer.ok for answer in answers)
    return [soundfile.read(io.BytesIO(answer.body()))[0] for answer in answers]


def download(tab: "sync_api.Page", name: str) -> bytes:
    with tab.expect_download() as started:
        tab.get_by_role("button", name=name, exact=True).click()
    with open(started.value.path(), "rb") as file:
        return file.read()


def stems(tab: "sync_api.Page") -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(download(tab, "Stems"))) as archive:
        names = [name for name in archive.namelist() if name.endswith(".wav")]
        return {name: soundfile.read(archive.open(name))[0] for name in names}


def expect_remix(tab: "sync_api.Page", expected: np.ndarray, gain: float) -> None:
    """The page comes to show the level of what is expected, and that is what it saves."""
    level = player.level(wav_bytes(gain * expected))
    tab.get_by_text(level, exact=True).last.wait_for()
    deadline, off = time.monotonic() + 20, np.inf
    while off > 1e-6 and time.monotonic() < deadline:  # the file may come after the figure
        tab.wait_for_timeout(500)
        saved = soundfile.read(io.BytesIO(download(tab, "Remix")))[0]
        off = np.abs(saved - expected).max()
    assert off < 1e-6


def last_sound(tab: "sync_api.Page") -> str:
    """Where the last channel is: the page fills from above."""
    return tab.evaluate("[...document.querySelectorAll('.player')].at(-1).currentSrc")


def wait_for_another_sound(tab: "sync_api.Page", before: str) -> None:
    tab.wait_for_function(
        """before => {
            const now = [...document.querySelectorAll(".player")].at(-1)?.currentSrc;
            return now && now != before;
        }""",
        arg=before,
    )
    mixed(tab, 3)


def test_clips_mixed_on_the_spot_are_taken_apart_at_true_levels(page):
    example, before = sounds(page)[0], last_sound(page)
    page.get_by_text("Mix", exact=True).click()
    page.wait_for_url("**mixture_from=Mix**")
    page.locator(".st-key-mixture_level_1 input").press("ArrowRight")
    page.wait_for_url("**mixture_level_1=0.5**")
    wait_for_another_sound(page, before)

    mixture, *channels = sounds(page)
    assert np.abs(mixture - example).max() > 10 * ROUNDING
    assert np.abs(sum(channels) - mixture).max() < 3 * ROUNDING
    assert page.get_by_text("SI-SNRi").count() == 3  # of both channels, and their mean
    assert page.locator(".sound canvas").count() == 4


def test_stems_are_saved_as_one_file_and_add_up(page):
    waves = stems(page)
    mixture = waves.pop("mixture.wav")
    assert len(waves) == 2 and np.abs(sum(waves.values()) - mixture).max() < 1e-6
    played = sounds(page)
    assert np.corrcoef(waves["channel-1.wav"], played[1])[0, 1] > 0.999


def test_a_mute_and_a_level_change_the_remix_that_is_saved_and_are_in_the_address(page):
    waves = stems(page)
    gain = HEADROOM / np.abs(waves["mixture.wav"]).max()
    expect_remix(page, waves["mixture.wav"], gain)

    page.get_by_label("Mute 1 dog").click()
    page.wait_for_url("**levels=m0%2C0")
    expect_remix(page, waves["channel-2.wav"], gain)

    page.get_by_label("Level of 2 rain in dB").press("ArrowLeft")
    page.wait_for_url("**levels=m0%2C-0.5")
    expect_remix(page, 10 ** (-0.5 / 20) * waves["channel-2.wav"], gain)

    page.reload()
    mixed(page, 3)
    assert page.get_by_label("Mute 1 dog").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("!location.search.includes('levels')")


def test_the_mixer_plays_and_follows_its_controls_at_once(page):
    page.get_by_label("Repeat until stopped").check()
    page.get_by_label("Play the remix").click()
    page.wait_for_function("window.tap && window.loudness() > 0.05")

    for channel in ("1 dog", "2 rain"):
        page.get_by_label(f"Mute {channel}").click()
    page.wait_for_function("window.loudness() < 0.001")
    page.get_by_label("Solo 2 rain").click()
    page.get_by_label("Mute 2 rain").click()
    page.wait_for_function("window.loudness() > 0.01")

    page.evaluate("document.querySelector('.player').play()")
    page.get_by_label("Play the remix").wait_for()  # a player that starts stops the mixer
    page.get_by_label("Play the remix").click()
    page.wait_for_function("document.querySelector('.player').paused")


def test_another_training_step_takes_over_where_the_mixer_has_come_to(page):
    before, last = sounds(page), last_sound(page)
    page.get_by_label("Repeat until stopped").check()
    page.get_by_label("Play the remix").click()
    page.wait_for_function("parseFloat(document.querySelector('.mixer output').textContent) > 0.3")
    page.locator(".st-key-step input").first.press("ArrowLeft")
    page.wait_for_url("**step=0**")
    wait_for_another_sound(page, last)
    assert page.get_by_label("Pause the remix").is_visible()
    assert np.array_equal(sounds(page)[0], before[0])


def test_a_recording_is_uploaded_and_separated_without_figures(page, examples):
    page.locator(".st-key-mixture_slot").get_by_role("radiogroup").get_by_text(
        "Upload", exact=True
    ).click()
    page.locator("input[type=file]").set_input_files(examples / "saxophone-1.flac")
    page.wait_for_function("!document.body.innerText.includes('SI-SNRi')")
    mixed(page, 3)
    mixture, *channels = sounds(page)
    assert np.abs(sum(channels) - mixture).max() < 3 * ROUNDING
