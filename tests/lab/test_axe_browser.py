"""Every page in a real browser, light and dark, checked by axe-core for what shuts people out."""

import shutil
from collections.abc import Iterator

import pytest

from tests.lab import tones
from tests.lab.browser import DESK, WAIT_MS, Server, at_rest, needs_chromium

pytest.importorskip("playwright.sync_api")
Axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe

pytestmark = needs_chromium
PAGES = (
    "",
    "map?map_projection=PCA",
    "explore",
    "separate",
    "remix",
    "find",
    "train",
    "runs",
    "results",
)
IS_DARK = "getComputedStyle(document.querySelector('.stApp')).backgroundColor == 'rgb(16, 22, 27)'"
RULES = {  # Streamlit's own: where it puts its widgets, which no page can change
    "region": {"enabled": False},
    "landmark-one-main": {"enabled": False},
}


@pytest.fixture(scope="module")
def address(tmp_path_factory, untrained, scene_models) -> Iterator[str]:
    """Where the lab answers, with small models and a small corpus."""
    folder = tmp_path_factory.mktemp("lab")
    tones.build(folder / "data" / "tones")
    for models in (untrained, scene_models):
        shutil.copytree(models, folder / "checkpoints", dirs_exist_ok=True)
    server = Server(
        folder / "log.txt",
        folder / "checkpoints",
        RAVEL_DATA=str(folder / "data"),
        RAVEL_RUNS=str(folder / "runs"),
        RAVEL_WARM="0",
    )
    yield server.address
    server.kill()


def findings(tab, **options) -> list[str]:
    """What axe finds: a rule, the elements that break it, and how."""
    context = {"exclude": [[".st-key-played"]]}  # disabled: there is no vocoder among the models
    found = Axe().run(tab, context, {"resultTypes": ["violations"], **options}).response
    return [
        f"{one['id']}: {node['html'][:160]} ({node['failureSummary'][:200]})"
        for one in found["violations"]
        for node in one["nodes"][:3]
    ]


def test_axe_finds_nothing_on_any_page_light_or_dark(chromium, address):
    tab = chromium.new_page(**DESK, color_scheme="light")
    tab.set_default_timeout(WAIT_MS)
    found = []
    for page in PAGES:
        tab.goto(f"{address}/{page}")
        tab.wait_for_selector("h1")
        at_rest(tab)
        found += [f"{page or 'swap'}, light: {one}" for one in findings(tab, rules=RULES)]
        tab.emulate_media(color_scheme="dark")  # the page follows, without being loaded again
        tab.wait_for_function(IS_DARK)
        at_rest(tab)
        only = {"runOnly": ["color-contrast"]}
        found += [f"{page or 'swap'}, dark: {one}" for one in findings(tab, **only)]
        tab.emulate_media(color_scheme="light")
    tab.close()
    assert not found, "\n".join(found)
