"""The lab for anybody: what can train, score or read runs is not there."""

import sys

import pytest
from streamlit.testing.v1 import AppTest

from tests.lab.conftest import APP


@pytest.fixture(params=["--public", "SPACE_ID"])
def public(request, monkeypatch):
    """The two ways in which a lab becomes public."""
    if request.param == "SPACE_ID":
        monkeypatch.setenv("SPACE_ID", "owner/ravel")
    else:
        monkeypatch.setattr(sys, "argv", ["app.py", "--public"])


@pytest.mark.parametrize("page", ["train", "runs"])
def test_the_pages_of_runs_cannot_be_reached(public, page):
    lab = AppTest.from_file(APP, default_timeout=90)
    lab.switch_page(f"lab/pages/{page}.py")
    lab.run()
    assert page.title() not in {title.value for title in lab.title}
    assert not lab.exception


def test_nothing_can_be_scored(public):
    lab = AppTest.from_file(APP, default_timeout=90)
    lab.switch_page("lab/pages/results.py")
    lab.run()
    assert not lab.exception and lab.title[0].value == "Results"
    assert not [button for button in lab.button if "Evaluate" in button.label]


def test_a_lab_of_ones_own_has_them(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    lab = AppTest.from_file(APP, default_timeout=90)
    lab.switch_page("lab/pages/runs.py")
    lab.run()
    assert lab.title[0].value == "Runs"
