"""Blind listening on the Explore page, driven in process; its sound is tested in a browser."""

import base64
import csv
import io
import json
import shutil
from itertools import combinations

import numpy as np
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from core.audio.loudness import loudness
from core.checkpoints import checkpoint
from lab.explore import listen, tally
from tests.lab.conftest import APP

PAGE = "lab/pages/explore.py"


@pytest.fixture
def listen_page(page) -> AppTest:
    """Blind listening, five trials at a time, not run yet."""
    page.query_params["section"] = "Listen"
    page.query_params["listen_trials"] = "5"
    return page.switch_page(PAGE)


def begin(page: AppTest, **chosen: str) -> AppTest:
    page.run()
    for key, value in chosen.items():
        page.segmented_control(key=f"listen_{key}").set_value(value).run()
    return page.button(key="listen_begin").click().run()


def answer(page: AppTest, letter: str) -> AppTest:
    return page.button(key=f"listen_answer_{letter}").click().run()


def given(page: AppTest) -> dict[str, bytes]:
    """The files behind the letters, as the browser gets them."""
    (proto,) = [one.proto for one in page.get("bidi_component")]
    tracks = json.loads(proto.json)["tracks"]
    return {letter: base64.b64decode(wav) for letter, wav in tracks}


def sounds_of(page: AppTest) -> dict[str, np.ndarray]:
    return {k: soundfile.read(io.BytesIO(wav))[0] for k, wav in given(page).items()}


def by_ear(page: AppTest) -> str:
    """The letter that X sounds like."""
    sounds = sounds_of(page)
    return min("AB", key=lambda letter: np.square(sounds[letter] - sounds["X"]).sum())


def texts(page: AppTest) -> str:
    return "\n".join(one.value for one in (*page.markdown, *page.caption, *page.error))


def test_three_sounds_have_one_length_and_one_loudness(listen_page):
    begin(listen_page)

    assert not listen_page.exception and not listen_page.error
    sounds = sounds_of(listen_page)
    assert list(sounds) == ["A", "B", "X"] and len({len(wave) for wave in sounds.values()}) == 1
    levels = [loudness(wave) for wave in sounds.values()]
    assert max(levels) - min(levels) < 0.02
    assert max(np.abs(wave).max() for wave in sounds.values()) < 0.9


def test_a_perfect_listener_gets_all_right_and_sees_what_it_means(listen_page):
    begin(listen_page)
    for _ in range(5):
        answer(listen_page, by_ear(listen_page))

    assert not listen_page.exception
    says = texts(listen_page)
    assert "5 of 5 right" in says and "once in 32 times" in says and "p = 0.031" in says
    assert "You hear a difference." in says
    trials = listen_page.dataframe[0].value
    assert (trials["X"] == trials["answer"]).all() and trials["right"].all() and len(trials) == 5


def test_wrong_answers_show_no_difference_and_claim_no_sameness(listen_page):
    begin(listen_page)
    for _ in range(5):
        answer(listen_page, "B" if by_ear(listen_page) == "A" else "A")

    assert "0 of 5 right" in texts(listen_page)
    assert "It does not show that there is none" in texts(listen_page)


def test_nothing_sent_to_the_browser_reveals_what_x_is(listen_page):
    begin(listen_page)
    pages = []
    for _ in range(5):
        files = given(listen_page)
        assert all(files[a] != files[b] for a, b in combinations(files, 2))
        assert not set(files.values()) & set(pages)  # nor does a file return in a later trial
        pages += files.values()
        (proto,) = [one.proto for one in listen_page.get("bidi_component")]
        assert set(json.loads(proto.json)) == {"tracks"}
        assert "listen_switch" in proto.id
        answer(listen_page, "A")


def test_hearing_again_is_hearing_the_same(listen_page):
    begin(listen_page)
    before = given(listen_page)
    assert given(listen_page.run()) == before


def test_the_tally_stays_hidden_until_the_end(listen_page):
    begin(listen_page)
    answer(listen_page, "A")
    assert "right" not in texts(listen_page) and not listen_page.dataframe
    assert "Trial 2 of 5" in listen_page.get("progress")[0].proto.text


def test_a_test_that_is_stopped_says_so(listen_page):
    begin(listen_page)
    answer(listen_page, by_ear(listen_page))
    listen_page.button(key="listen_stop").click().run()

    assert "1 of 1 right" in texts(listen_page) and "Stopped after 1 of 5" in texts(listen_page)


def test_a_test_without_an_answer_leaves_no_trace(listen_page):
    begin(listen_page)
    listen_page.button(key="listen_stop").click().run()
    assert listen_page.button(key="listen_begin") and not listen_page.dataframe


def test_a_preference_goes_to_the_rendering_and_not_to_the_letter(listen_page):
    begin(listen_page, test="Preference", compare="Round trip")
    for _ in range(5):
        assert list(given(listen_page)) == ["A", "B"]
        answer(listen_page, "A")

    trials = listen_page.dataframe[0].value
    assert set(trials["answer"]) == {"A"}
    (round,) = listen_page.session_state["listening_rounds"]
    assert list(trials["preferred"]) == [row["A"] for row in round.rows()]
    first = int((trials["preferred"] == "recording").sum())
    assert f"{first} for recording, {5 - first} for round trip" in texts(listen_page)
    assert "95% interval" in texts(listen_page)


def test_two_models_and_two_routes_can_be_compared(listen_page):
    begin(listen_page, compare="Two models")
    assert "A: ts-dsae-players. B: dsae-dmelodies." in texts(listen_page)
    listen_page.button(key="listen_stop").click().run()

    begin(listen_page, compare="Two routes")
    assert "A: live route. B: paper's route." in texts(listen_page)


def test_without_a_second_model_there_is_nothing_to_begin(listen_page, tmp_path, monkeypatch):
    only = checkpoint.find("ts-dsae-players").path
    shutil.copytree(only, tmp_path / "checkpoints" / only.name)
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path / "checkpoints")
    listen_page.run()
    listen_page.segmented_control(key="listen_compare").set_value("Two models").run()
    assert listen_page.button(key="listen_begin").disabled and not listen_page.exception


def test_choices_are_as_they_were_when_a_round_is_over(listen_page):
    begin(listen_page, test="Preference", compare="Two routes")
    for _ in range(5):
        answer(listen_page, "A")
    assert listen_page.segmented_control(key="listen_test").value == "Preference"
    assert listen_page.segmented_control(key="listen_compare").value == "Two routes"
    assert listen_page.selectbox(key="listen_trials").value == 5


def test_the_tally_outlives_a_change_of_page_and_a_round_goes_on(listen_page):
    begin(listen_page)
    for _ in range(5):
        answer(listen_page, "A")
    begin(listen_page, compare="Round trip")
    answer(listen_page, "B")
    before = given(listen_page)

    listen_page.switch_page("lab/pages/runs.py").run()
    listen_page.switch_page(PAGE)
    listen_page.query_params["section"] = "Listen"
    listen_page.run()
    assert given(listen_page) == before

    for _ in range(4):
        answer(listen_page, "B")
    rounds = listen_page.dataframe[1].value
    assert list(rounds["comparison"]) == ["Round trip", "Reconstruction"]


def test_every_trial_can_be_saved_but_not_those_of_a_round_in_progress(listen_page):
    begin(listen_page)
    for _ in range(5):
        answer(listen_page, "A")
    begin(listen_page, test="Preference")
    answer(listen_page, "B")
    rounds = listen_page.session_state["listening_rounds"]

    rows = list(csv.DictReader(io.StringIO(tally.to_csv(rounds).decode())))
    assert len(rows) == 5 and {row["test"] for row in rows} == {"ABX"}
    assert [row["trial"] for row in rows] == list("12345")
    assert all(int(row["right"]) == (row["X"] == row["answer"] == "A") for row in rows)
    assert rows[0]["model"] == "ts-dsae-players" and rows[0]["recording"] == "violin-1"


def test_visitors_have_tallies_of_their_own(listen_page, untrained):
    begin(listen_page)
    for _ in range(5):
        answer(listen_page, "A")

    other = AppTest.from_file(APP, default_timeout=120)
    other.query_params["section"] = "Listen"
    other.switch_page(PAGE).run()
    assert not other.dataframe and other.session_state["listening_rounds"] == []


def test_the_same_test_can_be_taken_again_without_choosing_anew(listen_page):
    begin(listen_page, compare="Two routes")
    for _ in range(5):
        answer(listen_page, "A")
    before = sounds_of(listen_page.button(key="listen_again").click().run())

    assert "A: live route. B: paper's route." in texts(listen_page)
    for _ in range(5):
        answer(listen_page, by_ear(listen_page))
    assert "5 of 5 right" in texts(listen_page) and len(before["A"]) > 16_000
    assert len(listen_page.dataframe[1].value) == 2


def test_one_pair_of_sounds_is_kept_however_many_rounds(listen_page, monkeypatch):
    monkeypatch.setattr(listen, "MOST_ROUNDS", 2)
    begin(listen_page)
    for _ in range(3):
        for _ in range(5):
            answer(listen_page, "A")
        listen_page.button(key="listen_again").click().run()
    assert len(listen_page.session_state["listening_rounds"]) == 2
    assert len(listen_page.session_state["listening_sounds"]) == 2


def test_a_damaged_model_is_explained_where_the_test_would_begin(
    listen_page, untrained, tmp_path, monkeypatch
):
    folder = shutil.copytree(untrained, tmp_path / "checkpoints")
    (folder / "ts-dsae-players" / "model.safetensors").write_bytes(b"")
    monkeypatch.setattr(checkpoint, "SHIPPED", folder)
    begin(listen_page)

    assert not listen_page.exception and "damaged" in texts(listen_page)
    assert listen_page.button(key="listen_begin")
