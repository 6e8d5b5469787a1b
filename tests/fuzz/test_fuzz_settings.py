"""Settings of any shape, as JSON or in a grid's TOML: a valid config or one sentence."""

import json
import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core import registry
from core.errors import RavelError
from core.experiments import grid as grids
from core.training.config import flat_fields, merge
from tests.fuzz.mutate import as_json, examples, mutated, values

NAMES = sorted(
    {part for system in registry.systems().values() for name in flat_fields(system.config)
     for part in (name, *name.split("."))} | {"model", "objective", "data", "training", "views"}
)  # fmt: skip
GRID = b"""
title = "Fuzz"
system = "dsae"
preset = "quick"
seeds = [0, 1]
evaluate = ["--data", "data/dmelodies"]
[settings]
"training.steps" = 8
[[tables]]
name = "table 1"
settings = { "model.v_size" = 4 }
rows = { "model.z_size" = [4, 8] }
columns = { "objective.variant" = ["dsae", "ts-dsae"] }
"""


def one_sentence(error: RavelError) -> None:
    """Check that a refusal is one sentence of bearable length."""
    assert str(error).endswith((".", "?")) and len(str(error)) < 2_000, str(error)[:200]


def parsed(given: object) -> None:
    """Check that settings are refused in words, or make a config that can be used and kept."""
    try:
        config = registry.parse(given)
    except RavelError as error:
        return one_sentence(error)
    config.stage(0)
    again = registry.parse(json.loads(json.dumps(config.model_dump(), allow_nan=False)))
    assert again == config
    return None


@examples(500)
@given(values(NAMES))
@example({"training": 5, "training.steps": 3})
@example({"training": {"steps.more": 3}})
@example({".".join("a" * 5_000): 1})
@example({"training": {"learning_rate": float("inf")}})
@example({"training": {"seed": 10**30}})
@example({"model": {"hidden": 10**12}})
def test_any_json_is_a_config_or_refused(given):
    parsed(as_json(given))


@examples(500)
@given(
    st.sampled_from(sorted(registry.systems())),
    st.dictionaries(st.sampled_from([n for n in NAMES if "." in n]), values(NAMES), max_size=3),
)
def test_any_values_of_known_settings_make_a_config_or_are_refused(system, changes):
    try:
        given = merge({"system": system}, changes)
    except RavelError as error:  # sections within sections
        return one_sentence(error)
    return parsed(given)


def test_settings_within_settings_without_end_are_refused():
    for deep in ({}, []):
        inner: object = deep
        for _ in range(400):
            inner = {"model": inner} if isinstance(deep, dict) else [inner]
        with pytest.raises(RavelError):
            registry.parse({"model": inner})


@examples(250)
@given(mutated(GRID, head=len(GRID)))
@example(b"settings = " + b"[" * 5_000)
@example(GRID + b'columns."model.hidden" = 0x' + b"f" * 5_000)
@example(GRID.replace(b"8\n", b"8\ntraining = 3\n", 1))
@example(GRID.replace(b"[0, 1]", str([*range(5_000)]).encode()))
@example(GRID.replace(b"= 4 }", b"= 0x" + b"f" * 5_000 + b" }"))
@example(GRID.replace(b"[4, 8]", b"[]"))
def test_a_damaged_grid_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(data)
    try:
        grid = grids.read(path)
    except RavelError as error:
        return one_sentence(error)
    tomllib.loads(data.decode())
    assert all(run.config.system == grid.system for run in grid.runs())
    return None


def test_a_grid_of_more_runs_than_anyone_trains_is_refused(tmp_path):
    path = tmp_path / "huge.toml"
    names = ("steps", "batch_size", "validate_every", "checkpoint_every", "log_every")
    axes = ", ".join(f'"training.{name}" = {[*range(1, 101)]}' for name in names)
    path.write_text(GRID.decode().replace('"model.z_size" = [4, 8]', axes))
    with pytest.raises(RavelError, match="40,000,000,000 runs, and 10,000 is the most"):
        grids.read(path)
