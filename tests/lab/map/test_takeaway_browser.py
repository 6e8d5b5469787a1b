"""The map as a file, opened from disk in a real browser: nothing is loaded, everything plays."""

import numpy as np
import pytest

from core.takeaway.page import Layout, Sample, Writer, fill
from tests.lab import tones
from tests.lab.browser import needs_chromium

pytest.importorskip("playwright.sync_api")
pytestmark = needs_chromium
PLAYS = "id => !document.getElementById(id).paused && document.getElementById(id).currentTime > 0"


def test_it_is_used_by_keyboard_on_a_phone_and_loads_nothing(chromium, tmp_path):
    file = tmp_path / "map.html"
    spots = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [2, 2]], dtype=float)
    names = ["left", "right", "above right", "above left", "silent <b>"]
    layout = Layout(spots, names, ["low", "low", "high", "high", ""], "pitch", "PCA")
    samples = [Sample(i, names[i], {"note": str(i)}, tones.tone(220, True)) for i in range(4)]
    made = fill(Writer("Tones", "Four tones", layout), samples, lambda m, i: tones.tone(330, False))
    file.write_bytes(made.html)
    # Playwright's waiting is a script, which the file's own policy forbids.
    context = chromium.new_context(
        viewport={"width": 390, "height": 800}, color_scheme="dark", bypass_csp=True
    )
    tab, asked = context.new_page(), []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: pytest.fail(str(error)))
    tab.goto(file.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowUp")
    assert tab.evaluate("document.activeElement.ariaLabel") == "Play above right, high"
    tab.keyboard.press("Enter")
    tab.wait_for_function(PLAYS, arg="clip-sound")
    assert tab.get_by_role("status").first.inner_text() == "above right"
    tab.get_by_role("button", name="Use its instrument").press("Enter")
    tab.get_by_label("Melody of").locator("visible=true").first.select_option("above left")
    assert tab.locator("#swap-name").inner_text() == (
        "Melody of above left, instrument of above right"
    )
    tab.evaluate("document.getElementById('swap-sound').play()")
    tab.wait_for_function(PLAYS, arg="swap-sound")
    assert tab.evaluate("document.getElementById('clip-sound').paused")
    tab.get_by_role("button", name="low", exact=True).press("Enter")
    assert tab.locator("#plot circle.on").count() == 4  # two points, twice with sound
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    context.close()
