"""A HEAR module in a file, and where encoders that may import code are noted."""

import shutil
from pathlib import Path

import pytest

MODULE = Path(__file__).parent / "statistics_hear.py"


@pytest.fixture(autouse=True)
def trusted(tmp_path, monkeypatch) -> Path:
    """The folder where it is noted which encoders may import code."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def statistics(tmp_path) -> Path:
    """A copy of the module, to be changed."""
    (tmp_path / "code").mkdir()
    return Path(shutil.copy(MODULE, tmp_path / "code"))
