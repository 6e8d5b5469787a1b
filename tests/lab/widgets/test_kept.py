"""Visitors' own files outlive a reload, a look at another page, and are there in another tab."""

import io
import re
from urllib.parse import parse_qs

import numpy as np
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from core.checkpoints import checkpoint as checkpoints
from core.service import sessions, uploads
from core.service.sessions import Session
from tests.lab.conftest import APP
from tests.lab.pages import played
from tests.lab.tones import tone


@pytest.fixture
def lab(untrained, monkeypatch):
    """Opens a tab on the Separate page (which needs no model to play a mixture) or another."""
    monkeypatch.setattr(checkpoints, "SHIPPED", untrained)

    def open_tab(name="swap", **address) -> AppTest:
        page = AppTest.from_file(APP, default_timeout=240)
        for key, value in address.items():
            page.query_params[key] = value
        return page.switch_page(f"lab/pages/{name}.py") if name != "swap" else page

    return open_tab


def sound() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(440, True, 2.0), 16_000, format="WAV")
    return file.getvalue()


def address(page: AppTest, key: str) -> str:
    value = page.query_params[key]
    return value[0] if isinstance(value, list) else value


def test_an_upload_is_in_the_address_and_there_after_a_reload(lab, media):
    page = lab().run()
    page.segmented_control(key="source_from").set_value("Upload").run()
    page.file_uploader(key="source_upload").upload("mine.wav", sound()).run()
    assert not page.exception and not page.error
    id = address(page, "source_own")
    assert uploads.get(id).path.read_bytes() == sound()
    first = played(page, media)[0]

    again = lab(source_own=id).run()  # as after a reload, or in another tab
    assert again.segmented_control(key="source_from").value == "Upload"
    assert np.array_equal(played(again, media)[0], first)
    again.button(key="source_remove").click().run()
    assert "source_own" not in again.query_params and not again.exception


def test_an_id_that_is_no_longer_kept_says_so_and_another_file_can_be_given(lab):
    page = lab(source_own="A" * 22).run()
    assert "no longer kept" in page.error[0].value
    page.run()
    assert not page.error


def test_an_upload_is_remembered_while_another_page_is_open(lab):
    page = lab().run()
    page.segmented_control(key="source_from").set_value("Upload").run()
    page.file_uploader(key="source_upload").upload("mine.wav", sound()).run()
    id = address(page, "source_own")
    page.switch_page("lab/pages/results.py").run()
    page.query_params.clear()
    page.switch_page("lab/pages/swap.py").run()
    assert page.segmented_control(key="source_from").value == "Upload"
    assert address(page, "source_own") == id and not page.error


def test_a_session_is_opened_with_its_file_and_its_settings(lab):
    page = lab().run()
    mine = Session("swap", {"strength": "0.5"}, {"source_own": ("mine.wav", sound())}, {})
    page.file_uploader(key="session_open").upload("it.zip", sessions.pack(mine, {})).run()
    assert not page.exception and not page.error
    scripts = " ".join(one.proto.body for one in page.get("html"))
    found = parse_qs(re.search(r'href = "\./\?([^"]*)"', scripts)[1])
    assert found["strength"] == ["0.5"]
    again = lab(source_own=found["source_own"][0], strength="0.5").run()
    assert again.segmented_control(key="source_from").value == "Upload" and not again.error
    assert uploads.get(found["source_own"][0]).name == "mine.wav"


def test_a_file_that_is_no_session_is_named_on_the_page(lab):
    page = lab().run()
    page.file_uploader(key="session_open").upload("it.zip", b"no zip").run()
    assert "no readable zip" in page.error[0].value and not page.exception
