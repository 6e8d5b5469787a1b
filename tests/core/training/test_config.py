"""One schema: the same clear message whatever face a wrong value came through."""

import pytest
import torch

from core.contrastive.config import ContrastiveConfig
from core.dsae.config import PRESETS, DsaeConfig, preset
from core.errors import RavelError
from core.training.config import flat_fields, merge
from core.training.precision import autocast


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid(name):
    DsaeConfig.parse(preset(name))


def test_the_defaults_are_the_papers():
    config = DsaeConfig()
    assert config.training.steps == 4000 * 19
    assert config.objective.stage1_steps == 300 * 19
    assert config.training.learning_rate == 1e-3
    assert (config.training.batch_size, config.model.z_size, config.model.v_size) == (128, 16, 16)


def test_text_is_taken_as_the_settings_type():
    config = DsaeConfig.parse(merge({}, {"training.steps": "12", "training.amsgrad": "true"}))
    assert config.training.steps == 12
    assert config.training.amsgrad is True


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"training": {"learning_rate": -1}}, ["training.learning_rate", "-1", "greater than 0"]),
        ({"training": {"stepz": 3}}, ["training.stepz", "did you mean training.steps?"]),
        ({"objective": {"variant": "vae"}}, ["objective.variant", "'vae'", "'ts-dsae'"]),
        ({"training": {"steps": "many"}}, ["training.steps", "'many'", "integer"]),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(values, words):
    with pytest.raises(RavelError) as error:
        DsaeConfig.parse(values)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(RavelError, match="paper"):
        preset("papr")


def test_every_setting_is_described():
    for name, field in flat_fields(DsaeConfig).items():
        assert name == "system" or field.description, name


def test_merging_leaves_the_base_alone():
    base = {"training": {"steps": 1, "seed": 2}}
    assert merge(base, {"training.steps": 5}) == {"training": {"steps": 5, "seed": 2}}
    assert base == {"training": {"steps": 1, "seed": 2}}


def test_a_section_given_in_part_keeps_the_rest_of_that_systems_defaults():
    whole, part = ContrastiveConfig(), ContrastiveConfig.parse({"training": {"steps": 7}})
    assert part.training == whole.training.model_copy(update={"steps": 7})
    assert part.training.schedule == "cosine"


def test_auto_is_bfloat16_where_there_are_instructions_for_it(monkeypatch):
    device, product = torch.device("cpu"), torch.ones(2, 2)
    for able, found in (({"avx512_bf16": True}, torch.bfloat16), ({}, torch.float32)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        with autocast(device, "auto"):
            assert (product @ product).dtype == found
        with autocast(device, "fp32"):
            assert (product @ product).dtype == torch.float32
        with autocast(device, "bf16"):
            assert (product @ product).dtype == torch.bfloat16
