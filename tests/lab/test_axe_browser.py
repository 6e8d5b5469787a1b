"""Every page in a real browser, light and dark, checked by axe-core for what shuts people out."""

from collections.abc import Iterator

import pytest

from core.checkpoints.checkpoint import list_checkpoints
from tests.lab.browser import DESK, Server, at_rest, needs_chromium

pytest.importorskip("playwright.sync_api")
Axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(not list_checkpoints("dsae"), reason="no checkpoint ships"),
]
PAGES = ("", "map", "explore", "explore?section=Grid", "separate", "remix", "find", "train", "runs",
         "results")  # fmt: skip
# Streamlit's own, which no page can change: where and with which roles it puts its widgets.
STREAMLITS_OWN = {
    "rules": {
        "region": {"enabled": False},
        "landmark-one-main": {"enabled": False},
    },
    "resultTypes": ["violations"],
}


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """Where the lab answers."""
    folder = tmp_path_factory.mktemp("lab")
    server = Server(
        folder / "log.txt", RAVEL_DATA=str(folder / "data"), RAVEL_RUNS=str(folder / "runs")
    )
    yield server.address
    server.kill()


def findings(tab) -> list[str]:
    """What axe finds: the rule, and the first elements that break it."""
    found = Axe().run(tab, options=STREAMLITS_OWN).response["violations"]
    return [
        f"{one['id']} ({len(one['nodes'])}): "
        + " | ".join(
            node["html"][:160] + " " + node["failureSummary"][:200] for node in one["nodes"][:3]
        )
        for one in found
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(chromium, address, scheme):
    tab = chromium.new_page(**DESK, color_scheme=scheme)
    tab.set_default_timeout(180_000)
    found = {}
    for page in PAGES:
        tab.goto(f"{address}/{page}")
        tab.wait_for_selector("h1")
        at_rest(tab)
        if wrong := findings(tab):
            found[page] = wrong
    tab.close()
    assert not found, "\n".join(
        f"{page or 'swap'}: {one}" for page, every in found.items() for one in every
    )
