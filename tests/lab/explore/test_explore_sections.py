"""The sections Morph, Melody and Samples of the Explore page, driven in process."""

import numpy as np
import pytest

from core import service
from core.dsae import edits
from lab.explore import local_latents as track
from tests.lab.explore.sections import latents_of, open_section, sound_of, upload
from tests.lab.pages import pictures, played, players
from tests.lab.tones import tone


def test_a_morph_is_a_strip_of_steps_whose_ends_are_the_clips(
    explore_page, media, checkpoint, examples
):
    open_section(explore_page, "Morph", steps="7")

    _, *steps = played(explore_page, media)
    assert len(steps) == 7 and len(pictures(explore_page)) == 8
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
    assert not explore_page.error and len(players(explore_page)) == 2


def test_an_edit_that_needs_the_other_clip_asks_for_it(explore_page):
    open_section(explore_page, "Melody")
    explore_page.segmented_control(key="target_from").set_value("Upload").run()
    explore_page.segmented_control(key="tool").set_value("nudge").run()

    assert not explore_page.exception and not explore_page.error
    assert any("fill the slot of the other clip" in box.value for box in explore_page.info)
    assert len(players(explore_page)) == 2


@pytest.mark.parametrize("kind", list(track.TOOLS))
def test_the_shortest_clips_can_be_edited(explore_page, kind):
    open_section(explore_page, "Melody")
    for side in ("source", "target"):
        upload(explore_page, tone(330, True, 0.25), side)
    explore_page.segmented_control(key="tool").set_value(kind).run()

    assert not explore_page.exception
    assert len(players(explore_page)) == 2


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
    assert len(players(explore_page)) == 4

    explore_page.segmented_control(key="draw").set_value("The melody").run()
    assert not players(explore_page) and "comes from a clip" in explore_page.info[0].value
