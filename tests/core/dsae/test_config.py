"""Settings: what was trained before a setting was there reads as it was."""

import json

import pytest

from core.checkpoints import checkpoint
from core.dsae.config import DsaeConfig, ModelConfig, preset
from core.training.config import flat_values, merge

NEW = ("decorrelate",)
SHIPPED = ["ts-dsae-dmelodies", "dsae-dmelodies", "ts-dsae-instruments"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_config_that_lacks_newer_settings_is_the_model_it_was(name):
    values = json.loads((checkpoint.SHIPPED / name / "config.json").read_text())
    for setting in NEW:
        values["model"].pop(setting, None)
    model = DsaeConfig.parse(values).model
    assert model.decoder == "framewise"
    assert model == ModelConfig(**values["model"], **{"decorrelate": False})


def test_the_papers_settings_have_no_part_of_ours():
    for name in ("paper", "quick", "instruments"):
        model = DsaeConfig.parse(preset(name)).model
        assert (model.decoder, model.decorrelate) == ("framewise", False), name


def test_ts_dsae_plus_is_ts_dsae_with_our_parts():
    plus = DsaeConfig.parse(preset("ts-dsae-plus"))
    assert (plus.objective.variant, plus.model.posterior) == ("ts-dsae", "factorised")
    assert (plus.model.decoder, plus.model.decorrelate) == ("convolutional", True)
    assert {plus.stage(0), plus.stage(plus.training.steps - 1)} == {"constrained", "informed"}


@pytest.mark.parametrize(
    ("name", "made_by_it", "changed"),
    [
        # The card says at which steps of the run these two were lowered.
        ("players", checkpoint.DEFAULT_CHECKPOINT, {"kl_z_swaps", "same_phrase"}),
        ("instruments-plus", "ts-dsae-plus", set()),
    ],
)
def test_a_checkpoint_is_that_of_its_preset(name, made_by_it, changed):
    made = DsaeConfig.parse(preset(name))
    ships = DsaeConfig.parse(checkpoint.find(made_by_it).config)
    assert made.model == ships.model
    ours, theirs = made.objective.model_dump(), ships.objective.model_dump()
    assert {key for key in ours if ours[key] != theirs[key]} == changed
    assert made.training.steps == ships.training.steps


def test_the_grid_of_its_parts_trains_what_the_preset_says():
    """All but the length: that of the paper's tables, so that they can be compared."""
    from core.experiments import grid

    def apart_from_length(config):
        of = flat_values(config)
        return {k: v for k, v in of.items() if k.split(".")[0] in ("model", "data")} | {
            k: of[k] for k in ("training.batch_size", "training.learning_rate", "objective.kl_z")
        }

    runs = grid.read(checkpoint.SHIPPED / "results" / "plus.toml").runs([0])
    configs = [apart_from_length(run.config) for run in runs]
    for name in ("quick", "ts-dsae-plus"):
        given = DsaeConfig.parse(merge(preset(name), {"system": "dsae"}))
        assert apart_from_length(given) in configs, name
