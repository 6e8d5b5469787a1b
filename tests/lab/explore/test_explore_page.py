"""The Explore page, driven in process."""

import io
import shutil

import numpy as np
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from core import service
from core.audio.clip import read
from core.checkpoints import checkpoint as checkpoints
from core.dsae import edits
from lab.explore import dials
from lab.explore import local_latents as track
from lab.explore.data import dimensions
from tests.lab.pages import played, wav
from tests.lab.tones import tone

MODEL = "ts-dsae-players"
ADVICE = "may do poorly on real recordings"


@pytest.fixture
def explore_page(page) -> AppTest:
    """The Explore page, not run yet."""
    return page.switch_page("lab/pages/explore.py")


@pytest.fixture
def checkpoint(untrained, monkeypatch):
    monkeypatch.setattr(checkpoints, "SHIPPED", untrained)
    return checkpoints.find(MODEL)


def open_section(page: AppTest, section: str, **query: str) -> AppTest:
    for name, value in {"section": section, **query}.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def latents_of(checkpoint, examples, name: str = "violin-1"):
    return service.latents(checkpoint, read(examples / f"{name}.flac"))


def sound_of(checkpoint, made) -> np.ndarray:
    return soundfile.read(io.BytesIO(service.render(checkpoint, made).wav))[0]


def upload(page: AppTest, wave: np.ndarray, side: str = "source") -> AppTest:
    page.segmented_control(key=f"{side}_from").set_value("Upload").run()
    return page.file_uploader(key=f"{side}_upload").upload("mine.wav", wav(wave)).run()


def dials_of(page: AppTest) -> list[str]:
    return [slider.key for slider in page.slider if slider.key.startswith("dial_")]


# Dials


def test_every_dimension_of_v_is_a_dial_at_the_clip_s_own_value(explore_page, checkpoint, examples):
    open_section(explore_page, "Dials")

    own = latents_of(checkpoint, examples).v.tolist()
    assert sorted(dials_of(explore_page)) == sorted(f"dial_{i}" for i in range(1, 17))
    for i, value in enumerate(own, 1):
        slider = explore_page.slider(key=f"dial_{i}")
        assert slider.value == pytest.approx(value, abs=dials.STEP / 2 + 1e-6)
        assert slider.min <= -3 and slider.max >= 3


def test_dials_are_ordered_by_their_effect_and_collapsed_ones_come_last(explore_page, checkpoint):
    open_section(explore_page, "Dials")

    kl, effect = dimensions(checkpoint).kl, dimensions(checkpoint).reach
    shown = [int(key.split("_")[1]) - 1 for key in dials_of(explore_page)]
    used = [effect[i] for i in shown if kl[i] > 0.02]
    assert used == sorted(used, reverse=True)
    assert [kl[i] > 0.02 for i in shown] == sorted((k > 0.02 for k in kl), reverse=True)
    inside = [slider.key for slider in explore_page.expander[0].slider] if min(kl) <= 0.02 else []
    assert sorted(inside) == sorted(f"dial_{i + 1}" for i in range(16) if kl[i] <= 0.02)


def test_a_moved_dial_changes_the_sound_and_is_kept_in_the_address(
    explore_page, media, checkpoint, examples
):
    open_section(explore_page, "Dials")
    before = played(explore_page, media)
    explore_page.slider(key="dial_3").set_value(-2.0).run()

    clip, result = played(explore_page, media)
    expected = edits.turn(latents_of(checkpoint, examples), {2: -2.0})
    assert np.array_equal(clip, before[0])
    assert np.array_equal(result, sound_of(checkpoint, expected))
    assert not np.array_equal(result, before[1])
    assert explore_page.query_params["v"] == "3:-2"


def test_untouched_dials_rebuild_the_clip_exactly(explore_page, media, checkpoint, examples):
    open_section(explore_page, "Dials")
    assert np.array_equal(
        played(explore_page, media)[1], sound_of(checkpoint, latents_of(checkpoint, examples))
    )


def test_an_address_turns_the_dials(explore_page, media, checkpoint, examples):
    open_section(explore_page, "Dials", v="3:-2,5:1.5,99:1,nonsense,7:nan,4:x")

    expected = edits.turn(latents_of(checkpoint, examples), {2: -2.0, 4: 1.5})
    assert np.array_equal(played(explore_page, media)[1], sound_of(checkpoint, expected))


def test_reset_brings_all_dials_back(explore_page, media):
    open_section(explore_page, "Dials")
    before = played(explore_page, media)[1]
    explore_page.slider(key="dial_3").set_value(-2.0).run()
    explore_page.slider(key="dial_8").set_value(2.0).run()
    explore_page.button(key="dials_reset").click().run()

    assert np.array_equal(played(explore_page, media)[1], before)
    assert "v" not in explore_page.query_params


def test_a_preset_sets_the_dials_to_the_mean_of_an_instrument(explore_page, checkpoint, examples):
    open_section(explore_page, "Dials")
    explore_page.pills(key="dials_preset").set_value("trumpet").run()

    trumpets = [
        latents_of(checkpoint, examples, name)
        for name in ("trumpet-1", "trumpet-2", "dmelodies-trumpet")
    ]
    for i, value in enumerate(edits.mean_v(trumpets).tolist(), 1):
        found = explore_page.slider(key=f"dial_{i}").value
        assert found == pytest.approx(value, abs=dials.STEP / 2 + 1e-6)


def test_another_clip_brings_its_own_values_and_discards_what_was_set(explore_page, checkpoint):
    open_section(explore_page, "Dials")
    explore_page.slider(key="dial_3").set_value(-2.0).run()
    explore_page.selectbox(key="source").select("Flute, slow phrase").run()

    assert not explore_page.exception
    assert explore_page.slider(key="dial_3").value != -2.0
    assert "v" not in explore_page.query_params


def test_dials_survive_a_look_at_another_section(explore_page, media):
    open_section(explore_page, "Dials")
    explore_page.slider(key="dial_3").set_value(-2.0).run()
    turned = played(explore_page, media)[1]
    explore_page.segmented_control(key="section").set_value("Draw").run()
    explore_page.segmented_control(key="section").set_value("Dials").run()

    assert explore_page.slider(key="dial_3").value == -2.0
    assert np.array_equal(played(explore_page, media)[1], turned)


def test_a_moved_dial_plays_only_with_autoplay(explore_page):
    open_section(explore_page, "Dials")
    explore_page.slider(key="dial_3").set_value(-2.0).run()
    assert not any(audio.proto.autoplay for audio in explore_page.get("audio"))

    explore_page.toggle(key="autoplay").set_value(True).run()
    assert not any(audio.proto.autoplay for audio in explore_page.get("audio"))
    explore_page.slider(key="dial_3").set_value(-1.0).run()
    assert [audio.proto.autoplay for audio in explore_page.get("audio")] == [False, True]


def test_a_model_whose_v_has_collapsed_says_so(explore_page, untrained, tmp_path, monkeypatch):
    from safetensors.torch import load_file, save_file

    shutil.copytree(untrained, tmp_path / "checkpoints")
    file = tmp_path / "checkpoints" / MODEL / "model.safetensors"
    weights = load_file(file)
    for name in weights:
        if name.startswith("global_encoder.head"):
            weights[name].zero_()
    save_file(weights, file)
    monkeypatch.setattr(checkpoints, "SHIPPED", tmp_path / "checkpoints")
    open_section(explore_page, "Dials")

    assert len(explore_page.warning) == 1 and "None of the 16" in explore_page.warning[0].value
    assert len(explore_page.expander[0].slider) == 16  # still movable


# Morph


def test_a_morph_is_a_strip_of_steps_whose_ends_are_the_clips(
    explore_page, media, checkpoint, examples
):
    open_section(explore_page, "Morph", steps="7")

    _, *steps = played(explore_page, media)
    assert len(steps) == 7 and len(explore_page.get("plotly_chart")) == 8
    for wave, name in ((steps[0], "violin-1"), (steps[-1], "trumpet-1")):
        own = latents_of(checkpoint, examples, name)
        assert np.array_equal(wave, sound_of(checkpoint, own))


@pytest.mark.parametrize(("choice", "what"), [("Global v", "global"), ("Local z", "local")])
def test_a_morph_can_be_of_one_part_alone(explore_page, media, checkpoint, examples, choice, what):
    open_section(explore_page, "Morph", morph=choice, position="0.3")

    ends = (latents_of(checkpoint, examples, name) for name in ("violin-1", "trumpet-1"))
    expected = edits.morph(*ends, 0.3, what)
    assert np.array_equal(played(explore_page, media)[0], sound_of(checkpoint, expected))


def test_the_position_follows_its_slider_and_the_steps(explore_page, media):
    open_section(explore_page, "Morph")
    explore_page.slider(key="position").set_value(0.75).run()
    here, *steps = played(explore_page, media)
    assert np.array_equal(here, steps[3])

    explore_page.button(key="step_1").click().run()
    here, *steps = played(explore_page, media)
    assert explore_page.slider(key="position").value == 0.25
    assert np.array_equal(here, steps[1])


def test_clips_of_different_length_meet_at_both_ends(explore_page, media):
    open_section(explore_page, "Morph")
    upload(explore_page, tone(330, True, 1.0), "target")

    assert not explore_page.exception and not explore_page.error
    lengths = [len(wave) for wave in played(explore_page, media)[1:]]
    assert lengths[-1] == 16_000 // 256 * 256
    assert lengths == sorted(lengths, reverse=True) and len(set(lengths)) == 5


# Melody


def test_an_edit_changes_the_sound_at_once_and_is_kept_in_the_list(
    explore_page, media, checkpoint, examples
):
    open_section(explore_page, "Melody")
    before, after = played(explore_page, media)
    assert np.array_equal(before, after)

    explore_page.segmented_control(key="tool").set_value("stretch").run()
    explore_page.slider(key="stretch_amount").set_value(2.0).run()
    own = latents_of(checkpoint, examples)
    stretched = edits.point(own.v, edits.stretch(own.z, 2.0))
    assert np.array_equal(played(explore_page, media)[1], sound_of(checkpoint, stretched))
    assert any("not kept yet" in line.value for line in explore_page.markdown)

    explore_page.button(key="keep").click().run()
    assert explore_page.query_params["edits"] == "stretch:2"
    assert np.array_equal(played(explore_page, media)[1], sound_of(checkpoint, stretched))
    assert any("Stretch to 200%" in line.value for line in explore_page.markdown)


@pytest.mark.parametrize("kind", list(track.TOOLS))
def test_every_edit_can_be_played(explore_page, media, kind):
    open_section(explore_page, "Melody")
    explore_page.segmented_control(key="tool").set_value(kind).run()

    assert not explore_page.exception and not explore_page.error
    before, after = played(explore_page, media)
    assert before.shape != after.shape or not np.array_equal(before, after)


def test_edits_of_an_address_are_applied_in_order_and_taken_back_one_by_one(
    explore_page, media, checkpoint, examples
):
    text = "hold:0.5,1,0.2;splice:1.5,0.5;stretch:0.5"
    open_section(explore_page, "Melody", edits=f"{text};nonsense:1;hold:2;stretch:-1")
    own, other = (latents_of(checkpoint, examples, name) for name in ("violin-1", "trumpet-1"))

    def expect(*steps: tuple) -> None:
        z = edits.apply(own.z, [edits.Edit(*step) for step in steps], other.z)
        expected = sound_of(checkpoint, edits.point(own.v, z))
        assert np.array_equal(played(explore_page, media)[1], expected)

    hold, splice, stretch = track.read(text)
    expect(hold, splice, stretch)
    explore_page.button(key="drop_1").click().run()
    expect(hold, stretch)
    explore_page.button(key="undo").click().run()
    expect(hold)
    explore_page.button(key="reset").click().run()
    expect()
    assert "edits" not in explore_page.query_params


def test_too_long_a_melody_is_refused_in_words(explore_page):
    open_section(explore_page, "Melody", edits="stretch:2;stretch:2;stretch:2")

    assert len(explore_page.error) == 1 and "16 s is the longest" in explore_page.error[0].value
    explore_page.button(key="undo").click().run()
    assert not explore_page.error and len(explore_page.get("audio")) == 2


def test_an_edit_that_needs_the_other_clip_asks_for_it(explore_page):
    open_section(explore_page, "Melody")
    explore_page.segmented_control(key="target_from").set_value("Upload").run()
    explore_page.segmented_control(key="tool").set_value("nudge").run()

    assert not explore_page.exception and not explore_page.error
    assert any("fill the slot of the other clip" in box.value for box in explore_page.info)
    assert len(explore_page.get("audio")) == 2


@pytest.mark.parametrize("kind", list(track.TOOLS))
def test_the_shortest_clips_can_be_edited(explore_page, kind):
    open_section(explore_page, "Melody")
    for side in ("source", "target"):
        upload(explore_page, tone(330, True, 0.25), side)
    explore_page.segmented_control(key="tool").set_value(kind).run()

    assert not explore_page.exception
    assert len(explore_page.get("audio")) == 2


# Draw


def test_draws_are_four_and_the_same_for_a_seed(explore_page, media, checkpoint):
    open_section(explore_page, "Draw", seed="3", seconds="2")
    draws = played(explore_page, media)
    assert len(draws) == 4 and {len(wave) for wave in draws} == {32_000}
    model = service.disentangler(checkpoint)
    for seed, wave in enumerate(draws, 3):
        assert np.array_equal(wave, sound_of(checkpoint, model.sample(2.0, seed)))

    explore_page.button(key="draw_again").click().run()
    assert explore_page.number_input(key="seed").value == 7
    again = played(explore_page, media)
    assert not any(np.array_equal(a, b) for a, b in zip(draws, again, strict=True))


def test_a_part_can_be_drawn_for_the_clip(explore_page, media, checkpoint, examples):
    own, drawn = latents_of(checkpoint, examples), service.disentangler(checkpoint).sample(4.0, 0)

    open_section(explore_page, "Draw", draw="The melody")
    by_clip = sound_of(checkpoint, edits.point(own.v, drawn.z))
    assert np.array_equal(played(explore_page, media)[0], by_clip)

    explore_page.segmented_control(key="draw").set_value("The instrument").run()
    of_clip = sound_of(checkpoint, edits.point(drawn.v, own.z))
    assert np.array_equal(played(explore_page, media)[0], of_clip)


def test_everything_can_be_drawn_without_a_clip_and_a_part_asks_for_one(explore_page):
    open_section(explore_page, "Draw")
    explore_page.segmented_control(key="source_from").set_value("Upload").run()
    assert len(explore_page.get("audio")) == 4

    explore_page.segmented_control(key="draw").set_value("The melody").run()
    assert not explore_page.get("audio") and "comes from a clip" in explore_page.info[0].value


# All sections


@pytest.mark.parametrize("section", ["Dials", "Morph", "Melody"])
def test_without_a_clip_a_section_asks_for_one(explore_page, section):
    open_section(explore_page, section)
    explore_page.segmented_control(key="source_from").set_value("Upload").run()

    assert not explore_page.exception and not explore_page.error
    assert len(explore_page.info) == 1 and not explore_page.get("audio")


def test_a_silent_upload_is_explained(explore_page):
    open_section(explore_page, "Dials")
    upload(explore_page, 0 * tone(330, True))

    assert not explore_page.exception
    assert len(explore_page.error) == 1 and "is silent" in explore_page.error[0].value


def test_a_damaged_model_is_explained(explore_page, untrained, tmp_path, monkeypatch):
    shutil.copytree(untrained, tmp_path / "checkpoints")
    weights = tmp_path / "checkpoints" / MODEL / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    monkeypatch.setattr(checkpoints, "SHIPPED", tmp_path / "checkpoints")
    for section in ("Dials", "Morph", "Melody", "Draw"):
        open_section(explore_page, section)
        assert len(explore_page.error) == 1
        assert "model.safetensors" in explore_page.error[0].value


def test_with_no_model_at_all_the_page_says_how_to_get_one(explore_page, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SHIPPED", tmp_path)
    explore_page.run()

    assert not explore_page.exception
    assert "python -m core train" in explore_page.info[0].value


def test_a_model_of_synthesised_sound_offers_what_suits_it(explore_page):
    open_section(explore_page, "Dials", model="dsae-dmelodies")
    assert any(ADVICE in caption.value for caption in explore_page.caption)

    explore_page.button(key="use_rendered").click().run()
    assert explore_page.selectbox(key="source").value == "Violin, dMelodies"
    assert not any(ADVICE in caption.value for caption in explore_page.caption)


def test_sound_that_would_be_clipped_is_turned_down_with_a_notice(
    explore_page, media, untrained, tmp_path, monkeypatch
):
    from safetensors.torch import load_file, save_file

    shutil.copytree(untrained, tmp_path / "checkpoints")
    file = tmp_path / "checkpoints" / MODEL / "model.safetensors"
    weights = load_file(file)
    weights["decoder.out.bias"] += 12
    save_file(weights, file)
    monkeypatch.setattr(checkpoints, "SHIPPED", tmp_path / "checkpoints")
    open_section(explore_page, "Dials")

    assert any("Turned down by" in caption.value for caption in explore_page.caption)
    result = played(explore_page, media)[1]
    assert (np.abs(result) >= 1 - 2 / 32768).sum() <= 2  # its peak alone, nothing cut off
