"""Swaps of several global factors, on models whose answers are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from core import statistics
from core.data.store import Chunk, FeatureStore, StoreWriter
from core.dsae.card import MEANINGS
from core.dsae.config import DsaeConfig
from core.dsae.evaluation import factors
from core.dsae.layers import Gaussian
from core.dsae.model import Dsae
from core.errors import RavelError

M, T = 80, 20
MELODY, COLOUR, HEIGHT = slice(0, 40), slice(40, 60), slice(60, 80)  # which bands show what
COLOURS = {"Violin": 3.0, "Trumpet": -3.0}
HEIGHTS = {"4": -2.0, "5": 2.0}


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 60)


def sharp(mean):
    return Gaussian(mean, torch.full_like(mean, -40.0))


def model_that_keeps(in_v):
    """v is the means of some bands and z all the others; the decoder puts them together."""
    free = [i for i in range(M) if not any(s.start <= i < s.stop for s in in_v)]

    def of_v(x, lengths=None):
        return sharp(torch.stack([x[..., bands].mean(dim=(1, 2)) for bands in in_v], -1))

    def decode(z, v, lengths=None):
        out = torch.zeros(*z.shape[:2], M)
        out[..., free] = z
        for i, bands in enumerate(in_v):
            out[..., bands] = v[:, None, i : i + 1]
        return out

    return SimpleNamespace(
        config=SimpleNamespace(floor=-40.0),
        global_encoder=of_v,
        local_encoder=lambda x, v, lengths=None: sharp(x[..., free]),
        local=lambda x, q_v, v, lengths=None: sharp(x[..., free]),
        decoder=decode,
    )


def clip(rng, instrument, octave):
    x = rng.standard_normal((T, M))
    x[:, COLOUR] = COLOURS[instrument] + 0.1 * rng.standard_normal()
    x[:, HEIGHT] = HEIGHTS[octave] + 0.1 * rng.standard_normal()
    return x


def stored(folder, rows) -> FeatureStore:
    rng = np.random.default_rng(0)
    writer = StoreWriter(folder, kind="toy", settings={}, chunks=1)
    mels = [clip(rng, row["instrument"], row["octave"]) for row in rows]
    writer.write(0, Chunk(rows, mels))
    return writer.finish()


def rows_of(pairs):
    """Thirty training and ten validation clips of each (instrument, octave)."""
    return [
        {
            "name": f"{split}-{i}-{instrument}-{octave}",
            "split": split,
            "octave": octave,
            "instrument": instrument,
            "scale": "major",
        }
        for split, count in (("train", 30), ("validation", 10))
        for i in range(count)
        for instrument, octave in pairs
    ]


FOUR = [(instrument, octave) for instrument in COLOURS for octave in HEIGHTS]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> FeatureStore:
    return stored(tmp_path_factory.mktemp("stores") / "toy", rows_of(FOUR))


def values(model, store, **options):
    found = factors.factor_swaps(model, store, **options)
    return {name: score["value"] for name, score in found.items()}


def test_a_model_with_both_factors_in_v_is_recognised_in_every_swap(store):
    found = values(model_that_keeps([COLOUR, HEIGHT]), store)
    assert len(found) == 4 * 3  # nothing, one, other, both; the score of one, of the other, of both
    assert set(found.values()) == {1.0}


def test_a_factor_that_travels_with_z_stays_the_sources(store):
    """v holds the instrument alone, and yet knows a little of the octave: it leaks, as v does."""
    model = model_that_keeps([COLOUR])
    split = model.global_encoder

    def leaky(x, lengths=None):
        height = x[..., HEIGHT].mean(dim=(1, 2))
        return sharp(torch.cat([split(x).mean, 1e-3 * height[:, None]], -1))

    decode = model.decoder
    model.global_encoder = leaky
    model.decoder = lambda z, v, lengths=None: decode(z, v[:, :1], lengths)
    found = values(model, store)
    assert found["swap_instrument_told_instrument"] == 1.0
    assert found["swap_instrument_told_octave"] == 1.0  # the same in source and target
    assert found["swap_octave_told_octave"] == 0.0
    assert found["swap_octave_told_instrument"] == 1.0
    assert found["swap_instrument_and_octave_told_instrument"] == 1.0
    assert found["swap_instrument_and_octave_told_octave"] == 0.0
    assert found["swap_instrument_and_octave_told_all"] == 0.0
    assert found["rebuilt_told_all"] == 1.0


def test_only_the_factors_that_vary_are_swapped(store):
    assert factors.global_factors(store) == ["instrument", "octave"]
    found = values(model_that_keeps([COLOUR, HEIGHT]), store, factors=["octave"])
    assert set(found) == {"rebuilt_told_octave", "swap_octave_told_octave"}


def test_targets_differ_in_the_chosen_factors_and_in_no_other(store):
    rows = store.indices("validation")
    labels = {name: store.labels[name][rows] for name in ("instrument", "octave")}
    for moved in (["instrument"], ["octave"], ["instrument", "octave"]):
        source, target = factors.partners(labels, moved)
        assert len(source) == len(rows)
        assert len(set(target)) > 10
        for name, column in labels.items():
            assert ((column[source] != column[target]) == (name in moved)).all()


def test_a_swap_that_no_target_allows_is_left_out(tmp_path):
    """Violins are in octave 4 and trumpets in octave 5: the two factors move only together."""
    store = stored(tmp_path / "toy", rows_of([("Violin", "4"), ("Trumpet", "5")]))
    found = values(model_that_keeps([COLOUR, HEIGHT]), store)
    assert {name.split("_told_")[0] for name in found} == {
        "rebuilt",
        "swap_instrument_and_octave",
    }


def test_a_store_with_one_label_is_refused(tmp_path):
    store = stored(tmp_path / "toy", rows_of([("Violin", "4")]))
    with pytest.raises(RavelError, match="no global factor that varies"):
        factors.factor_swaps(model_that_keeps([COLOUR]), store)
    with pytest.raises(RavelError, match="one octave"):
        factors.factor_swaps(model_that_keeps([COLOUR]), store, factors=["octave"])
    with pytest.raises(RavelError, match="no label column 'tempo'"):
        factors.factor_swaps(model_that_keeps([COLOUR]), store, factors=["tempo"])


def test_the_scores_of_a_real_network_are_those_of_swapping_by_hand(store):
    """With the noise of z taken away, a plain loop over the clips gives the same share."""
    torch.manual_seed(0)
    model = Dsae(DsaeConfig.parse({"model": {"hidden": 16, "z_size": 8}}).model).eval()
    with torch.no_grad():
        model.local_encoder.head.logvar.weight.zero_()
        model.local_encoder.head.logvar.bias.fill_(-60.0)
    rows, train = store.indices("validation"), store.indices("train")
    labels = {name: store.labels[name][rows] for name in ("instrument", "octave")}
    x = torch.from_numpy(store.log_mel[rows]).float()
    with torch.no_grad():
        learnt = model.global_encoder(torch.from_numpy(store.log_mel[train]).float()).mean
        lda = LinearDiscriminantAnalysis().fit(learnt.numpy(), store.labels["octave"][train])
        hits = []
        for i, j in zip(*factors.partners(labels, ["octave"]), strict=True):
            v = model.global_encoder(x[j : j + 1]).mean
            z = model.encode(x[i : i + 1])[1].mean
            again = model.global_encoder(model.decoder(z, v)).mean
            hits.append(lda.predict(again.numpy())[0] == labels["octave"][j])
    found = values(model, store)
    assert found["swap_octave_told_octave"] == pytest.approx(np.mean(hits), abs=1e-4)


def test_every_score_has_its_words(store):
    torch.manual_seed(0)
    model = Dsae(DsaeConfig.parse({"model": {"hidden": 8}}).model).eval()
    names = factors.factor_swaps(model, store, factors=["instrument", "octave"])
    assert len({MEANINGS[name] for name in names}) == len(names) == 12
    assert MEANINGS["swap_instrument_and_octave_told_octave"] == (
        "swaps to another instrument and octave recognised as the target in octave"
    )
