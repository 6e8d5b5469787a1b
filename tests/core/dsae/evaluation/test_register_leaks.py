import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

from core.dsae.evaluation.register_leaks import register_in_v


def test_a_v_that_holds_the_register_explains_it_and_noise_does_not() -> None:
    rng = np.random.default_rng(0)
    register = rng.uniform(50, 80, 60)
    v = rng.normal(size=(60, 8))
    holding = v.copy()
    holding[:, 3] += register
    names = np.array(["flute"] * 60)
    assert register_in_v(holding, register, names)["flute"]["value"] > 0.9
    assert register_in_v(v, register, names)["flute"]["value"] < 0.1


def test_the_figure_is_scikit_learns_r2_of_held_out_predictions() -> None:
    rng = np.random.default_rng(1)
    v, noise = rng.normal(size=(50, 6)), rng.normal(size=50)
    register = 60 + 3 * v[:, 0] + noise
    predicted = np.empty(50)
    for train, test in KFold(5, shuffle=True, random_state=0).split(v):
        mean, spread = v[train].mean(0), v[train].std(0)
        model = Ridge(1.0).fit((v[train] - mean) / spread, register[train])
        predicted[test] = model.predict((v[test] - mean) / spread)
    found = register_in_v(v, register, np.array(["flute"] * 50))["flute"]
    assert found["value"] == pytest.approx(r2_score(register, predicted), abs=0.02)
    assert found["low"] < found["value"] < found["high"]


def test_it_looks_within_each_instrument() -> None:
    """Where v knows the instrument alone, the registers of the two tell nothing about a clip."""
    rng = np.random.default_rng(2)
    names = np.repeat(["flute", "tuba"], 40)
    register = np.where(names == "flute", 80, 40) + rng.normal(size=80)
    v = np.where(names == "flute", 1.0, -1.0)[:, None] + rng.normal(0, 0.1, (80, 4))
    assert all(one["value"] < 0.1 for one in register_in_v(v, register, names).values())


def test_an_instrument_with_few_clips_is_left_out() -> None:
    names = np.array(["flute"] * 12 + ["tuba"] * 9)
    rng = np.random.default_rng(3)
    assert list(register_in_v(rng.normal(size=(21, 3)), rng.normal(size=21), names)) == ["flute"]
