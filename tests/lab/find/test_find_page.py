"""The Find page, driven in process: what is found, by what, among what, and what is said."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.audio.clip import read
from core.checkpoints import checkpoint as checkpoints
from core.contrastive.index import Index, wave
from core.jobs import Progress
from core.service import HEADROOM, corpora, mixtures
from core.service.mixtures import Channels
from lab.bundled import sources
from lab.find import data as find_data
from lab.nearness import FAR
from tests.lab import encoders, separators, tones
from tests.lab.conftest import APP
from tests.lab.pages import pictures, played, players, says, wav

ROUNDING = 1 / 32768  # of a 16-bit file
WORDS = {"very close", "close", "somewhat alike", FAR}


def hits(page: AppTest) -> list[tuple[str, str, float, str]]:
    """What was found: label, facts, distance, words."""
    found = []
    for element in page.markdown:
        first, _, second = element.value.partition("  \n")
        if first.startswith("**") and first[2:3].isdigit():
            facts = second.removeprefix(":small[:gray[").removesuffix("]]").replace("\\", "")
            found.append([first.strip("*").split(". ", 1)[1].replace("\\", ""), facts])
        elif found and len(found[-1]) == 2:
            found[-1] += [float(first), second.removeprefix(":small[:gray[").removesuffix("]]")]
    return [tuple(hit) for hit in found]


def upload(page: AppTest, data: bytes) -> AppTest:
    page.segmented_control(key="query_from").set_value("Upload").run()
    return page.file_uploader(key="query_upload").upload("rain.wav", data).run()


def example(name: str) -> np.ndarray:
    return read(sources()[name]["path"]).wave


def ranked(store, found) -> list[tuple[str, str, float]]:
    """Label, name and distance of what an index found."""
    label, name = store.labels["label"], store.labels["name"]
    return [(label[i], name[i], round(float(d), 3)) for i, d in zip(*found, strict=True)]


def shown(page: AppTest) -> list[tuple[str, str, float]]:
    return [(label, facts.split(" · ")[0], distance) for label, facts, distance, _ in hits(page)]


def test_the_nearest_clips_of_a_corpus_are_ranked_and_playable(
    find_page, store, model, index, media
):
    page = find_page.run()

    assert not page.exception and not page.error
    expected = index.nearest(model.embed(example("dog")).numpy(), 10)
    assert shown(page) == ranked(store, expected)
    assert {words for *_, words in hits(page)} <= WORDS
    query, *sounds = played(page, media)
    assert np.abs(query - HEADROOM * example("dog")).max() < 2 * ROUNDING
    for row, sound in zip(expected.rows, sounds, strict=True):
        assert np.abs(sound - HEADROOM * wave(store, row)).max() < 2 * ROUNDING
    assert len(pictures(page)) == 1 + 10


def test_the_count_and_the_label_restrict_the_results(find_page, store, model, index):
    page = find_page.run()
    page.selectbox(key="find_count").set_value(5).run()
    assert len(hits(page)) == 5

    page.multiselect(key="find_only_scenes_label").set_value(["rain", "sea"]).run()
    wanted = np.isin(store.labels["label"], ["rain", "sea"])
    expected = index.nearest(model.embed(example("dog")).numpy(), 5, among=wanted)
    assert not page.exception and not page.error
    assert shown(page) == ranked(store, expected)


def test_a_search_of_one_split_finds_no_other(find_page, store):
    page = find_page.run()
    page.selectbox(key="find_clips_scenes").set_value("validation").run()

    assert not page.exception and not page.error
    assert len(hits(page)) == min(10, (store.labels["split"] == "validation").sum()) > 0
    assert all(facts.endswith(" · validation") for _, facts, *_ in hits(page))


def test_no_clip_with_the_label_is_explained(find_page, store):
    page = find_page.run()
    page.selectbox(key="find_clips_scenes").set_value("validation").run()
    absent = set(store.labels["label"]) - set(store.labels["label"][store.indices("validation")])
    page.multiselect(key="find_only_scenes_label").set_value([sorted(absent)[0]]).run()

    assert not page.exception and not page.error and not hits(page)
    assert "No other clip has this label" in page.info[0].value


def test_the_state_of_the_page_is_in_its_address(find_page):
    page = find_page
    page.query_params["query"] = "Dog in the rain"
    page.query_params["find_separator"] = "separator-duets"
    page.query_params["find_what_of_4"] = "Channel 2"
    page.query_params["find_only_scenes_label"] = "rain"
    page.query_params["find_count"] = "5"
    page.run()

    assert not page.exception and not page.error
    assert page.segmented_control(key="find_what_of_4").value == "Channel 2"
    assert {label for label, *_ in hits(page)} == {"rain"} and len(hits(page)) <= 5
    assert any(m.value.startswith("**Channel 2** :gray[dog + rain]") for m in page.markdown)


def test_the_map_opens_with_the_corpus_that_is_searched(find_page, scene_models, example_data):
    encoder = checkpoints.find(scene_models / "scenes-encoder")
    scenes = find_data.corpora()["scenes"]
    counts = corpora.splits(scenes.path)
    assert find_data.map_address(scenes, "validation", encoder) == {
        "map_corpus": "scenes",
        "map_model": "scenes-encoder",
        "map_clips_scenes": f"validation ({counts['validation']})",
    }
    shutil.copytree(example_data, corpora.DATA, dirs_exist_ok=True)  # to build them takes seconds
    bundled = find_data.map_address(find_data.Corpus(find_data.BUNDLED), None, encoder)
    assert bundled["map_corpus"] == "examples-scenes"
    assert bundled["map_clips_examples-scenes"] == "all (6)"


def test_a_channel_is_the_query_at_full_level(find_page, store, model, index, scene_models, media):
    page = find_page.run()
    page.selectbox(key="query").select("Dog in the rain").run()
    page.segmented_control(key="find_what_of_2").set_value("Channel 2").run()

    assert not page.exception and not page.error
    from core.data.mixtures import of_clips
    from core.separation.separate import load as separator
    from core.separation.separate import match

    references = of_clips([read(sources()[name]["path"]) for name in ("dog", "rain")], [0, 0])
    waves = separator(scene_models / "separator-scenes").separate(references.sum(dim=0))
    (rain,) = [
        wave.numpy()
        for wave, found in zip(waves, match(waves, references), strict=True)
        if 1 in found.references
    ]
    rain = rain / np.abs(rain).max()
    assert np.abs(played(page, media)[0] - HEADROOM * rain).max() < 5 * ROUNDING
    found = index.nearest(model.embed(rain).numpy(), 10)
    assert np.allclose([hit[2] for hit in hits(page)], found.distances, atol=0.002)
    assert says(page, "Holds rain") and says(page, "dB below the whole")


def test_a_silent_channel_is_explained(find_page, monkeypatch):
    def silent(checkpoint, taken):
        wave = mixtures.mixture(taken).clip.wave
        return Channels(np.stack([wave, 0 * wave]), None)

    monkeypatch.setattr(mixtures, "separate", silent)
    find_page.query_params["find_what_of_2"] = "Channel 2"
    page = find_page.run()

    assert not page.exception and not hits(page)
    assert says(page, "Channel 2 is silent: choose another one")


def test_a_clip_that_was_found_can_be_the_next_query(find_page, store, media):
    page = find_page.run()
    facts = hits(page)[0][1]
    page.button(key="find_like_1").click().run()

    name = facts.split(" · ")[0]
    assert not page.exception and not page.error
    assert page.query_params["clip"] in (f"scenes/{name}", [f"scenes/{name}"])
    assert says(page, f"{name}, a clip of scenes")
    recording = name.rpartition("-")[0]
    assert hits(page) and not any(hit[1].startswith(f"{recording}-") for hit in hits(page))
    row = store.labels["name"].tolist().index(name)
    assert np.abs(played(page, media)[0] - HEADROOM * wave(store, row)).max() < 2 * ROUNDING

    page.button(key="find_another").click().run()
    assert page.selectbox(key="query").value and "clip" not in page.query_params


def test_a_clip_that_is_gone_is_explained(find_page):
    for reference, words in (("nowhere/x", "no corpus called"), ("scenes/x", "no clip called")):
        find_page.query_params["clip"] = reference
        page = find_page.run()
        assert not page.exception and words in page.error[0].value
        assert not hits(page)


def test_the_bundled_examples_are_a_corpus_of_their_own(bundled, model):
    page = bundled.run()

    assert not page.exception and not page.error
    names = [name for name in sources() if name != "dog"]
    index = Index.of(model.embed_many(read(sources()[name]["path"]) for name in names).numpy())
    expected = index.nearest(model.embed(example("dog")).numpy(), 10)
    assert [hit[2] for hit in hits(page)] == [round(float(d), 3) for d in expected.distances]
    assert [hit[0] for hit in hits(page)] == [sources()[names[i]]["what"] for i in expected.rows]


def test_without_a_corpus_the_examples_are_searched_and_the_page_says_how_to_get_one(
    find_page, tmp_path, monkeypatch
):
    monkeypatch.setattr(corpora, "DATA", tmp_path / "nothing")
    page = find_page.run()

    assert not page.exception and not page.error and len(hits(page)) == 10
    assert page.button(key="find_add").label == "Add a corpus"


def test_stores_without_their_sound_are_not_offered(find_page):
    shutil.copytree(corpora.DATA / "scenes", corpora.DATA / "silent")
    (corpora.DATA / "silent" / "audio.npy").unlink()
    page = find_page.run()
    assert page.selectbox(key="find_corpus").options == ["scenes", find_data.BUNDLED]


def test_without_an_encoder_the_page_says_how_to_get_one(find_page, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SHIPPED", separators.build(tmp_path / "checkpoints"))
    page = find_page.run()

    assert not page.exception and not page.error
    assert "python -m core train contrastive" in page.info[0].value
    assert len(players(page)) == 1


def test_without_a_separator_the_whole_sound_is_the_query(find_page, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SHIPPED", encoders.build(tmp_path / "checkpoints"))
    page = find_page.run()

    assert not page.exception and not page.error and len(hits(page)) == 10
    assert [box.key for box in page.selectbox if box.key == "find_separator"] == []


def test_a_quiet_upload_is_the_query_at_full_level(bundled, media):
    page = upload(bundled.run(), wav(0.01 * example("rain")))

    assert not page.exception and not page.error
    label, _, distance, _ = hits(page)[0]
    assert (label, distance) == ("rain", 0)
    assert np.abs(played(page, media)[0]).max() == pytest.approx(HEADROOM, abs=ROUNDING)


def test_a_microphone_recording_can_be_the_query(bundled):
    page = bundled.run()
    page.segmented_control(key="query_from").set_value("Microphone").run()
    assert says(page, "There is no sound to search for") and not hits(page)

    page.audio_input(key="query_microphone").upload("take.wav", wav(example("clock"))).run()
    assert not page.exception and not page.error
    assert hits(page)[0][0] == "clock"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no sound", "not a sound file"),
        (wav(np.zeros(16_000)), "is silent"),
        (wav(np.full(16_000, np.nan)), "not finite"),
        (wav(np.ones(100)), "too short"),
    ],
    ids=["not audio", "silent", "NaN", "too short"],
)
def test_a_bad_upload_is_explained_in_the_slot(bundled, data, words):
    page = upload(bundled.run(), data)

    assert not page.exception and not hits(page)
    assert len(page.error) == 1 and words in page.error[0].value


def test_a_damaged_encoder_is_explained_and_the_query_still_plays(
    find_page, scene_models, tmp_path, monkeypatch
):
    folder = Path(shutil.copytree(scene_models, tmp_path / "checkpoints"))
    (folder / "scenes-encoder" / "model.safetensors").write_bytes(b"no weights")
    monkeypatch.setattr(checkpoints, "SHIPPED", folder)
    page = find_page.run()

    assert not page.exception and len(players(page)) == 1
    assert len(page.error) == 1 and "model.safetensors" in page.error[0].value


def test_a_damaged_index_is_explained(find_page, scene_models, store):
    from core.contrastive import index

    found = checkpoints.find(scene_models / "scenes-encoder")
    folder = index.folder_of(store, found)
    folder.mkdir(parents=True)
    (folder / index.FILE).write_bytes(b"torn")
    page = find_page.run()

    assert not page.exception
    assert "is damaged: delete it" in page.error[0].value


def test_a_large_corpus_is_embedded_in_a_process(find_page, monkeypatch):
    started, state = [], {"now": Progress("missing")}

    def start(store, checkpoint):
        started.append(store.name)
        state["now"] = Progress("running", 0.4, "6 of 15 clips embedded")

    monkeypatch.setattr(corpora, "SOON", 3)
    monkeypatch.setattr(corpora, "start_indexing", start)
    monkeypatch.setattr(corpora, "indexing_progress", lambda *_: state["now"])
    page = find_page.run()
    assert started == ["scenes"] and not page.exception and not hits(page)
    assert "6 of 15 clips embedded" in page.get("progress")[0].proto.text

    state["now"] = Progress("failed", text="it ran out of memory")
    page.run()
    assert "it ran out of memory" in page.error[0].value
    page.button(key="find_again").click().run()
    assert started == ["scenes", "scenes"]

    state["now"] = Progress("done", 1.0)
    page.run()
    assert not page.exception and len(hits(page)) == 10


def test_the_results_are_saved_as_a_table(find_page, store):
    found = Index.of(np.eye(len(store))).nearest(np.eye(len(store))[3], 2)
    table = find_data.table(find_data.corpora()["scenes"], found)
    assert table["rank"].tolist() == [1, 2] and table["distance"].tolist() == [0, 1]
    assert table["name"][0] == store.labels["name"][3]
    assert {"label", "split", "licence"} <= set(table.columns)


def test_clips_with_several_labels_are_found_by_each(find_page, monkeypatch):
    several = {"name": np.array(["a", "b", "c"]), "labels": np.array(["Rain,Wind", "Wind", "Dog"])}
    monkeypatch.setattr(find_data, "labels", lambda corpus: several)
    corpus, allowed = find_data.Corpus("x"), find_data.allowed
    assert find_data.filters(corpus) == {"labels": ["Dog", "Rain", "Wind"]}
    assert allowed(corpus, None, "labels", ["Wind"]).tolist() == [True, True, False]
    assert allowed(corpus, None, "labels", ["Rain", "Dog"]).tolist() == [True, False, True]


def test_it_starts_with_what_fits_its_corpus(find_page):
    assert find_page.run().selectbox(key="query").value.startswith("Dog")
    tones.build(corpora.DATA / "tones")
    fresh = AppTest.from_file(APP, default_timeout=240).switch_page("lab/pages/find.py")
    fresh.query_params["find_corpus"] = "tones"
    fresh.run()
    assert fresh.selectbox(key="query").value.startswith("Violin") and not fresh.exception
    assert fresh.selectbox(key="find_label_tones").value == "instrument"
