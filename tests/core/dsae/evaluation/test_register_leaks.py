import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_score

from core.dsae.evaluation.register_leaks import instrument_in_z, register_in_v


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


def latents(leak: float, seed: int = 0) -> tuple[np.ndarray, ...]:
    """z that follows the pitch, and by `leak` the instrument; flutes play higher than oboes."""
    rng = np.random.default_rng(seed)
    names = np.repeat(["flute", "oboe"], 12)
    recordings = np.array([f"{name}-{i % 4}" for i, name in enumerate(names)])
    centre = np.where(names == "flute", 66, 62)[:, None]
    midi = centre + rng.integers(-4, 5, (24, 60)).astype(float)
    z = rng.normal(size=(24, 60, 6))
    z[..., 0] = midi
    z[..., 1] += leak * np.where(names == "flute", 1, -1)[:, None]
    return z, midi, names, recordings


def test_pitch_alone_is_of_no_use_to_the_probe_though_the_registers_differ():
    z, midi, names, recordings = latents(0.0)
    found = instrument_in_z(z, midi, names, recordings)
    assert found["value"] == pytest.approx(0.5, abs=0.06)
    free = cross_val_score(LogisticRegression(), z[:, :30].reshape(-1, 6), np.repeat(names, 30))
    assert free.mean() > 0.65  # where pitch is not matched it tells a good deal


def test_a_leak_is_found_as_well_as_theory_says():
    z, midi, names, recordings = latents(1.0)
    found = instrument_in_z(z, midi, names, recordings)
    assert found["value"] == pytest.approx(norm.cdf(1.0), abs=0.04)  # two normals, 2 apart
    assert found["low"] < found["value"] < found["high"]


def test_what_marks_a_recording_alone_is_no_leak():
    z, midi, names, recordings = latents(0.0)
    mark = np.unique(recordings, return_inverse=True)[1]
    z[..., 2:] += 3 * np.random.default_rng(5).normal(size=(mark.max() + 1, 4))[mark][:, None]
    assert instrument_in_z(z, midi, names, recordings)["value"] < 0.75


def test_without_a_shared_semitone_there_is_no_figure():
    z, midi, names, recordings = latents(1.0)
    midi[names == "flute"] += 24
    assert instrument_in_z(z, midi, names, recordings) == {}
