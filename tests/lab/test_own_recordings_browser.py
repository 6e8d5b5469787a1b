"""Own recordings from the drop to a swap by a model that was trained on them, in a real browser."""

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import soundfile

from core.training import launcher
from core.training.run import Run
from tests.lab import tones
from tests.lab.browser import Server, at_rest, needs_chromium

sync_api = pytest.importorskip("playwright.sync_api")
OPENED = 15_000  # ms, within which a dialog is there
SIZES = {
    "Model": {"hidden": "8"},
    "Objective": {"stage1_steps": "4"},
    "Training": {"steps": "8", "batch_size": "4", "validate_every": "8", "checkpoint_every": "8"},
}

pytestmark = needs_chromium


@pytest.fixture
def lab(tmp_path, untrained) -> Iterator[Server]:
    """A lab with one small corpus and no run, with folders of its own."""
    (tmp_path / "runs").mkdir()
    tones.build(tmp_path / "data" / "tones")
    shutil.copytree(untrained, tmp_path / "checkpoints")
    server = Server(
        tmp_path / "log.txt",
        tmp_path / "checkpoints",
        RAVEL_DATA=str(tmp_path / "data"),
        RAVEL_RUNS=str(tmp_path / "runs"),
        RAVEL_WARM="0",
    )
    yield server
    server.kill()
    for config in (tmp_path / "runs").glob("*/config.json"):  # where the test has failed
        Run(config.parent).ask_to_stop()
        launcher.kill(Run(config.parent))


def built(store: Path) -> bool:
    """Whether a corpus is there."""
    file = store / "store.json"
    return file.exists() and json.loads(file.read_text())["finished"]


def test_ten_files_without_labels_become_a_map_a_training_and_a_swap(tab, lab, tmp_path):
    files = []
    for number in range(10):
        files.append(tmp_path / f"{'abcdefghij'[number]}.wav")
        bright = number % 2 == 0
        soundfile.write(files[-1], tones.tone(220 * 2 ** (number / 12), bright, 1.5), 16_000)

    # Dropped on the Map, built, and there again after a reload.
    tab.goto(f"{lab.address}/map?map_projection=PCA")
    tab.get_by_role("button", name="Add a corpus").first.click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_role("tab", name="Add recordings").click()
    dialog.locator("input[type=file]").first.set_input_files(files)
    dialog.get_by_text("10 recordings, about 10 clips").wait_for()
    dialog.get_by_text("no labels, which is fine").wait_for()
    dialog.get_by_role("button", name="Build corpus").click()
    dialog.wait_for(state="hidden")
    tab.reload()
    store = tmp_path / "data" / "my-recordings"
    while not built(store):
        tab.wait_for_timeout(200)
    tab.goto(f"{lab.address}/map?map_projection=PCA&map_corpus={store.name}")
    tab.get_by_text("All 10 clips").wait_for()
    tab.locator(".map .nsewdrag").wait_for(state="attached")

    # Trained on for a few steps.
    tab.goto(f"{lab.address}/train?corpus_dsae={store}")
    for section, settings in SIZES.items():
        tab.get_by_role("tab", name=section).click()
        for name, value in settings.items():
            tab.get_by_label(name, exact=True).fill(value)
            tab.get_by_label(name, exact=True).press("Tab")
    tab.get_by_label("Name", exact=True).fill("own")
    tab.get_by_role("button", name="Start training").click()
    tab.wait_for_url("**/train?run=own")
    tab.locator(".stMarkdownBadge", has_text="Finished").first.wait_for()
    assert Run(tmp_path / "runs" / "own").config["data"]["store"].endswith("my-recordings")

    # Made a checkpoint, and swapped with; the own file survives a reload, too.
    tab.goto(f"{lab.address}/runs?runs=own")
    make = dialog.get_by_role("button", name="Make checkpoint")
    while not make.is_visible():  # the live table may just have been drawn again
        at_rest(tab)
        tab.get_by_role("button", name="Make own a checkpoint").first.click()
        with suppress(sync_api.TimeoutError):
            make.wait_for(timeout=OPENED)
    at_rest(tab)
    make.click()
    tab.get_by_text("The checkpoint own is made").wait_for()
    tab.goto(f"{lab.address}/?model=own")
    at_rest(tab, 4)
    slot = tab.locator(".st-key-source_slot")
    slot.get_by_role("radiogroup").get_by_text("Upload", exact=True).click()
    slot.locator("input[type=file]").set_input_files(files[0])
    tab.get_by_text("Source: a", exact=True).wait_for()
    at_rest(tab, 4)
    tab.reload()
    tab.get_by_text("Source: a", exact=True).wait_for()
    at_rest(tab, 4)
    assert tab.get_by_role("heading", name="own", exact=True).is_visible()
    assert tab.get_by_text("Melody kept").first.is_visible()
