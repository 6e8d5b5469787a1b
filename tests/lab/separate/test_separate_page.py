"""The Separate page, driven in process; the mixer is tested in a browser."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.audio.clip import read
from core.checkpoints import checkpoint as checkpoints
from core.separation.separate import Match
from core.service import HEADROOM, mixtures
from core.service.mixtures import Channels
from lab.bundled import sources
from lab.widgets import mixer, player
from tests.lab import separators
from tests.lab.pages import desk, pictures, played, players, says, titles, wav

PAGE = "lab/pages/separate.py"
ROUNDING = 1 / 32768  # of a 16-bit file


@pytest.fixture(scope="session")
def untrained_separators(tmp_path_factory) -> Path:
    """A folder of separators that were never trained."""
    return separators.build(tmp_path_factory.mktemp("separators"))


@pytest.fixture
def separate_page(page, untrained_separators, monkeypatch) -> AppTest:
    """The Separate page, not run yet."""
    monkeypatch.setattr(checkpoints, "SHIPPED", untrained_separators)
    return page.switch_page(PAGE)


def figures(page: AppTest) -> list[str]:
    """The SI-SNR improvements that are shown of channels."""
    return [c.value for c in page.caption if c.value.startswith("SI-SNRi")]


def noise(seconds: float, level: float = 0.1, channels: int = 1) -> np.ndarray:
    return level * np.random.default_rng(0).uniform(-1, 1, (round(16_000 * seconds), channels))


def upload(page: AppTest, data: bytes) -> AppTest:
    page.segmented_control(key="mixture_from").set_value("Upload").run()
    return page.file_uploader(key="mixture_upload").upload("street.wav", data).run()


def mix(page: AppTest, **settings: str | float) -> AppTest:
    """Mix clips on the spot: clip_1="Rain, light", level_2=-6.0."""
    page.segmented_control(key="mixture_from").set_value("Mix").run()
    for name, value in settings.items():
        widget = page.selectbox if name.startswith("clip") else page.slider
        widget(key=f"mixture_{name}").set_value(value)
    return page.run()


def si_snr(estimate: np.ndarray, reference: np.ndarray) -> float:
    target = (estimate @ reference) / (reference @ reference) * reference
    return 10 * np.log10((target @ target) / ((estimate - target) @ (estimate - target)))


def test_a_mixture_opens_taken_apart_into_channels_that_add_up_to_it(separate_page, media):
    page = separate_page.run()

    assert not page.exception and not page.error
    shown = [title.split("**")[1] for title in titles(page)]
    assert shown == ["Mixture", "Channel 1", "Channel 2", "Remix"]
    mixture, *channels = played(page, media)
    assert np.abs(mixture).max() == pytest.approx(HEADROOM, abs=ROUNDING)
    assert np.abs(sum(channels) - mixture).max() < 3 * ROUNDING
    assert len(pictures(page)) == 4


def test_each_channel_says_what_it_holds_and_how_much_was_gained(separate_page, media):
    page = separate_page.run()
    mixture, *channels = played(page, media)
    references = [read(sources()[name]["path"]).wave.astype(float) for name in ("dog", "rain")]

    assert [title.split("[")[1] for title in titles(page)[1:3]] == ["dog]", "rain]"]
    for channel, reference, text in zip(channels, references, figures(page), strict=True):
        gained = si_snr(channel, reference) - si_snr(mixture, reference)
        shown = float(text.removeprefix("SI-SNRi ").removesuffix(" dB").replace("−", "-"))
        assert shown == pytest.approx(gained, abs=0.06)


def test_empty_channels_are_counted_and_marked(separate_page, monkeypatch):
    page = separate_page.run()
    assert says(page, "2 of 2 channels active") and not says(page, "Inactive")

    def apart(checkpoint, source):
        wave = mixtures.mixture(source).clip.wave
        return Channels(np.stack([wave - 0.05 * wave, 0.05 * wave]), None)

    monkeypatch.setattr(mixtures, "separate", apart)
    page.run()
    assert not page.exception and not page.error
    assert says(page, "1 of 2 channels active") and says(page, "Inactive")


def test_clips_are_mixed_at_the_levels_of_the_sliders(separate_page, media):
    page = mix(separate_page.run(), clip_1="Rain, light", clip_2="Sea, waves", level_2=-9.0)

    assert not page.exception and not page.error
    rain, sea = (read(sources()[name]["path"]).wave for name in ("rain", "sea"))
    expected = rain / np.std(rain) + 10 ** (-9 / 20) * sea / np.std(sea)
    output = played(page, media)[0]
    assert np.corrcoef(output, expected)[0, 1] > 0.9999


def test_three_clips_of_different_lengths_are_mixed_and_grouped(separate_page, media):
    page = mix(separate_page.run(), clip_1="Violin, slow phrase", clip_3="Clarinet, low register")

    assert not page.exception and not page.error
    assert [len(wave) for wave in played(page, media)] == [80_000] * 3
    held = " + ".join(title.split("[")[1][:-1] for title in titles(page)[1:3])
    assert sorted(held.split(" + ")) == ["clarinet", "rain", "violin"]
    assert says(page, "In the training data of the instrument models: Violin, slow phrase.")


def test_a_clip_that_is_chosen_twice_is_pointed_out(separate_page):
    page = mix(separate_page.run(), clip_1="Rain, light", clip_2="Rain, light")

    assert not page.exception
    assert "chosen twice" in page.error[0].value
    assert not players(page)


def test_the_clips_that_were_mixed_can_be_played_beside_the_channels(separate_page, media):
    separate_page.query_params["clips"] = "true"
    page = separate_page.run()

    mixture, *others = played(page, media)
    assert len(others) == 4
    assert np.abs(sum(others[2:]) - mixture).max() < 3 * ROUNDING


def test_channels_beyond_the_number_of_clips_are_labelled_as_holding_none(separate_page, media):
    separate_page.query_params["separator"] = "separator-duets"
    page = separate_page.run()

    assert not page.exception and not page.error
    held = [title.split("[")[1][:-1] for title in titles(page)[1:5]]
    assert held == ["dog", "rain", "no clip of its own", "no clip of its own"]
    mixture, *channels = played(page, media)
    assert len(figures(page)) == 2
    assert np.abs(sum(channels) - mixture).max() < 4 * ROUNDING


def test_the_separator_is_chosen_by_the_mixture(separate_page):
    page = separate_page.run()
    assert says(page, "Separated by **separator-scenes**: the mixture is of everyday sounds.")

    page.selectbox(key="mixture").select("Duet of clarinet and violin").run()
    assert not page.exception and not page.error
    assert says(page, "Separated by **separator-duets**: the mixture is of instruments.")


def test_an_example_that_suits_the_separator_is_one_click_away(separate_page):
    separate_page.query_params["separator"] = "separator-duets"
    page = separate_page.run()
    assert says(page, "separator-duets was trained on instruments only.")

    page.button(key="fitting").click().run()
    assert page.selectbox(key="mixture").value == "Duet of clarinet and violin"
    assert not page.button


def test_an_earlier_step_of_the_training_separates_otherwise(separate_page, media):
    page = separate_page.run()
    late = played(page, media)

    page.select_slider(key="step").set_value("0").run()
    early = played(page, media)
    assert np.array_equal(early[0], late[0])
    assert np.abs(early[1] - late[1]).max() > 10 * ROUNDING


def test_all_steps_of_the_training_are_shown_beneath_one_another(separate_page, media):
    separate_page.query_params["steps"] = "true"
    page = separate_page.run()

    channels = played(page, media)[1:]
    assert len(channels) == 2 + 2 * 2
    steps = [title for title in titles(page) if "tep" in title]
    assert steps[0].startswith("**Step 0** :gray[mean SI-SNRi") and "**Last step**" in steps[1]
    assert not np.array_equal(channels[2], channels[4])
    assert np.array_equal(channels[0], channels[4])


def test_the_state_of_the_page_is_in_its_address(separate_page, media):
    page = separate_page
    page.query_params["mixture_from"] = "Mix"
    page.query_params["mixture_clip_1"] = "Baby, crying"
    page.query_params["mixture_level_2"] = "-3"
    page.query_params["step"] = "0"
    page.query_params["levels"] = "-6,m0"
    page.run()

    assert not page.exception and not page.error
    assert page.selectbox(key="mixture_clip_1").value == "Baby, crying"
    assert page.slider(key="mixture_level_2").value == -3
    assert page.select_slider(key="step").value == "0"
    strips = [mixer.Strip(-6.0), mixer.Strip(0.0, mute=True)]
    assert desk(page)["strips"] == [strip._asdict() for strip in strips]
    remix = 10 ** (-6 / 20) * played(page, media)[1]
    level = float(player.level(wav(remix)).split()[1].replace("−", "-"))
    shown = [c.value for c in page.caption if c.value.startswith("Peak")][-1]
    assert float(shown.split()[1].replace("−", "-")) == pytest.approx(level, abs=0.11)


def test_when_all_channels_are_muted_the_page_says_so(separate_page):
    separate_page.query_params["levels"] = "m0,m0"
    page = separate_page.run()

    assert not page.exception
    assert says(page, "All channels are muted")


def test_levels_of_the_mixer_are_not_kept_for_another_mixture(separate_page):
    separate_page.query_params["levels"] = "-6,m0"
    page = separate_page.run()
    page.select_slider(key="step").set_value("0").run()
    assert desk(page)["strips"][0]["level"] == -6

    page.selectbox(key="mixture").select("Baby, dog and waves").run()
    assert all(strip == mixer.Strip()._asdict() for strip in desk(page)["strips"])
    assert "levels" not in page.query_params


def test_an_upload_of_unknown_content_is_separated_without_figures(separate_page, media):
    page = upload(separate_page.run(), wav(noise(3, level=0.001, channels=2)))

    assert not page.exception and not page.error
    assert titles(page)[:3] == ["**Mixture** :gray[street]", "**Channel 1**", "**Channel 2**"]
    mixture, *channels = played(page, media)
    assert np.abs(mixture).max() == pytest.approx(HEADROOM, abs=ROUNDING)  # however quiet it was
    assert np.abs(sum(channels) - mixture).max() < 3 * ROUNDING
    assert not figures(page) and not says(page, "This recording is clipped")


def test_of_a_long_upload_a_minute_is_taken_from_the_chosen_start(separate_page, media):
    wave = noise(70)
    wave[: 5 * 16_000] = 0
    page = upload(separate_page.run(), wav(wave))

    assert not page.exception and not page.error
    before = played(page, media)[0]
    assert len(before) == 60 * 16_000 and not before[: 4 * 16_000].any()
    assert any("python -m core separate" in (caption.help or "") for caption in page.caption)

    page.query_params["mixture_start"] = "10"
    page.run()
    assert played(page, media)[0][: 4 * 16_000].any()


def test_a_recording_of_the_microphone_is_separated(separate_page, media):
    page = separate_page.run()
    page.segmented_control(key="mixture_from").set_value("Microphone").run()
    assert says(page, "The mixture is empty") and not players(page)

    page.audio_input(key="mixture_microphone").upload("take.wav", wav(noise(2))).run()
    assert not page.exception and not page.error
    assert [len(wave) for wave in played(page, media)] == [32_000] * 3


def test_channels_of_an_upload_keep_their_order_from_step_to_step(separate_page, media):
    separate_page.query_params["steps"] = "true"
    separate_page.query_params["separator"] = "separator-duets"
    page = upload(separate_page.run(), wav(noise(2)))

    waves = played(page, media)[5:]
    early, late = np.stack(waves[:4]), np.stack(waves[4:])
    best = max(
        itertools.permutations(range(4)),
        key=lambda order: sum(early[i] @ late[place] for place, i in enumerate(order)),
    )
    assert best == (0, 1, 2, 3)


def test_a_clipped_upload_is_separated_and_pointed_out(separate_page, media):
    page = upload(separate_page.run(), wav(np.clip(noise(2, level=3), -1, 1)))

    assert not page.exception and not page.error
    assert says(page, "This recording is clipped")
    assert all(np.isfinite(wave).all() for wave in played(page, media))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no sound", "not a sound file"),
        (wav(0 * noise(1)), "is silent"),
        (wav(np.full((16_000, 1), np.nan)), "not finite"),
        (wav(noise(0.01)), "too short"),
    ],
    ids=["not audio", "silent", "NaN", "too short"],
)
def test_a_bad_upload_is_explained_in_the_slot(separate_page, data, words):
    page = upload(separate_page.run(), data)

    assert not page.exception
    assert len(page.error) == 1 and words in page.error[0].value
    assert not players(page)


def test_a_silent_channel_is_called_silent(separate_page, monkeypatch):
    def silent(checkpoint, taken):
        wave = mixtures.mixture(taken).clip.wave
        return Channels(
            np.stack([wave, 0 * wave]), [Match((0,), 1.0, 2.0), Match((1,), -80.0, -80.0)]
        )

    monkeypatch.setattr(mixtures, "separate", silent)
    page = separate_page.run()

    assert not page.exception and not page.error
    assert says(page, "Silent") and figures(page) == ["SI-SNRi +2.0 dB"]


def test_a_damaged_separator_is_explained_and_the_mixture_still_plays(
    separate_page, untrained_separators, tmp_path, monkeypatch
):
    shutil.copytree(untrained_separators, tmp_path / "checkpoints")
    weights = tmp_path / "checkpoints" / "separator-scenes" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    monkeypatch.setattr(checkpoints, "SHIPPED", tmp_path / "checkpoints")
    page = separate_page.run()

    assert not page.exception
    assert len(page.error) == 1 and "model.safetensors" in page.error[0].value
    assert len(players(page)) == 1


def test_without_a_separator_the_page_says_how_to_get_one(separate_page, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SHIPPED", tmp_path)
    page = separate_page.run()

    assert not page.exception and not page.error
    assert "python -m core train separation" in page.info[0].value
    assert len(players(page)) == 1
