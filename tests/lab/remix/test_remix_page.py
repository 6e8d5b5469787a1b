"""The Remix page, driven in process: a duet through models that were never trained."""

import io
import json
import zipfile

import numpy as np
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from core import service
from core.checkpoints import checkpoint as checkpoints
from core.service import HEADROOM, mixtures
from core.service.mixtures import Channels
from tests.lab.pages import desk, pictures, played, players, says, titles, wav
from tests.lab.remix.conftest import INSTRUMENTS

PAGE = "lab/pages/remix.py"
ROUNDING = 1 / 32768  # of a 16-bit file
NAMES = ("Mixture", "Channel 1", "Channel 2", "Stem 1", "Stem 2", "Remix")  # of the sounds


@pytest.fixture
def remix_page(page, both, monkeypatch) -> AppTest:
    """The Remix page with a separator of two channels, not run yet."""
    monkeypatch.setattr(checkpoints, "SHIPPED", both)
    page.query_params["separator"] = "separator-scenes"
    return page.switch_page(PAGE)


@pytest.fixture
def changed(remix_page) -> AppTest:
    """The page, not run yet, on which the first channel is played by a bassoon."""
    remix_page.query_params["instrument_1"] = "Bassoon"
    return remix_page


def sounds(page: AppTest, files: dict[str, bytes]) -> dict[str, np.ndarray]:
    """What the players hold, by the titles above them."""
    waves = played(page, files)
    return dict(zip(NAMES[: len(waves)], waves, strict=True))


def test_a_part_is_played_by_another_instrument(changed, media):
    page = changed.run()

    assert not page.exception and not page.error
    shown = [title.split("**")[1] for title in titles(page)]
    assert shown[:3] == ["Mixture", "Channel 1", "Channel 2"]
    assert shown[-3:] == ["Stem 1", "Stem 2", "Remix"]
    assert page.selectbox(key="instrument_1").value == "Bassoon"
    output = sounds(page, media)
    assert np.abs(output["Mixture"]).max() == pytest.approx(HEADROOM, abs=ROUNDING)
    both_channels = output["Channel 1"] + output["Channel 2"]
    assert np.abs(both_channels - output["Mixture"]).max() < 3 * ROUNDING
    both_stems = output["Stem 1"] + output["Stem 2"]
    assert np.abs(both_stems - output["Remix"]).max() < 3 * ROUNDING
    assert np.array_equal(output["Stem 2"], output["Channel 2"])
    assert np.abs(output["Stem 1"] - output["Channel 1"]).max() > 100 * ROUNDING
    assert len(pictures(page)) == 3 + 3  # sounds in, sounds out
    assert len(page.get("plotly_chart")) == 3  # the map and both melodies


def test_a_duet_opens_with_nothing_exchanged_and_the_remix_is_the_mixture(remix_page, media):
    page = remix_page.run()

    assert {
        page.selectbox(key=f"{what}_{i}").value for what in ("instrument", "melody") for i in (1, 2)
    } == {"Its own"}
    output = sounds(page, media)
    assert np.abs(output["Remix"] - output["Mixture"]).max() < 3 * ROUNDING
    assert says(page, "100% as separated")


def test_each_channel_has_a_caption_with_the_instruments_it_is_most_like(remix_page):
    page = remix_page.run()

    found = [c.value for c in page.caption if c.value.startswith("Sounds like")]
    assert len(found) == 2
    for line in found:
        parts = line.removeprefix("Sounds like ").split(", ")
        shares = [int(part.rsplit(" ", 1)[1].rstrip("%")) for part in parts]
        assert {part.rsplit(" ", 1)[0] for part in parts} <= set(INSTRUMENTS)
        assert shares == sorted(shares, reverse=True) and 97 <= sum(shares) <= 102


def test_only_what_a_change_touches_is_made_anew(remix_page, media, monkeypatch):
    page = remix_page.run()
    before, made = sounds(page, media), []
    from core.remix import remix

    exchange = remix.exchange
    monkeypatch.setattr(remix, "exchange", lambda *given: made.append(given[1]) or exchange(*given))
    monkeypatch.setattr(remix, "encode_channel", None)  # nor is anything encoded again
    page.selectbox(key="instrument_2").set_value("Violin").run()

    assert not page.exception and not page.error and made == [2]
    after = sounds(page, media)
    for name in ("Mixture", "Channel 1", "Channel 2", "Stem 1"):
        assert np.array_equal(before[name], after[name])
    assert not np.array_equal(before["Stem 2"], after["Stem 2"])


def test_melodies_are_exchanged_and_the_map_shows_where_instruments_go(remix_page, media):
    page = remix_page.run()
    page.selectbox(key="melody_1").set_value("Channel 2’s").run()
    assert titles(page)[-3] == "**Stem 1** :gray[melody of channel 2]"
    page.selectbox(key="instrument_2").set_value("Channel 1’s").run()
    assert titles(page)[-2] == "**Stem 2** :gray[played by channel 1]"
    assert not page.exception and not page.error

    charts = [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]
    (chart,) = [c for c in charts if c["data"][0].get("hovertext")]
    assert set(chart["data"][0]["hovertext"]) == set(INSTRUMENTS)
    always, more = (set(trace["text"]) - {""} for trace in chart["data"][:2])
    assert always and not always & more and always | more <= set(INSTRUMENTS)
    places = [(trace["x"], trace["y"]) for trace in chart["data"][2:]]
    (arrow,) = chart["layout"]["annotations"]
    assert len(places) == 2 and arrow["arrowhead"]


def test_a_recording_gives_its_melody(remix_page, media):
    page = remix_page.run()
    page.selectbox(key="melody_2").set_value("A recording").run()
    assert not page.exception and not page.error
    page.selectbox(key="melody_2_clip").select("Clarinet, low register").run()
    assert titles(page)[-2] == "**Stem 2** :gray[melody of clarinet]"
    assert not np.array_equal(*(sounds(page, media)[name] for name in ("Channel 2", "Stem 2")))


def test_levels_change_the_remix_and_are_shown(remix_page, media):
    remix_page.query_params["levels"] = "m0,-6"
    page = remix_page.run()

    assert desk(page)["strips"][0]["mute"] and desk(page)["strips"][1]["level"] == -6
    output = sounds(page, media)
    expected = 10 ** (-6 / 20) * output["Channel 2"]
    assert np.abs(output["Remix"] - expected).max() < 2 * ROUNDING
    assert [track["name"] for track in desk(page)["tracks"]] == ["1 clarinet", "2 violin"]


def test_when_all_stems_are_muted_the_page_says_so(remix_page):
    remix_page.query_params["levels"] = "m0,m0"
    page = remix_page.run()
    assert not page.exception and says(page, "All stems are muted")


def test_stems_are_packed_with_what_was_done(both, media, monkeypatch, examples):
    from core.remix.changes import Change
    from lab.widgets.mixture_slot import bundled

    monkeypatch.setattr(checkpoints, "SHIPPED", both)
    taken = bundled(("violin-2", "trumpet-1"))
    separator, model = (checkpoints.find(n) for n in ("separator-duets", "ts-dsae-players"))
    setup = mixtures.Setup(taken, separator, model)
    changes = [Change("flute", level=-3.0), Change(level=None), Change(), Change()]
    stems = [mixtures.stem(setup, i, change).wave for i, change in enumerate(changes, 1)]
    output = mixtures.at_levels(stems, [change.level for change in changes])
    packed = mixtures.remix_zip(setup, changes, output, "Thanks.")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        waves = {n: soundfile.read(archive.open(n))[0] for n in archive.namelist() if "wav" in n}
        found = json.loads(archive.read("remix.json"))
    total = sum(waves[f"stem-{i}.wav"] for i in range(1, 5))
    assert np.abs(total - waves["remix.wav"]).max() < 1e-6
    assert [c["instrument"] for c in found["channels"]] == ["flute", "kept", "kept", "kept"]
    assert [c["level"] for c in found["channels"]] == [-3.0, None, 0.0, 0.0]


def test_clips_are_mixed_on_the_spot_and_only_instruments_are_offered(remix_page, media):
    page = remix_page.run()
    page.segmented_control(key="mixture_from").set_value("Mix").run()
    assert "Dog, barking outside" not in page.selectbox(key="mixture_clip_1").options
    page.slider(key="mixture_level_2").set_value(-9.0).run()
    assert not page.exception and not page.error
    assert len(players(page)) == 6


def test_four_channels_are_changed_and_mixed_alike(remix_page, media):
    remix_page.query_params["separator"] = "separator-duets"
    remix_page.query_params["instrument_4"] = "Violin"
    page = remix_page.run()

    assert not page.exception and not page.error
    assert titles(page)[-2] == "**Stem 4** :gray[played by violin]"
    assert len(players(page)) == 1 + 4 + 4 + 1
    assert len(desk(page)["tracks"]) == 4


def test_a_silent_channel_is_marked_and_offers_no_change(remix_page, media, monkeypatch):
    def silent(checkpoint, taken):
        wave = mixtures.mixture(taken).clip.wave
        return Channels(np.stack([wave, 0 * wave]), None)

    monkeypatch.setattr(mixtures, "separate", silent)
    service.forget()
    page = remix_page.run()

    assert not page.exception and not page.error
    assert says(page, "This channel is silent")
    assert "instrument_2" not in {box.key for box in page.selectbox}
    assert "Channel 2’s" not in page.selectbox(key="instrument_1").options
    service.forget()


def test_a_model_without_instruments_offers_recordings_and_channels_alone(remix_page):
    remix_page.query_params["model"] = "dsae-dmelodies"
    page = remix_page.run()
    assert not page.exception and not page.error
    expected = ["Its own", "Channel 2’s", "A recording"]
    assert page.selectbox(key="instrument_1").options == expected
    assert says(page, "python -m core instruments")


def test_nonsense_in_the_address_is_passed_over(remix_page):
    remix_page.query_params["instrument_1"] = "Kazoo"
    remix_page.query_params["melody_2"] = "Channel 9’s"
    remix_page.query_params["levels"] = "x,y"
    page = remix_page.run()
    assert not page.exception and not page.error


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"no sound", "not a sound file"), (wav(np.zeros(16_000, np.float32)), "is silent")],
    ids=["not audio", "silent"],
)
def test_a_bad_upload_is_explained_in_the_slot(remix_page, data, words):
    page = remix_page.run()
    page.segmented_control(key="mixture_from").set_value("Upload").run()
    page.file_uploader(key="mixture_upload").upload("duet.wav", data).run()
    assert not page.exception
    assert len(page.error) == 1 and words in page.error[0].value
    assert not players(page)


def test_without_models_the_page_says_how_to_get_them(remix_page, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SHIPPED", tmp_path)
    page = remix_page.run()
    assert not page.exception and not page.error
    assert "python -m core train" in page.info[0].value
    assert len(players(page)) == 1
