"""The checkpoints that ship: they load, their cards say what was measured, and it holds."""

import re

import pytest

from core import statistics
from core.checkpoints.checkpoint import find, list_checkpoints
from core.checkpoints.tables import format_score
from core.data import dmelodies, synth
from core.dsae import latents
from core.dsae.evaluation import scores as evaluate

NAMES = [
    "dsae-dmelodies",
    "ts-dsae-dmelodies",
    "ts-dsae-instruments",
    "ts-dsae-octaves",
    "ts-dsae-players",
    "ts-dsae-plus",
    "ts-dsae-plus-dmelodies",
]


def test_what_the_readme_promises_ships():
    assert [checkpoint.name for checkpoint in list_checkpoints("dsae")] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_the_metrics_say_and_how_to_train_it_again(name):
    checkpoint = find(name)
    card = (checkpoint.path / "README.md").read_text()
    values = [v for scores in checkpoint.metrics.values() for v in _leaves(scores)]
    assert values
    for value in values:
        assert format_score(value) in card
    assert f"python -m core train dsae --out runs/{name}" in card
    assert not re.search(r"/(home|root|tmp|work)/", card)


def _leaves(scores):
    for value in scores.values():
        if isinstance(value, dict) and "value" not in value:
            yield from _leaves(value)
        else:
            yield value


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_loads_and_is_small(name):
    model = latents.load(name)
    assert model.name == name
    assert sum(f.stat().st_size for f in model.checkpoint.path.iterdir()) < 20e6


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    fonts = [path.name for path in synth.soundfonts()]
    if "fluidsynth" not in synth.available() or not any("MuseScore" in font for font in fonts):
        pytest.skip("FluidSynth or the soundfont the models were trained on is not installed")
    folder = tmp_path_factory.mktemp("stores") / "dmelodies"
    # Another draw than the training's: melodies of the same kind, most are not in its data.
    return dmelodies.build(folder, count=120, seed=1, validation=0.5, audio=False, progress=False)


def score(name, rendered, monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 50)
    return evaluate.score(latents.load(name).model, rendered, "instrument")


def test_swaps_of_ts_dsae_move_the_instrument_in_melodies_rendered_anew(rendered, monkeypatch):
    scores = score("ts-dsae-dmelodies", rendered, monkeypatch)
    for swap in ("pre", "global", "local"):
        assert scores[f"f1_{swap}"]["value"] >= 0.99
    assert scores["counterfactual_error"]["value"] <= 1.87
    assert scores["active_v"] >= 1


def test_ts_dsae_plus_swaps_nearer_to_the_truth_with_less_left_in_z(rendered, monkeypatch):
    plus, paper = (
        score(name, rendered, monkeypatch)
        for name in ("ts-dsae-plus-dmelodies", "ts-dsae-dmelodies")
    )
    assert plus["f1_global"]["value"] >= 0.99
    assert plus["counterfactual_error"]["high"] < paper["counterfactual_error"]["low"]
    assert plus["leak_z"]["value"] < paper["leak_z"]["value"] - 0.2


def test_the_plain_dsae_has_collapsed(rendered, monkeypatch):
    scores = score("dsae-dmelodies", rendered, monkeypatch)
    assert scores["active_v"] == 0
    assert scores["f1_global"]["value"] < 0.8
    assert scores["counterfactual_error"]["value"] > 5
