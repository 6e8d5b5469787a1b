"""The Map page, driven in process; what its maps look like is tested in a browser."""

import io
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from core.checkpoints import checkpoint
from core.data.store import FeatureStore
from core.dsae.maps import read as read_latents
from core.maps import projection
from core.maps.points import neighbours
from core.service import HEADROOM, corpora, included, maps
from lab.bundled import INCLUDED
from lab.map import export, plot
from tests.lab import tones
from tests.lab.map.drawn import figures, sent
from tests.lab.pages import pictures, played, players, says

PAGE = "lab/pages/map.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder of two stores, one with sound and one without."""
    folder = tmp_path_factory.mktemp("data")
    tones.build(folder / "tones")
    tones.build(folder / "mute", audio=False)
    return folder


@pytest.fixture
def store(data) -> FeatureStore:
    return FeatureStore.open(data / "tones")


@pytest.fixture
def map_page(page, data, monkeypatch) -> AppTest:
    """The Map page on the tones, not run yet."""
    monkeypatch.setattr(corpora, "DATA", data)
    page.query_params["map_corpus"] = "tones"
    page.query_params["map_projection"] = "PCA"  # at once; UMAP, the first view, takes a process
    return page.switch_page(PAGE)


def test_the_page_opens_with_every_clip_as_a_point_and_how_far_to_trust_it(map_page, store):
    map_page.run()

    assert not map_page.exception and not map_page.error
    (traces,) = figures(map_page)
    assert [trace["name"] for trace in traces] == ["bright", "dark"]
    assert sorted(id for trace in traces for id in trace["customdata"]) == list(range(len(store)))
    assert {trace["type"] for trace in traces} == {"scattergl"}
    assert says(map_page, "PCA:") and says(map_page, "trustworthiness")
    assert map_page.info[0].value.startswith("Click a point")


def test_the_point_in_focus_shows_its_sound_log_mel_and_neighbours(map_page, store, media):
    map_page.run()
    map_page.session_state["map_focus"] = 3
    map_page.run()

    assert not map_page.exception
    sound, *near = played(map_page, media)
    wave = HEADROOM * store.clip(3).wave
    assert np.abs(sound - wave[: len(sound)]).max() < 2 / 32768
    assert len(near) == 6 and len(pictures(map_page)) == 1
    folder = next((corpora.DATA / "maps").glob("tones-*all*"))
    points = read_latents(folder).v
    expected, distances = neighbours(points, 3, count=6, metric="euclidean")
    assert sent(map_page)["near"] == expected.tolist()
    name, what = (store.labels[key][expected[0]] for key in ("name", "instrument"))
    assert says(map_page, f"**{distances[0]:#.3g}** {what} · {name}")
    assert map_page.query_params["clip"] == "bright-294"


def test_the_metric_of_the_neighbours_can_be_switched(map_page):
    map_page.query_params["clip"] = "bright-294"
    map_page.run()
    euclidean = sent(map_page)["near"]
    map_page.segmented_control(key="map_neighbours").set_value("cosine").run()
    of = read_latents(next((corpora.DATA / "maps").glob("tones-*all*")))
    expected, _ = neighbours(of.v, 3, count=6, metric="cosine")
    assert sent(map_page)["near"] == expected.tolist() and len(euclidean) == 6


def test_going_to_a_neighbour_brings_it_into_focus(map_page):
    map_page.query_params["clip"] = "dark-440"
    map_page.run()
    assert sent(map_page)["focus"] == 15
    near = sent(map_page)["near"][0]
    map_page.button(key=f"map_near_{near}").click().run()
    assert sent(map_page)["focus"] == near


def test_selected_points_are_a_table_and_can_be_played_in_turn(map_page):
    map_page.run()
    map_page.session_state["map_chosen"] = [2, 5, 9]
    map_page.run()

    assert map_page.header[0].value == "3 clips selected"
    assert map_page.dataframe[0].value["name"].tolist() == ["bright-277", "bright-370", "dark-247"]
    for expected in (2, 5, 9, 2):
        map_page.button(key="map_next").click().run()
        assert map_page.session_state["map_focus"] == expected
    map_page.button(key="map_previous").click().run()
    assert map_page.session_state["map_focus"] == 9
    map_page.button(key="map_let_go").click().run()
    assert sent(map_page)["chosen"] == [] and not map_page.dataframe


def test_focus_and_selection_are_carried_to_the_frames_of_the_same_clips(map_page):
    map_page.query_params["clip"] = "bright-294"
    map_page.run()
    map_page.session_state["map_chosen"] = [0, 3]
    map_page.segmented_control(key="map_latents").set_value("Local z, frames").run()

    assert not map_page.exception
    of = read_latents(next((corpora.DATA / "maps").glob("tones-*all*")))
    clips = of.clips("frames")
    assert clips[sent(map_page)["focus"]] == 3
    assert set(clips[sent(map_page)["chosen"]]) == {0, 3}
    map_page.segmented_control(key="map_latents").set_value("Local z, mean").run()
    assert sent(map_page)["focus"] == 3 and sent(map_page)["chosen"] == [0, 3]


@pytest.mark.parametrize("colour", ["hertz", "loudest band (Hz)", "v 2", "z 1", "split"])
def test_points_are_coloured_by_labels_pitch_and_latents(map_page, colour):
    map_page.run()
    map_page.selectbox(key="map_colour_tones_clips").select(colour).run()
    assert not map_page.exception
    (traces,) = figures(map_page)
    if colour in ("hertz", "split"):
        assert {t["name"] for t in traces} <= {*map(str, tones.PITCHES), "train", "validation"}
    else:
        assert len(traces[0]["marker"]["color"]) == 16


def test_two_models_share_one_selection_in_three_dimensions(map_page):
    map_page.query_params["map_dimensions"] = "3-D"
    map_page.query_params["map_compare"] = "dsae-dmelodies"
    map_page.run()
    map_page.session_state["map_chosen"] = [1, 2]
    map_page.run()

    data = sent(map_page)
    assert {panel["title"] for panel in data["panels"]} == {"ts-dsae-players", "dsae-dmelodies"}
    assert len({panel["digest"] for panel in data["panels"]}) == 2 and data["chosen"] == [1, 2]
    both = figures(map_page)
    assert all(trace["type"] == "scatter3d" for figure in both for trace in figure)


def test_umap_is_computed_in_a_process_while_pca_is_shown(map_page, monkeypatch):
    started, state = [], {"now": projection.Progress("missing")}

    def start(folder, space, x, settings):
        started.append(settings)
        state["now"] = projection.Progress("running", 0.4, "Laying out the points")

    monkeypatch.setattr(projection, "start", start)
    monkeypatch.setattr(projection, "progress", lambda *_: state["now"])
    map_page.query_params["map_projection"] = "UMAP"
    map_page.run()

    assert not map_page.exception
    assert [(s.method, s.dimensions, s.seed) for s in started] == [("UMAP", 2, 0)]
    assert says(map_page, "PCA:") and len(sent(map_page)["panels"]) == 1

    state["now"] = projection.Progress("failed", text="it ran out of memory")
    map_page.run()
    assert "it ran out of memory" in map_page.error[0].value
    map_page.button(key="again_ts-dsae-players").click().run()
    assert len(started) == 2


def test_a_corpus_without_sound_is_resynthesised_and_says_so(map_page, data, media):
    map_page.query_params["map_corpus"] = "mute"
    map_page.query_params["clip"] = "dark-440"
    map_page.run()

    assert not map_page.exception and says(map_page, "Resynthesised from the log-mel")
    (wave,) = played(map_page, media)
    spectrum = np.abs(np.fft.rfft(wave))
    assert abs(spectrum.argmax() * 16_000 / len(wave) - 440) < 10


def test_exports_hold_what_was_chosen(data, store, monkeypatch):
    monkeypatch.setattr(corpora, "DATA", data)
    rows = np.array([4, 12])
    names = {key: column[rows] for key, column in store.labels.items()}
    frame = export.table(names, np.array([[0.5, 1], [2, 3]]), {})
    again = pd.read_csv(io.BytesIO(export.to_csv(frame)))
    assert again["name"].tolist() == ["bright-330", "dark-330"] and again["y"].tolist() == [1, 3]

    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    table = pd.read_parquet(io.BytesIO(export.to_parquet(frame, vectors)))
    assert np.array_equal(np.stack(table["vector"]), vectors) and table["x"].tolist() == [0.5, 2]

    with zipfile.ZipFile(io.BytesIO(export.to_zip(data / "tones", rows))) as archive:
        assert archive.namelist() == ["00004-bright-330.wav", "00012-dark-330.wav"]
        wave, rate = soundfile.read(io.BytesIO(archive.read("00012-dark-330.wav")))
    assert rate == 16_000 and np.abs(wave).max() == pytest.approx(0.5, abs=0.001)


def test_a_clip_goes_to_the_swap_page(map_page, media, store):
    map_page.run()
    page = map_page.switch_page("lab/pages/swap.py")
    page.query_params["source_clip"] = "tones/dark-330"
    page.run()

    assert not page.exception and not page.error
    assert page.segmented_control(key="source_from").value == "Map"
    sound, expected = played(page, media)[0], HEADROOM * store.clip(12).wave
    assert np.abs(sound - expected[: len(sound)]).max() < 2 / 32768
    assert len(sound) > len(expected) - 256 and len(players(page)) == 4


@pytest.mark.parametrize("reference", ["nowhere/a", "tones/no-such-clip", "tones", ""])
def test_a_clip_that_is_gone_is_explained_on_the_swap_page(map_page, reference):
    map_page.run()
    page = map_page.switch_page("lab/pages/swap.py")
    page.query_params["target_clip"] = reference
    page.run()
    assert not page.exception and "on the map again" in page.error[0].value


def test_with_no_corpus_the_one_that_ships_is_unpacked_or_the_examples_are_mapped(
    map_page, tmp_path, example_data, monkeypatch
):
    started, state = [], {"now": projection.Progress("running", 0.3, "Unpacking")}

    def build(folder, name, *, seconds):
        shutil.copytree(example_data / name, tmp_path / name)

    monkeypatch.setattr(corpora, "DATA", tmp_path)
    monkeypatch.setattr(corpora, "build", build)
    monkeypatch.setattr(included, "start", started.append)  # in a browser it really starts
    monkeypatch.setattr(included, "progress", lambda pack: state["now"])
    map_page.run()
    assert started == [INCLUDED] and not map_page.error
    assert "Unpacking" in map_page.get("progress")[0].proto.text

    state["now"] = projection.Progress("failed", text="the disk is full")
    map_page.run()
    assert "the disk is full" in map_page.error[0].value
    map_page.button(key="map_examples").click().run()
    assert not map_page.exception and not map_page.error
    assert map_page.selectbox(key="map_corpus").options == ["examples", "examples-scenes"]
    assert map_page.selectbox(key="map_corpus").value == "examples"
    assert map_page.header[0].value == "All 9 clips"


def test_with_no_model_the_page_says_how_to_get_one(map_page, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path)
    map_page.run()
    assert not map_page.exception and "python -m core train" in map_page.info[0].value


def test_models_without_maps_are_not_offered(map_page, scene_models, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHIPPED", scene_models)
    map_page.run()
    assert not map_page.exception and not map_page.error
    assert map_page.selectbox(key="map_model").options == ["scenes-encoder"]
    assert map_page.selectbox(key="map_compare").options == ["None", "scenes-encoder"]


def test_a_damaged_store_is_explained(map_page, data, tmp_path, monkeypatch):
    tones.build(tmp_path / "tones")
    (tmp_path / "tones" / "log_mel.npy").write_bytes(b"not an array")
    monkeypatch.setattr(corpora, "DATA", tmp_path)
    map_page.run()
    assert not map_page.exception and "is damaged" in map_page.error[0].value


def test_an_address_with_unknown_names_falls_back_to_the_defaults(map_page):
    map_page.query_params["map_corpus"] = "atlantis"
    map_page.query_params["clip"] = "no-such-clip"
    map_page.query_params["map_model"] = "no-such-model"
    map_page.run()
    assert not map_page.exception and not map_page.error
    assert sent(map_page)["focus"] is None


def test_points_of_unknown_value_are_drawn_beneath_the_scale():
    values = np.array([1.0, np.nan, 3.0])
    names = np.array(["a", "b", "c"])
    figure = plot.figure(np.eye(3), plot.Colour("pitch", values), names, "PCA")
    grey, coloured = figure.data
    assert list(grey.customdata) == [1] and list(coloured.customdata) == [0, 2]


def test_many_clips_are_encoded_in_a_process(map_page, data, monkeypatch):
    monkeypatch.setattr(maps, "SOON", 0)
    monkeypatch.setattr(corpora, "DATA", data)
    shutil.rmtree(data / "maps", ignore_errors=True)
    map_page.run()
    assert not map_page.exception and not map_page.error
    assert "You can close this page" in map_page.get("progress")[0].proto.text
    assert not map_page.get("bidi_component")
    (folder,) = (data / "maps").glob("tones-*all*")
    deadline = time.monotonic() + 90
    while not (folder / "latents.npz").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    map_page.run()
    assert not map_page.exception and not map_page.get("progress")
    assert len(figures(map_page)) == 1
