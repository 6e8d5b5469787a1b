"""Linear probes on latents whose content is known."""

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from core import statistics
from core.data.store import FeatureStore
from core.dsae.config import DsaeConfig
from core.dsae.evaluation import probes as leak
from core.dsae.evaluation.swap_f1 import LabelledBatch
from core.dsae.model import Dsae


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 60)


def rng():
    return np.random.default_rng(0)


def test_a_label_that_shifts_the_mean_is_found_and_one_that_is_not_there_is_guessed():
    noise, labels = rng().standard_normal((400, 8)), np.array(["a", "b"] * 200)
    shifted = noise + 8.0 * (labels == "a")[:, None]
    split = slice(300), slice(300, None)
    for z, expected in ((shifted, 1.0), (noise, 0.5)):
        found = leak.label_in(z[split[0]], labels[split[0]], z[split[1]], labels[split[1]])
        assert found["value"] == pytest.approx(expected, abs=0.13)
        assert found["low"] <= found["value"] <= found["high"]


def test_notes_that_v_holds_are_found_and_others_are_not():
    notes = rng().integers(60, 72, (400, 12)).astype(float)
    holds = notes @ rng().standard_normal((12, 16)) + 0.01 * rng().standard_normal((400, 16))
    empty = rng().standard_normal((400, 16))
    probed, guessed = (
        leak.notes_in_v(v[:300], notes[:300], v[300:], notes[300:])["value"] for v in (holds, empty)
    )
    assert probed > 0.99
    assert abs(guessed) < 0.1


def test_what_is_explained_is_sklearns_share_of_the_variance():
    truth, error = rng().standard_normal((60, 5)) * np.arange(1, 6), rng().standard_normal((60, 5))
    found = leak.explained(truth, truth + error, truth.mean(0))["value"]
    expected = r2_score(truth, truth + error, multioutput="variance_weighted")
    assert found == pytest.approx(expected, abs=1e-4)
    assert leak.explained(np.ones((4, 2)), np.ones((4, 2)), np.ones(2)) == {}  # nothing varies


def test_a_labels_own_register_is_no_leak_of_pitch():
    labels = np.array(["cello", "flute"] * 100)
    register = np.where(labels == "cello", 7.0, 9.0)
    noise = rng().standard_normal((4, 200))
    v = np.stack([register, *noise[:3]], axis=1)
    pitch = register + 0.3 * noise[3]
    assert leak.pitch_in_v(v, pitch, labels)["value"] < 0.1
    v[:, 1] = pitch - register
    assert leak.pitch_in_v(v, pitch, labels)["value"] > 0.99


def test_z_is_averaged_over_a_clips_own_frames():
    torch.manual_seed(0)
    model = Dsae(DsaeConfig.parse({"model": {"hidden": 8, "z_size": 4}}).model)
    x = torch.randn(3, 20, 80)
    lengths = torch.tensor([20, 7, 12])
    found = leak.time_averages(model, LabelledBatch(x, lengths, np.array(list("abc"))))
    for i, length in enumerate(lengths):
        alone = model.encode(x[i : i + 1, :length])
        assert found.v[i] == pytest.approx(alone[0].mean[0].detach().numpy(), abs=1e-5)
        assert found.z[i] == pytest.approx(alone[1].mean[0].mean(0).detach().numpy(), abs=1e-5)


def test_the_notes_are_those_of_the_store_within_an_octave(melodies):
    store = FeatureStore.open(melodies)
    notes = leak.notes_of(store, np.array([0, 5]))
    assert notes.shape == (2, 12)
    assert set(notes[0]) <= {60 + step for step in (0, 2, 4, 5, 7, 9, 11, 12, 14)}


def test_a_probe_across_one_set_never_trains_on_the_clips_it_predicts():
    """A label that is in the features is found; of noise nothing is, though a fit would find it."""
    rng = np.random.default_rng(0)
    labels = np.array(["violin", "trumpet"] * 30)
    shown = rng.normal(size=(60, 40))
    assert leak.label_across(shown, labels)["value"] < 0.7
    shown[:, 7] += 8.0 * (labels == "violin")
    assert leak.label_across(shown, labels)["value"] > 0.9


def test_a_probe_is_never_fitted_on_the_group_it_predicts():
    """Features that name the piece tell the instrument only as far as pieces were seen before."""
    rng = np.random.default_rng(1)
    pieces = np.repeat(np.arange(10), 8)
    labels = np.where(pieces % 2, "violin", "trumpet")
    features = np.eye(10)[pieces] + 0.01 * rng.normal(size=(80, 10))
    assert leak.label_across(features, labels)["value"] == 1.0
    assert leak.label_across(features, labels, pieces)["value"] < 0.7


def test_too_few_clips_of_a_label_tell_nothing():
    assert leak.label_across(np.zeros((9, 2)), np.array(["violin"] * 5 + ["trumpet"] * 4)) == {}


def test_the_equal_error_rate_is_none_for_labels_apart_and_chance_for_noise():
    draw = np.random.default_rng(0)
    labels = np.array(["violin", "trumpet"] * 40)
    apart = np.where(labels[:, None] == "violin", [[1.0, 0.0]], [[0.0, 1.0]])
    found = leak.equal_error_rate(apart + 0.01 * draw.normal(size=(80, 2)), labels)
    assert found["value"] == 0
    chance = leak.equal_error_rate(draw.normal(size=(80, 8)), labels)
    assert 0.4 < chance["low"] <= chance["value"] <= chance["high"] < 0.6
    assert leak.equal_error_rate(apart, np.full(80, "violin")) == {}


def test_the_equal_error_rate_is_where_both_kinds_of_error_are_as_many():
    draw = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], 20)
    features = np.eye(3)[labels] + 0.5 * draw.normal(size=(60, 3))
    found = leak.equal_error_rate(features, labels)["value"]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    one, other = np.triu_indices(60, 1)
    cosine, same = (unit[one] * unit[other]).sum(1), labels[one] == labels[other]
    errors = [((cosine[~same] >= t).mean(), (cosine[same] < t).mean()) for t in np.unique(cosine)]
    accepted, missed = min(errors, key=lambda pair: abs(pair[0] - pair[1]))
    assert found == pytest.approx((accepted + missed) / 2, abs=0.01)
