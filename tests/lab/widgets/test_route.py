"""The switch between the vocoder and Griffin-Lim, on the pages and in the demo."""

import shutil

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from core import service
from core.audio.clip import read
from core.checkpoints import checkpoint
from core.dsae.latents import load, swap_clips
from core.vocoder.play import ROUTES, default_route, play
from lab.demo import models as demo_models
from lab.demo.examples import key
from lab.demo.swap import show_example
from tests.lab.conftest import APP
from tests.lab.swap.test_swap_page import played


@pytest.fixture(scope="module")
def with_vocoder(untrained, tmp_path_factory):
    """The untrained checkpoints, and a vocoder as little trained."""
    from core.vocoder.config import VocoderConfig
    from core.vocoder.model import VocoderNetwork

    folder = tmp_path_factory.mktemp("with") / "checkpoints"
    shutil.copytree(untrained, folder)
    config = VocoderConfig.parse({"model": {"width": 16, "hidden": 16, "blocks": 1}})
    torch.manual_seed(0)
    weights = VocoderNetwork(**config.model.model_dump()).state_dict()
    checkpoint.write(folder / "vocoder", config.model_dump(), weights)
    return folder


@pytest.fixture
def pages(with_vocoder, monkeypatch):
    """The lab's first page, with a vocoder; not run yet."""
    monkeypatch.setattr(checkpoint, "SHIPPED", with_vocoder)
    return AppTest.from_file(APP, default_timeout=120)


def expected(examples, way):
    clips = [read(examples / f"{name}.flac") for name in ("violin-1", "trumpet-1")]
    swapped = swap_clips(load("ts-dsae-players"), *clips).swapped
    return (service.HEADROOM * play(swapped, way).numpy()).clip(-1, 1)


def test_swaps_are_played_by_the_vocoder_until_the_switch_says_otherwise(pages, media, examples):
    pages.run()
    assert pages.segmented_control(key="played").value == "Vocoder"
    source, _, swapped, _ = played(pages, media)
    assert np.abs(swapped - expected(examples, "vocoder")).max() < 1e-3

    pages.segmented_control(key="played").set_value("Griffin-Lim").run()
    same, _, other, _ = played(pages, media)
    assert np.array_equal(same, source)  # what was recorded is what it was
    assert np.abs(other - expected(examples, "live")).max() < 1e-3
    assert np.abs(other - swapped).max() > 0.01


def test_the_switch_is_in_the_address(pages, media, examples):
    pages.query_params["played"] = "Griffin-Lim"
    pages.run()
    assert pages.segmented_control(key="played").value == "Griffin-Lim"
    assert np.abs(played(pages, media)[2] - expected(examples, "live")).max() < 1e-3


def test_without_a_vocoder_griffin_lim_plays_and_nothing_can_be_chosen(page, media, examples):
    page.run()
    switch = page.segmented_control(key="played")
    assert switch.value == "Griffin-Lim" and switch.disabled
    assert np.abs(played(page, media)[2] - expected(examples, "live")).max() < 1e-3


def test_explore_plays_by_the_switch_too(pages, media):
    pages.run()
    pages.switch_page("lab/pages/explore.py").run()
    assert not pages.exception and not pages.error
    by_vocoder = played(pages, media)[-1]
    pages.segmented_control(key="played").set_value("Griffin-Lim").run()
    by_griffin_lim = played(pages, media)[-1]
    assert by_vocoder.shape == by_griffin_lim.shape
    assert np.abs(by_vocoder - by_griffin_lim).max() > 0.01


def test_a_new_vocoder_is_not_answered_from_the_old_ones_cache(pages, with_vocoder, media):
    pages.run()
    before = played(pages, media)[2]
    path = with_vocoder / "vocoder"
    kept = checkpoint.Checkpoint(path)
    config, weights = kept.config, kept.weights()
    try:
        louder = {k: v + 0.5 if k == "head.bias" else v for k, v in weights.items()}
        checkpoint.write(path, config, louder)
        pages.run()
        assert np.abs(played(pages, media)[2] - before).max() > 0.01
    finally:
        checkpoint.write(path, config, weights)


# -- the demo -----------------------------------------------------------------------------------


def test_the_demo_plays_either_way_and_answers_of_one_are_not_given_for_the_other(
    with_vocoder, monkeypatch, examples
):
    monkeypatch.setattr(checkpoint, "SHIPPED", with_vocoder)
    clips = [read(examples / f"{name}.flac", duration=4) for name in ("violin-1", "trumpet-1")]
    model = "ts-dsae-players"
    keys = {key("swap", model, *clips, route=route) for route in ROUTES}
    assert len(keys) == 3
    assert key("swap", model, *clips) in keys
    by_default, by_vocoder, by_griffin_lim = (
        demo_models.swap(model, *clips, route)["swapped"].wave
        for route in (None, "vocoder", "live")
    )
    assert np.array_equal(by_default, by_vocoder)
    assert np.abs(by_vocoder - by_griffin_lim).max() > 0.01


def test_an_example_of_the_demo_is_played_as_it_ships():
    shown = show_example(0, False)
    assert shown[7] == default_route()
