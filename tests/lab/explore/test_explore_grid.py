"""The grid of swaps on the Explore page, driven in process; its sound is tested in a browser."""

import base64
import csv
import io
import shutil
import zipfile

import numpy as np
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from core import service
from core.audio.clip import read
from core.checkpoints import checkpoint as checkpoints
from core.service import corpora
from core.vocoder.play import default_route
from lab.explore import grid
from tests.lab import tones
from tests.lab.pages import component, given, wav
from tests.lab.swap.test_swap_page import tone

PAGE = "lab/pages/explore.py"
TWO = ["Violin, slow phrase", "Trumpet, fanfare"]


@pytest.fixture
def grid_page(page) -> AppTest:
    """The grid of a violin and a trumpet, not run yet."""
    page.query_params["section"] = "Grid"
    page.query_params["grid_clips"] = TWO
    return page.switch_page(PAGE)


def table(page: AppTest) -> dict:
    return component(page, "ravel_sound_table")


def sounds(page: AppTest) -> dict[str, np.ndarray]:
    """The samples of every cell, by its id."""
    found = {one["id"]: one["wav"] for one in given(page, "ravel_table_sound")}
    return {id: soundfile.read(io.BytesIO(base64.b64decode(w)))[0] for id, w in found.items()}


def figures(page: AppTest) -> dict[str, dict]:
    return {one["id"]: one for one in given(page, "ravel_table_figures")}


def names(page: AppTest) -> list[str]:
    return [head["text"] for head in table(page)["rows"]]


def says(page: AppTest, text: str) -> bool:
    return any(text in element.value for element in (*page.caption, *page.info, *page.error))


def spots() -> list[grid.Spot]:
    """The cells of the grid of two."""
    checkpoint, clips = checkpoints.find("ts-dsae-players"), [*map(grid.open_clip, TWO)]
    return [
        grid.Spot(checkpoint, row, column, default_route()) for row in clips for column in clips
    ]


def test_five_instruments_are_in_the_grid_by_default(page, monkeypatch):
    monkeypatch.setattr(grid, "_figures", lambda *_: grid.Figures(0.5, 0.5))  # they take their time
    page.query_params["section"] = "Grid"
    page.switch_page(PAGE).run()

    assert not page.exception and not page.error
    assert names(page) == ["violin-1", "trumpet-1", "clarinet-1", "flute-1", "saxophone-1"]
    cells = [cell for row in table(page)["cells"] for cell in row]
    assert len(cells) == 25 and len(sounds(page)) == 30 and len(figures(page)) == 25


def test_a_cell_is_its_rows_melody_by_its_columns_instrument(grid_page, examples):
    grid_page.run()

    violin, trumpet = (read(examples / f"{name}-1.flac") for name in ("violin", "trumpet"))
    checkpoint = checkpoints.find("ts-dsae-players")
    pair, output = service.Pair(checkpoint, violin, trumpet), sounds(grid_page)
    expected = [["source_reconstruction", "swapped"], ["counterpart", "target_reconstruction"]]
    for row, parts in zip(table(grid_page)["cells"], expected, strict=True):
        for cell, part in zip(row, parts, strict=True):
            wave = soundfile.read(io.BytesIO(service.sound(pair, part)))[0]
            assert np.abs(output[cell["id"]] - wave).max() < 2e-3
    recorded = output[table(grid_page)["rows"][0]["id"]]
    assert np.abs(recorded - service.HEADROOM * violin.wave).max() < 2 / 32_768


def test_the_diagonal_is_drawn_apart_and_claims_no_swap(grid_page):
    grid_page.run()

    cells, texts = table(grid_page)["cells"], figures(grid_page)
    assert [[cell["own"] for cell in row] for row in cells] == [[True, False], [False, True]]
    assert texts[cells[0][0]["id"]]["lines"][1] == "rebuilt"
    assert cells[0][1]["label"] == "melody of violin-1, instrument of trumpet-1"


def test_figures_are_those_of_the_pitch_tracker_and_of_the_models_encoder(grid_page):
    grid_page.run()

    spot = spots()[1]
    kept = service.melody_kept(service.wav(spot.melody), spot.wav())
    cell = figures(grid_page)[spot.id]
    assert cell["lines"][0] == f"pitch {kept:.0%}"
    assert cell["share"] == pytest.approx(kept, abs=1e-3)


def test_the_colour_can_stand_for_the_instrument(grid_page):
    grid_page.run()
    assert table(grid_page)["legend"]["title"] == "Pitch kept"

    grid_page.segmented_control(key="grid_colour").set_value("Instrument moved").run()

    assert table(grid_page)["legend"]["title"] == "Instrument moved"
    diagonal = table(grid_page)["cells"][0][0]["id"]
    assert figures(grid_page)[diagonal]["share"] is None


@pytest.mark.parametrize(
    ("titles", "word"), [([], "two or more recordings"), (TWO[:1], "one more")]
)
def test_the_page_names_what_is_missing(grid_page, titles, word):
    grid_page.run()
    grid_page.multiselect(key="grid_clips").set_value(titles).run()

    assert not grid_page.exception and not given(grid_page, "ravel_sound_table")
    assert says(grid_page, word)


def test_an_upload_joins_and_the_same_sound_twice_is_one(grid_page, examples):
    grid_page.run()
    grid_page.file_uploader(key="grid_upload").upload("mine.wav", wav(tone(1.0))).run()
    assert names(grid_page) == ["mine", "violin-1", "trumpet-1"]

    again = (examples / "violin-1.flac").read_bytes()
    grid_page.file_uploader(key="grid_upload").upload("again.flac", again).run()
    assert names(grid_page) == ["again", "trumpet-1"]
    assert says(grid_page, "The same sound is used once: violin-1 is again.")


def test_of_a_long_recording_the_chosen_part_is_used(grid_page):
    grid_page.run()
    grid_page.file_uploader(key="grid_upload").upload("long.wav", wav(tone(9.0))).run()
    (shown,) = given(grid_page, "ravel_part")
    assert shown["name"] == "long.wav" and shown["duration"] == 9 and shown["length"] == 4
    before = {
        cell["id"] for row in component(grid_page, "ravel_sound_table")["cells"] for cell in row
    }
    grid_page.query_params["grid_start_long.wav"] = "2.5"
    grid_page.run()
    after = {
        cell["id"] for row in component(grid_page, "ravel_sound_table")["cells"] for cell in row
    }
    assert not grid_page.exception and before != after


def test_own_recordings_come_first_and_what_has_no_room_is_named(grid_page):
    grid_page.run()
    uploader = grid_page.file_uploader(key="grid_upload")
    for i in range(grid.MOST):
        uploader.upload(f"own-{i}.wav", wav(tone(1.0 + i / 10)))
    uploader.run()

    assert names(grid_page) == [f"own-{i}" for i in range(grid.MOST)]
    assert "violin-1, trumpet-1" in grid_page.warning[0].value


def test_an_upload_that_is_no_sound_is_explained_beside_the_others(grid_page):
    grid_page.run()
    grid_page.file_uploader(key="grid_upload").upload("bad.wav", b"no sound").run()

    assert says(grid_page, "not a sound file") and names(grid_page) == ["violin-1", "trumpet-1"]


def test_a_clip_that_the_map_handed_over_can_be_chosen_and_linked_to(page, tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "DATA", tmp_path)
    tones.build(tmp_path / "tones")
    page.query_params["section"] = "Grid"
    page.query_params["grid_clips"] = [TWO[0], "tones/bright-220"]
    page.switch_page(PAGE).run()
    assert not page.exception and names(page) == ["violin-1", "bright-220"]

    page.session_state["handed"] = {"source_clip": "tones/dark-440"}
    page.run()
    assert "tones/dark-440" in page.multiselect(key="grid_clips").options


def test_the_table_and_the_sounds_can_be_saved(grid_page):
    grid_page.run()

    labels = [one.proto.label for one in grid_page.get("download_button")]
    assert labels == ["Save this session", "Table", "WAVs"]
    rows = list(csv.DictReader(io.StringIO(grid.to_csv(spots()).decode())))
    assert [(row["melody_of"], row["instrument_of"]) for row in rows] == [
        ("violin-1", "violin-1"),
        ("violin-1", "trumpet-1"),
        ("trumpet-1", "violin-1"),
        ("trumpet-1", "trumpet-1"),
    ]
    assert 0 <= float(rows[1]["pitch_kept"]) <= 1 and rows[0]["instrument_moved"] == ""
    with zipfile.ZipFile(io.BytesIO(grid.to_zip(spots()))) as archive:
        assert [name[3:] for name in archive.namelist()] == [row["file"] for row in rows]
        output = soundfile.read(io.BytesIO(archive.read(archive.namelist()[1])))[0]
    swap = table(grid_page)["cells"][0][1]["id"]
    assert np.array_equal(output, sounds(grid_page)[swap])


def test_a_damaged_model_is_explained(grid_page, untrained, tmp_path, monkeypatch):
    folder = shutil.copytree(untrained, tmp_path / "checkpoints")
    (folder / "ts-dsae-players" / "model.safetensors").write_bytes(b"")
    monkeypatch.setattr(checkpoints, "SHIPPED", folder)
    grid_page.run()

    assert not grid_page.exception and says(grid_page, "damaged")
