"""The demo as visitors use it: its real server, a real browser, at a desk and on a phone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.lab.browser import CHROMIUM, FLAGS, WAIT_MS, needs_chromium
from tests.lab.demo.server import CHECKPOINTS_SHIP, DemoProcess

sync_api = pytest.importorskip("playwright.sync_api")

TABS = ("Swap instruments", "Separate a mixture", "Remix a duet", "Find similar sounds")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(not CHECKPOINTS_SHIP, reason="checkpoints do not ship"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """The demo's address; when it has ended, no upload is left."""
    temporary = tmp_path_factory.mktemp("space")
    server = DemoProcess(temporary)
    server.wait()
    assert list(temporary.glob("ravel-space-*"))
    yield server.address
    server.end()
    assert not list(temporary.glob("ravel-space-*"))


@pytest.fixture
def demo(tab, address) -> "sync_api.Page":
    """The demo at a desk."""
    tab.goto(address)
    tab.get_by_role("button", name="Swap", exact=True).wait_for()
    return tab


def titles(page: "sync_api.Page") -> list[str]:
    """The titles of the visible spectrograms."""
    shown = page.locator("figure.sound figcaption span:visible")
    return shown.all_inner_texts()


def wait_for_title(page: "sync_api.Page", title: str) -> None:
    page.locator("figure.sound figcaption span:visible", has_text=title).first.wait_for()


def upload(page: "sync_api.Page", label: str, file: Path | dict) -> None:
    """Put a file into an input, in place of its current sound."""
    slot = page.locator(".block", has=page.get_by_text(label, exact=True)).last
    slot.get_by_role("button", name="Clear").click()
    slot.locator("input[type=file]").set_input_files(file)
    slot.get_by_role("button", name="Play", exact=True).wait_for()


def test_the_first_page_shows_answers_and_requests_no_other_host(tab, address):
    requested = []
    tab.on("request", lambda request: requested.append(request.url))
    tab.goto(address)
    wait_for_title(tab, "Melody of the violin, played by the trumpet")
    assert titles(tab) == [
        "First recording: violin",
        "Second recording: trumpet",
        "Melody of the violin, played by the trumpet",
        "Melody of the trumpet, played by the violin",
    ]
    widths = tab.evaluate(
        "[...document.querySelectorAll('figure.sound img')].map(picture => picture.naturalWidth)"
    )
    assert all(width > 100 for width in widths)
    assert {url.split("/")[2] for url in requested if url.startswith("http")} == {
        address.removeprefix("http://")
    }


def test_an_example_and_the_collapsed_baseline_are_one_click_away(demo):
    demo.get_by_text("Flute and saxophone", exact=True).click()
    wait_for_title(demo, "Melody of the flute, played by the tenor saxophone")
    assert demo.get_by_text("its global latent holds").is_hidden()

    demo.get_by_label("Compare with a collapsed model").check()
    demo.get_by_text("its global latent holds").wait_for()
    demo.wait_for_function(
        "[...document.querySelectorAll('figure.sound')].filter(f => f.offsetParent).length == 6"
    )
    assert titles(demo).count("Melody of the flute, played by the tenor saxophone") == 2


def test_two_own_recordings_are_swapped(demo, examples):
    upload(demo, "First recording", examples / "clarinet-1.flac")
    upload(demo, "Second recording", examples / "saxophone-1.flac")
    demo.get_by_role("button", name="Swap", exact=True).click()
    wait_for_title(demo, "Melody of the clarinet, played by the tenor saxophone")


def test_a_long_recording_offers_its_start(demo, tmp_path):
    wave = 0.3 * np.sin(np.arange(16_000 * 9) / 12)
    soundfile.write(tmp_path / "mine.wav", wave, 16_000)
    upload(demo, "First recording", tmp_path / "mine.wav")
    demo.get_by_text("The 4 s from here on are used.").wait_for()
    demo.get_by_role("button", name="Swap", exact=True).click()
    wait_for_title(demo, "Melody of mine, played by the trumpet")


def test_sounds_like_a_channel_of_the_mixture_are_found(demo):
    demo.get_by_role("tab", name=TABS[1]).click()
    demo.get_by_text("Rooster and clock", exact=True).click()
    demo.get_by_text("rooster + clock", exact=True).wait_for()
    demo.get_by_role("button", name="Find similar sounds").first.click()
    demo.locator(".hit:visible", has_text="Channel 2 of your mixture").or_(
        demo.locator(".hit:visible", has_text="Rooster")
    ).first.wait_for()
    assert demo.locator(".hit:visible").count() == 5
    assert demo.locator("audio:visible").count() >= 5


def test_a_silent_file_is_refused_in_a_sentence(demo, tmp_path):
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(32_000), 16_000)
    demo.get_by_role("tab", name=TABS[3]).click()
    upload(demo, "Sound", silence)
    demo.get_by_role("button", name="Find", exact=True).click()
    demo.get_by_text("The sound is silent: choose a recording that can be heard.").wait_for()


def test_on_a_phone_everything_fits_and_says_how_it_is(chromium, address, tmp_path):
    context = chromium.new_context(**PHONE)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(address)
    results, old = page.locator("#swap-results"), page.locator("#swap-results[data-old]")

    wave = 0.3 * np.sin(np.arange(16_000 * 9) / 12)  # longer than is used
    soundfile.write(tmp_path / "My song.wav", wave, 16_000)
    upload(page, "First recording", tmp_path / "My song.wav")
    page.get_by_text("The 4 s from here on are used.").wait_for()
    wait_for_title(page, "First recording: My song")  # before anything is pressed
    old.wait_for()
    results.get_by_text("These results are of the input before.").wait_for()
    page.get_by_label("number input for Strength").fill("0")
    page.get_by_role("button", name="Swap", exact=True).tap()
    wait_for_title(page, "Melody of My song, played by the trumpet")
    page.wait_for_function(
        """() => {
            const results = document.getElementById("swap-results");
            const top = results.getBoundingClientRect().top;
            return !results.hasAttribute("data-old") && top >= 0 && top < innerHeight / 2;
        }"""
    )
    slot = page.locator(".block", has=page.get_by_text("First recording", exact=True)).last
    slot.get_by_role("button", name="Clear").click()
    broken = {"name": "broken.wav", "mimeType": "audio/wav", "buffer": b"nothing"}
    slot.locator("input[type=file]").set_input_files(broken)
    page.locator(".refused", has_text="broken is not a sound file").wait_for()

    for number, name in enumerate(TABS):
        page.get_by_role("tab", name=name).tap()
        page.get_by_role("tab", name=name, selected=True).wait_for()
        page.screenshot(path=tmp_path / f"phone-{number}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_text("Waves", exact=True).tap()
    page.locator(".hit:visible", has_text="Sea, waves").first.wait_for()
    page.locator(".sounds-map").scroll_into_view_if_needed()
    page.locator(".sounds-map button").first.press("ArrowRight")
    page.keyboard.press("Enter")
    name = page.locator(".sounds-map .chosen").get_attribute("title")
    page.get_by_text(f"On the map: {name}", exact=True).wait_for()
    context.close()


def test_a_duet_is_remixed_and_its_separator_is_chosen_by_the_mixture(demo):
    demo.get_by_role("tab", name=TABS[2]).click()
    demo.get_by_role("button", name="Remix", exact=True).click()
    demo.get_by_text("channel 2 by").wait_for()
    assert {"Remix", "Channel 1", "Channel 2"} <= set(titles(demo))
    demo.get_by_role("tab", name=TABS[1]).click()
    demo.get_by_text("Duet", exact=True).first.click()
    demo.get_by_text("model for two instruments, chosen by the mixture").wait_for()


def test_a_recording_from_the_microphone_is_used(listening, address):
    page = listening
    page.goto(address)
    page.get_by_role("tab", name=TABS[3]).click()
    before = page.locator("figure.sound:visible img").get_attribute("src")
    slot = page.locator(".block", has=page.get_by_text("Sound", exact=True)).last
    slot.get_by_role("button", name="Clear").click()
    slot.get_by_label("Record audio").click()
    slot.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(2500)
    slot.locator("button:visible", has_text="Stop").click()
    slot.get_by_role("button", name="Play", exact=True).wait_for()
    page.locator("#find-results[data-old]").wait_for()
    page.wait_for_function(
        "before => [...document.querySelectorAll('figure.sound img')]"
        ".filter(picture => picture.offsetParent).every(picture => picture.src != before)",
        arg=before,
    )
    page.get_by_role("button", name="Find", exact=True).click()
    page.locator("#find-results:not([data-old])").wait_for()


@pytest.fixture
def listening(chromium) -> Iterator["sync_api.Page"]:
    """A tab whose microphone hears beeps."""
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, *fake])
    page = browser.new_context(permissions=["microphone"]).new_page()
    page.set_default_timeout(WAIT_MS)
    yield page
    browser.close()
