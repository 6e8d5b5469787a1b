"""The lab with small, untrained models, in process and in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.testing.v1 import AppTest

from core.checkpoints import checkpoint
from core.service import corpora
from lab import bundled
from tests.lab import encoders, separators
from tests.lab.browser import CHROMIUM, DESK, FLAGS, WAIT_MS

APP = Path(__file__).parent.parent.parent / "app.py"


@pytest.fixture(scope="session")
def untrained(tmp_path_factory) -> Path:
    """A folder of two small, untrained checkpoints."""
    from core.dsae.config import DsaeConfig
    from core.dsae.model import Dsae

    folder = tmp_path_factory.mktemp("checkpoints")
    for name, store in (("ts-dsae-players", "instruments"), ("dsae-dmelodies", "dmelodies")):
        config = DsaeConfig.parse({"model": {"hidden": 8}, "data": {"store": f"data/{store}"}})
        weights = Dsae(config.model).state_dict()
        checkpoint.write(folder / name, config.model_dump(), weights)
    return folder


@pytest.fixture(scope="session")
def scene_models(tmp_path_factory) -> Path:
    """A folder of an encoder and separators of scenes, small and untrained."""
    return encoders.build(separators.build(tmp_path_factory.mktemp("scene_models")))


@pytest.fixture(scope="session")
def scene_data(tmp_path_factory, examples) -> Path:
    """A data folder of one store of scenes, without an index: copy it, as others use it too."""
    return encoders.corpus(tmp_path_factory.mktemp("scene_data"), examples)


@pytest.fixture(scope="session")
def example_data(tmp_path_factory) -> Path:
    """A data folder of the bundled recordings' stores."""
    folder = tmp_path_factory.mktemp("example_data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "DATA", folder)
        bundled.build_stores()
    return folder


@pytest.fixture
def page(untrained, monkeypatch) -> AppTest:
    """The lab's first page with the untrained checkpoints; it has not run yet."""
    monkeypatch.setattr(checkpoint, "SHIPPED", untrained)
    return AppTest.from_file(APP, default_timeout=120)


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    """A browser."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def tab(chromium, tmp_path) -> Iterator:
    """An empty tab. At the end, a screenshot is kept and errors of the page fail the test."""
    tab = chromium.new_page(**DESK)
    tab.set_default_timeout(WAIT_MS)
    errors = []
    tab.on("pageerror", lambda error: errors.append(error))
    yield tab
    tab.screenshot(path=tmp_path / "page.png", full_page=True)
    assert not errors
    assert tab.locator("[data-testid=stException]").count() == 0
    tab.close()


@pytest.fixture
def media(monkeypatch) -> dict[str, bytes]:
    """The files that the page gives to players and downloads, by id."""
    files = {}
    keep = MemoryMediaFileStorage.load_and_get_id

    def load_and_get_id(self, data, *args, **kwargs):
        file_id = keep(self, data, *args, **kwargs)
        files[file_id] = data
        return file_id

    monkeypatch.setattr(MemoryMediaFileStorage, "load_and_get_id", load_and_get_id)
    return files
