"""The Explore page, driven in process."""

import shutil

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.checkpoints import checkpoint as checkpoints
from core.dsae import edits
from lab.explore import dials
from lab.explore.data import dimensions
from tests.lab.explore.sections import MODEL, latents_of, open_section, sound_of, upload
from tests.lab.pages import played, players
from tests.lab.tones import tone

ADVICE = "may do poorly on real recordings"


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
    assert not any(audio["autoplay"] for audio in players(explore_page))

    explore_page.toggle(key="autoplay").set_value(True).run()
    assert not any(audio["autoplay"] for audio in players(explore_page))
    explore_page.slider(key="dial_3").set_value(-1.0).run()
    assert [audio["autoplay"] for audio in players(explore_page)] == [False, True]


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


# All sections


@pytest.mark.parametrize("section", ["Dials", "Morph", "Melody"])
def test_without_a_clip_a_section_asks_for_one(explore_page, section):
    open_section(explore_page, section)
    explore_page.segmented_control(key="source_from").set_value("Upload").run()

    assert not explore_page.exception and not explore_page.error
    assert len(explore_page.info) == 1 and not players(explore_page)


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
