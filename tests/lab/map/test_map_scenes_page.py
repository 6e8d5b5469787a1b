"""The Map page on embeddings of scenes: its points, its colours, and what was looked for."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.audio.clip import read
from core.checkpoints import checkpoint
from core.contrastive import index as embeddings
from core.contrastive.embed import load
from core.contrastive.index import Index, unit
from core.data.store import FeatureStore
from core.maps import projection
from core.maps.projection import Settings
from core.service import corpora
from core.service.maps import MapSpec, Subset
from lab.bundled import sources
from lab.find import query_on_map
from lab.map import plot, points
from lab.map.points import MapPoints
from lab.widgets.page import plain
from tests.lab.map.drawn import figures, sent
from tests.lab.pages import players, says

PAGE = "lab/pages/map.py"


@pytest.fixture(scope="module")
def models(tmp_path_factory, scene_models, untrained) -> Path:
    """A folder of an encoder, separators and a disentangling model that were never trained."""
    folder = Path(shutil.copytree(scene_models, tmp_path_factory.mktemp("models") / "models"))
    shutil.copytree(untrained / "dsae-dmelodies", folder / "dsae-dmelodies")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory, scene_data) -> Path:
    """A folder of one store, in which indexes and maps are made."""
    return Path(shutil.copytree(scene_data, tmp_path_factory.mktemp("data") / "data"))


@pytest.fixture
def map_page(page, models, data, monkeypatch) -> AppTest:
    """The Map page, not run yet."""
    monkeypatch.setattr(checkpoint, "SHIPPED", models)
    monkeypatch.setattr(corpora, "DATA", data)
    page.query_params["map_projection"] = "PCA"
    return page.switch_page(PAGE)


@pytest.fixture
def store(data) -> FeatureStore:
    return FeatureStore.open(data / "scenes")


@pytest.fixture
def index(store, models) -> Index:
    return embeddings.build(store, checkpoint.find(models / "scenes-encoder"))


def traces(page: AppTest) -> list[dict]:
    """Those of the first map."""
    return figures(page)[0]


def keys(page: AppTest) -> set[str]:
    return {control.key for control in page.segmented_control}


def test_a_corpus_without_instruments_opens_with_the_encoder(map_page, store):
    page = map_page.run()

    assert not page.exception and not page.error
    assert page.selectbox(key="map_model").value == "scenes-encoder"
    assert {trace["name"] for trace in traces(page)} == set(store.labels["label"])
    drawn = sorted(point for trace in traces(page) for point in trace["customdata"])
    assert drawn == list(range(len(store)))
    assert says(page, "PCA:") and says(page, "trustworthiness")
    assert keys(page) == {"map_projection", "map_dimensions"}


def test_neighbours_are_the_clips_that_the_find_page_finds(map_page, store, index):
    map_page.query_params["clip"] = store.labels["name"][4]
    page = map_page.run()

    assert not page.exception and not page.error
    expected = index.nearest(index.h[4], 6, without=[4])
    assert sent(page)["near"] == expected.rows.tolist()
    label, name = (store.labels[key][expected.rows[0]] for key in ("label", "name"))
    assert says(page, f"**{expected.distances[0]:#.3g}** {label} · {plain(name)}")
    assert page.button(key="map_find").label == "Find similar"
    assert not [button.key for button in page.button if button.key.startswith("map_to_")]


def test_the_query_is_marked_with_its_channel(map_page, store, index, models):
    map_page.query_params["asked"] = "Dog in the rain"
    map_page.query_params["asked_separator"] = "separator-scenes"
    map_page.query_params["asked_channel"] = "2"
    page = map_page.run()

    assert not page.exception and not page.error and not page.warning
    (panel,) = sent(page)["panels"]
    assert [name for name, *_ in panel["queries"]] == ["Query", "Channel 2"]
    from core.data.mixtures import of_clips
    from core.separation.separate import load as separator

    clips = [read(sources()[name]["path"]) for name in ("dog", "rain")]
    mixture = of_clips(clips, [0, 0]).sum(dim=0)
    channel = separator(models / "separator-scenes").separate(mixture)[1]
    waves = [wave.numpy() / np.abs(wave.numpy()).max() for wave in (mixture, channel)]
    h = unit(load(models / "scenes-encoder").embed_many(waves).numpy())
    x = index.h[store.indices()]
    made = projection.project(next((corpora.DATA / "maps").glob("scenes-*")), "h", x, Settings())
    places = [place for _, *place in panel["queries"]]
    assert np.allclose(places, projection.place(x, made, h), atol=0.01)
    assert set(sent(page)["near"][:3]) <= set(index.nearest(h[1], 6).rows)
    assert sent(page)["focus"] is None and len(players(page)) == 2 + 6
    assert says(page, "principal components")

    page.button(key="map_forget").click().run()
    assert sent(page)["panels"][0]["queries"] == [] and "asked" not in page.query_params


def test_a_query_is_not_its_own_neighbour(map_page, store, index):
    map_page.query_params["asked"] = f"scenes/{store.labels['name'][2]}"
    page = map_page.run()

    assert not page.exception and not page.warning
    assert sent(page)["near"] == index.nearest(index.h[2], 6, without=[2]).rows.tolist()
    (query,) = sent(page)["panels"][0]["queries"]
    mine = next(trace for trace in traces(page) if 2 in trace["customdata"])
    at = mine["customdata"].index(2)
    assert np.allclose(query[1:], [mine["x"][at], mine["y"][at]], atol=0.01)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"asked": query_on_map.OWN}, "search again on the Find page"),
        ({"asked": "scenes/none"}, "no clip called 'none'"),
        ({"asked": "Dog in the rain", "asked_channel": "1"}, "no separator called None"),
        (
            {
                "asked": "Dog in the rain",
                "asked_separator": "separator-scenes",
                "asked_channel": "9",
            },
            "has 2 channels",
        ),
    ],
)
def test_a_query_that_is_gone_is_explained_and_the_map_stays(map_page, parameters, words):
    for key, value in parameters.items():
        map_page.query_params[key] = value
    page = map_page.run()
    assert not page.exception and words in page.warning[0].value
    assert len(sent(page)["panels"]) == 1 and sent(page)["panels"][0]["queries"] == []


def test_beside_a_disentangling_model_whole_clips_are_compared(map_page, store):
    map_page.query_params["map_compare"] = "dsae-dmelodies"
    map_page.query_params["asked"] = "Rain, light"
    page = map_page.run()

    assert not page.exception and not page.error
    latents = page.segmented_control(key="map_latents")
    assert latents.options == ["Global v", "Local z, mean"]
    encoder, other = sent(page)["panels"]
    assert len(encoder["queries"]) == 1 and other["queries"] == []
    latents.set_value("Local z, mean").run()
    assert not page.exception and len(sent(page)["panels"]) == 2


def test_of_many_labels_the_highlighted_ones_have_colours(map_page, monkeypatch):
    for module in (points, plot):
        monkeypatch.setattr(module, "CATEGORIES", 4)
    points.figure.clear()
    page = map_page.run()
    assert traces(page)[0]["name"] == "other" and len(traces(page)) == 4

    page.multiselect(key="map_highlight_scenes_label").set_value(["rain", "dog"]).run()
    assert not page.exception
    other, dog, rain = traces(page)
    assert [other["name"], dog["name"], rain["name"]] == ["other", "dog", "rain"]
    assert set(rain["hovertext"]) == {"rain"} and "clock" in other["hovertext"]
    assert other["opacity"] < rain["opacity"]


def test_a_clip_of_several_labels_has_the_colour_of_the_first_highlighted_one(monkeypatch):
    labels = {"name": np.arange(3), "split": np.array(["train"] * 3)}
    labels["labels"] = np.array(["Rain,Wind", "Wind", "Dog"])
    monkeypatch.setattr(corpora, "columns", lambda store: labels)
    spec = MapSpec(Subset(Path("x"), None), None, "h")
    three = MapPoints(spec, None, labels, np.arange(3))
    assert points.classes(spec.subset, "labels") == ["Dog", "Rain", "Wind"]
    colour = points.colour("labels", three, ["Wind", "Rain"])
    assert colour.values.tolist() == ["Wind", "Wind", "other"]
    assert colour.hover.tolist() == labels["labels"].tolist()


def test_the_six_bundled_scenes_are_mapped_by_their_embeddings(
    map_page, example_data, tmp_path, monkeypatch
):
    shutil.copytree(example_data, tmp_path / "data")
    monkeypatch.setattr(corpora, "DATA", tmp_path / "data")
    page = map_page.run()
    page.selectbox(key="map_corpus").set_value("examples-scenes").run()
    page.selectbox(key="map_model").set_value("scenes-encoder").run()

    assert not page.exception and not page.error
    assert page.header[0].value == "All 6 clips"
    assert sum(len(trace["customdata"]) for trace in traces(page)) == 6


def test_a_corpus_without_its_sound_is_explained(map_page, data, tmp_path, monkeypatch):
    shutil.copytree(data / "scenes", tmp_path / "mute")
    info = json.loads((tmp_path / "mute" / "store.json").read_text())
    (tmp_path / "mute" / "store.json").write_text(json.dumps(info | {"audio": False}))
    monkeypatch.setattr(corpora, "DATA", tmp_path)
    page = map_page.run()
    assert not page.exception and "an encoder needs sound" in page.error[0].value
