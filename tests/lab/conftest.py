"""The lab with small models that were never trained: what it shows is not what is tested here."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import checkpoints

APP = Path(__file__).parent.parent.parent / "app.py"


@pytest.fixture(scope="session")
def untrained(tmp_path_factory) -> Path:
    """A folder of two checkpoints, small and untrained."""
    from core.dsae.config import DsaeConfig
    from core.dsae.model import Dsae

    folder = tmp_path_factory.mktemp("checkpoints")
    for name, store in (("ts-dsae-instruments", "instruments"), ("dsae-dmelodies", "dmelodies")):
        config = DsaeConfig.parse({"model": {"hidden": 8}, "data": {"store": f"data/{store}"}})
        weights = Dsae(config.model).state_dict()
        checkpoints.write(folder / name, config.model_dump(), weights)
    return folder


@pytest.fixture
def page(untrained, monkeypatch) -> AppTest:
    """The lab's first page, with the untrained checkpoints, not run yet."""
    monkeypatch.setattr(checkpoints, "SHIPPED", untrained)
    return AppTest.from_file(APP, default_timeout=120)
