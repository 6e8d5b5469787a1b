"""The Explore page and the untrained model that it plays."""

import pytest
from streamlit.testing.v1 import AppTest

from core.checkpoints import checkpoint as checkpoints
from tests.lab.explore.sections import MODEL


@pytest.fixture
def explore_page(page) -> AppTest:
    """The Explore page, not run yet."""
    return page.switch_page("lab/pages/explore.py")


@pytest.fixture
def checkpoint(untrained, monkeypatch):
    monkeypatch.setattr(checkpoints, "SHIPPED", untrained)
    return checkpoints.find(MODEL)
