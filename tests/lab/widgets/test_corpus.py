"""New corpora from a page: what the dialog offers, and what it starts."""

import io
import sys

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs import Progress
from core.service import building, corpora
from tests.lab import tones
from tests.lab.conftest import APP
from tests.lab.tones import tone


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    tones.build(folder / "tones")
    return folder


@pytest.fixture
def find_page(data, scene_models, monkeypatch) -> AppTest:
    """The Find page, which is the quickest that has the button."""
    from core.checkpoints import checkpoint as checkpoints

    monkeypatch.setattr(checkpoints, "SHIPPED", scene_models)
    monkeypatch.setattr(corpora, "DATA", data)
    return AppTest.from_file(APP, default_timeout=240).switch_page("lab/pages/find.py")


@pytest.fixture
def started(monkeypatch) -> list:
    """What would be built."""
    made = []
    monkeypatch.setattr(building, "render", lambda *given: made.append(given))
    monkeypatch.setattr(
        building, "record", lambda name, rows, **given: made.append((name, rows, given))
    )
    return made


def wav(number: int) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, tone(220 + 40 * number, True), 16_000, format="WAV")
    return file.getvalue()


def test_melodies_are_built_from_the_dialog(find_page, started):
    page = find_page.run()
    page.button(key="find_add").click().run()
    page.button(key="render_dmelodies").click().run()
    assert not page.exception and started == [("dmelodies", "dmelodies-600")]


def test_recordings_are_looked_through_and_built(data, started, monkeypatch):
    monkeypatch.setattr(corpora, "DATA", data)
    script = "from lab.widgets import corpus; corpus._offer_recordings()"
    page = AppTest.from_string(script, default_timeout=240).run()
    page.file_uploader(key="own_files").upload("bass 1.wav", wav(2), "audio/wav").run()
    assert page.text_input(key="own_name").value == "my-recordings"
    page.button(key="own_build").click().run()
    assert not page.exception
    name, rows, given = started[-1]
    assert name == "my-recordings" and [row.name for row in rows] == ["bass 1.wav"]
    assert rows[0].path.read_bytes() == wav(2) and rows[0].labels == {}
    assert given["seconds"] == 4.0 and given["upload"]


def test_a_build_shows_its_progress_and_why_it_failed(find_page, monkeypatch):
    state = {"mine": Progress("running", 0.4, "4 of 10 recordings cut")}
    dropped = []
    monkeypatch.setattr(building, "builds", lambda: state)
    monkeypatch.setattr(building, "discard", dropped.append)
    page = find_page.run()
    assert "Building **mine**: 4 of 10 recordings cut" in page.get("progress")[0].proto.text
    state["mine"] = Progress("failed", text="bad.wav is empty")
    page.run()
    assert "bad.wav is empty" in page.error[0].value
    page.button(key="discard_mine").click().run()
    assert dropped == ["mine"]


def test_a_corpus_that_is_ready_is_chosen(find_page):
    find_page.session_state["corpus_ready"] = "tones"
    page = find_page.run()
    assert page.selectbox(key="find_corpus").value == "tones"


def test_a_public_lab_takes_no_corpora(find_page, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["app.py", "--public"])
    page = find_page.run()
    assert "find_add" not in {button.key for button in page.button}
