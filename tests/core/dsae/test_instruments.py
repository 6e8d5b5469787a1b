"""The instruments that a checkpoint knows: learnt from a store, kept in a file, ranked by a v."""

import json
import shutil

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from core.checkpoints.checkpoint import find, list_checkpoints
from core.data.store import FeatureStore
from core.dsae import latents
from core.dsae.instruments import (
    FILE,
    InstrumentTable,
    compute_instruments,
    instrument_name,
    read_instruments,
    write_instruments,
)
from core.errors import RavelError


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Points of three classes with one covariance, that partly overlap."""
    rng = np.random.default_rng(0)
    root, centres = rng.normal(size=(4, 4)), 2 * rng.normal(size=(3, 4))
    labels = np.repeat([0, 1, 2], 200)
    return centres[labels] + rng.normal(size=(600, 4)) @ root, labels


@pytest.fixture(scope="module")
def three(drawn) -> InstrumentTable:
    x, labels = drawn
    means = np.stack([x[labels == i].mean(0) for i in range(3)])
    within = np.mean([np.cov(x[labels == i].T, bias=True) for i in range(3)], axis=0)
    return InstrumentTable(("cello", "flute", "horn"), means, within, (200,) * 3, "drawn")


@pytest.fixture
def checkpoint(untrained, tmp_path):
    """A checkpoint of one's own."""
    return find(shutil.copytree(untrained, tmp_path / "mine"))


def test_likeness_is_what_linear_discriminant_analysis_says(drawn, three):
    x, labels = drawn
    judge = LinearDiscriminantAnalysis(solver="lsqr", priors=np.full(3, 1 / 3)).fit(x, labels)
    expected = judge.predict_proba(x[:40])
    for v, shares in zip(x[:40], expected, strict=True):
        likeness = three.likeness(v)
        assert [one.share for one in likeness] == sorted((o.share for o in likeness), reverse=True)
        found = dict(likeness)
        ours = [found[name] for name in three.names]
        np.testing.assert_allclose(ours, shares, atol=2e-3)


def test_the_plane_keeps_apart_what_lies_apart_and_in_its_units_classes_spread_alike(drawn, three):
    x, labels = drawn
    means, places = three.plane(x)
    assert means.shape == (3, 2) and places.shape == (600, 2)
    for i in range(3):
        inside = places[labels == i]
        np.testing.assert_allclose(inside.mean(0), means[i], atol=1e-6)
        np.testing.assert_allclose(inside.std(0), 1, atol=0.2)
    # Three means lie in a plane, so in it their distances are whole.
    away = three._whitened(three.means)
    for i, j in ((0, 1), (1, 2), (0, 2)):
        whole = np.linalg.norm(away[i] - away[j])
        assert np.linalg.norm(means[i] - means[j]) == pytest.approx(whole, rel=1e-6)


def test_instruments_are_learnt_from_a_store_and_survive_the_file(checkpoint, melodies):
    model, store = latents.load(checkpoint.path), FeatureStore.open(melodies)
    found = compute_instruments(model, store)
    write_instruments(checkpoint, found)
    again = read_instruments(checkpoint)
    assert again.names == ("trumpet", "violin") and again.store == "dmelodies"

    rows = store.indices("train")
    violins = [row for row in rows if store.labels["instrument"][row] == "Violin"]
    v = [model.encode(store.log_mel[row][: store.lengths[row]].astype("f4")).v for row in violins]
    np.testing.assert_allclose(again.mean("Violin"), np.mean(np.stack(v), axis=0), atol=1e-4)
    assert again.clips == (len(rows) - len(violins), len(violins))


def test_names_are_found_however_they_are_written(three):
    assert np.array_equal(three.mean(" FLUTE"), three.means[1])
    assert (
        instrument_name("Tenor-Saxophone")
        == instrument_name("tenor_saxophone")
        == "tenor saxophone"
    )
    with pytest.raises(RavelError, match=r"'kazoo'.*cello, flute, horn"):
        three.mean("kazoo")


def test_a_checkpoint_without_a_table_has_no_instruments(checkpoint):
    assert read_instruments(checkpoint) is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"store": "s", "within": [[1]], "instruments": {}}',
        '{"store": "s", "within": [[1]], "instruments": {"a": {"clips": 1, "v": [1]}}}',
        '{"store": "s", "within": "x", "instruments": {"a": {"clips": 1, "v": [NaN]}}}',
    ],
)
def test_a_damaged_file_says_so(checkpoint, text):
    (checkpoint.path / FILE).write_text(text)
    with pytest.raises(RavelError, match=r"damaged instruments\.json"):
        read_instruments(checkpoint)


def test_a_store_without_the_label_is_refused(checkpoint, melodies):
    with pytest.raises(RavelError, match="no training clips with the label 'singer'"):
        compute_instruments(latents.load(checkpoint.path), FeatureStore.open(melodies), "singer")


def test_clips_can_be_chosen_by_a_label(checkpoint, melodies):
    model, store = latents.load(checkpoint.path), FeatureStore.open(melodies)
    scale = str(store.labels["scale"][store.indices("train")][0])
    found = compute_instruments(model, store, where=("scale", scale))
    rows = store.indices("train")
    rows = rows[store.labels["scale"][rows] == scale]
    for name, mean, count in zip(found.names, found.means, found.clips, strict=True):
        own = [row for row in rows if instrument_name(store.labels["instrument"][row]) == name]
        v = [model.encode(store.log_mel[row].astype("float32")).v.numpy() for row in own]
        np.testing.assert_allclose(mean, np.mean(v, axis=0), atol=1e-5)
        assert count == len(own)
    with pytest.raises(RavelError, match="no label column called 'key': there are"):
        compute_instruments(model, store, where=("key", "C"))
    with pytest.raises(RavelError, match="has scale 'blues', but"):
        compute_instruments(model, store, where=("scale", "blues"))


@pytest.mark.parametrize("checkpoint", list_checkpoints("dsae"), ids=lambda c: c.name)
def test_what_ships_knows_its_instruments_if_any(checkpoint):
    found = read_instruments(checkpoint)
    if found is None:
        pytest.skip(f"{checkpoint.name} has no instrument table")
    for name, mean in zip(found.names, found.means, strict=True):
        assert found.likeness(mean)[0].name == name
    assert json.loads((checkpoint.path / FILE).read_text())["store"] == found.store
