"""The metrics on models whose answers are known: a perfect split, and a collapsed one."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core import statistics
from core.data.store import Chunk, FeatureStore, StoreWriter
from core.dsae.card import MEANINGS
from core.dsae.config import ModelConfig
from core.dsae.evaluation import scores as evaluate
from core.dsae.evaluation import swap_f1 as swaps
from core.dsae.evaluation.classifier import Classifier
from core.dsae.layers import Gaussian
from core.errors import RavelError

M, T, HALF = 80, 30, 40  # the lower bands show the melody, the upper ones the instrument
COLOURS = {"Trumpet": -3.0, "Violin": 3.0}


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 60)


def sharp(mean):
    return Gaussian(mean, torch.full_like(mean, -40.0))


def perfect():
    """v is the mean of the upper bands, z the lower bands, and the decoder puts them together."""

    def of_v(x, lengths=None):
        return sharp(x[..., HALF:].mean(dim=(1, 2))[:, None])

    def of_z(x, v, lengths=None):
        return sharp(x[..., :HALF])

    def decode(z, v, lengths=None):
        return torch.cat([z, v[:, None].expand(-1, z.shape[1], M - HALF)], dim=-1)

    return model_of(of_v, of_z, decode)


def collapsed():
    """z carries everything and the decoder ignores v, which is barely more than noise."""
    split = perfect()

    def of_v(x, lengths=None):
        mean = 1e-3 * split.global_encoder(x).mean
        return Gaussian(mean, torch.zeros_like(mean))

    return model_of(of_v, lambda x, v, lengths=None: sharp(x), lambda z, v, lengths=None: z)


def constant():
    """v is the same for every clip, to the last digit."""

    def of_v(x, lengths=None):
        return Gaussian(torch.zeros(len(x), 1), torch.zeros(len(x), 1))

    return model_of(of_v, lambda x, v, lengths=None: sharp(x), lambda z, v, lengths=None: z)


def model_of(of_v, of_z, decode):
    def encode(x, lengths=None):
        q_v = of_v(x)
        return q_v, of_z(x, q_v.mean)

    return SimpleNamespace(
        config=ModelConfig(),
        global_encoder=of_v,
        local_encoder=of_z,
        local=lambda x, q_v, v, lengths=None: of_z(x, v),
        decoder=decode,
        encode=encode,
        prior=lambda z: Gaussian(torch.zeros_like(z), torch.zeros_like(z)),
    )


def clip(melody: int, instrument: str) -> np.ndarray:
    rng = np.random.default_rng(melody)
    upper = COLOURS[instrument] + 0.1 * rng.standard_normal((1, 1))
    return np.hstack([rng.standard_normal((T, HALF)), np.broadcast_to(upper, (T, M - HALF))])


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> FeatureStore:
    rows, mels = [], []
    other = {"Violin": "Trumpet", "Trumpet": "Violin"}
    for split, melodies in (("train", range(40)), ("validation", range(40, 60))):
        for melody in melodies:
            instrument = list(COLOURS)[melody % 2]
            rows.append(row(split, melody, instrument))
            mels.append(clip(melody, instrument))
    for melody in range(40, 60):
        rows.append(row("counterfactual", melody, other[list(COLOURS)[melody % 2]]))
        mels.append(clip(melody, rows[-1]["instrument"]))
    folder = tmp_path_factory.mktemp("store") / "toy"
    writer = StoreWriter(folder, kind="toy", settings={}, chunks=1)
    writer.write(0, Chunk(rows, mels))
    return writer.finish()


def row(split, melody, instrument):
    return {
        "name": f"{split}-{melody}",
        "split": split,
        "melody": str(melody),
        "instrument": instrument,
    }


def test_a_perfect_split_scores_one_before_and_after_every_swap(store):
    scores = evaluate.score(perfect(), store, "instrument")
    assert [scores[f"f1_{k}"]["value"] for k in ("pre", "global", "local")] == [1.0, 1.0, 1.0]
    assert scores["counterfactual_error"]["value"] < 0.05
    assert scores["counterfactual_closer"]["value"] == 1.0
    assert scores["clips"] == 20
    assert scores["active_v"] == 1


def test_a_collapsed_model_scores_zero_after_swaps_not_a_half(store):
    """The instrument travels with z, so the answer is always the other one."""
    scores = evaluate.score(collapsed(), store, "instrument")
    assert scores["f1_pre"]["value"] == 1.0
    assert scores["f1_global"]["value"] == 0.0
    assert scores["f1_local"]["value"] == 0.0
    assert scores["counterfactual_error"]["value"] == pytest.approx(18.0, rel=0.05)  # 6^2 / 2
    assert scores["counterfactual_closer"]["value"] == 0.0
    assert scores["active_v"] == 0


def test_scores_do_not_change_when_they_are_computed_again(store):
    assert evaluate.score(perfect(), store, "instrument") == evaluate.score(
        perfect(), store, "instrument"
    )


def test_a_v_that_never_changes_is_scored_as_a_guess(store):
    scores = evaluate.score(constant(), store, "instrument")
    for kind in ("pre", "global", "local"):
        assert scores[f"f1_{kind}"]["value"] == pytest.approx(1 / 3, abs=1e-3)
    assert scores["active_v"] == 0


@pytest.fixture(scope="module")
def judges(store):
    return evaluate.make_classifiers(store, "instrument")


def test_an_independent_classifier_scores_a_perfect_and_a_collapsed_model(store, judges):
    split, fallen = (
        evaluate.score(model, store, "instrument", judges=judges)
        for model in (perfect(), collapsed())
    )
    for kind in ("original", "pre", "global", "local"):
        assert split[f"judge_{kind}"]["value"] == 1.0
    assert [fallen[f"judge_{k}"]["value"] for k in ("original", "pre")] == [1.0, 1.0]
    assert [fallen[f"judge_{k}"]["value"] for k in ("global", "local")] == [0.0, 0.0]


def test_the_instrument_leaks_into_z_only_where_it_is(store):
    split, fallen = (evaluate.score(m, store, "instrument") for m in (perfect(), collapsed()))
    assert split["leak_z"]["value"] < 0.85 < fallen["leak_z"]["value"] == 1.0


def test_kl_by_dimension_is_the_closed_form_and_adds_up(store):
    scores = evaluate.score(perfect(), store, "instrument")
    validation = store.log_mel[store.indices("validation")].astype("float64")
    # KL(N(m, e^-40) || N(0, 1)) = (m^2 + e^-40 - 1 + 40) / 2
    v = validation[..., HALF:].mean((1, 2))
    assert scores["kl_v_dimensions"] == pytest.approx([(v**2).mean() / 2 + 19.5], abs=1e-3)
    z = validation[..., :HALF]
    assert scores["kl_z_dimensions"] == pytest.approx((z**2).mean((0, 1)) / 2 + 19.5, abs=1e-2)
    assert scores["kl_z"] == pytest.approx(sum(scores["kl_z_dimensions"]), abs=0.01)


def test_kl_of_z_is_of_a_clips_own_frames():
    x = torch.ones(2, T, M)
    x[1, 10:] = 50.0  # what pads a shorter clip
    clips = swaps.LabelledBatch(x, torch.tensor([T, 10]), np.array(["a", "b"]))
    assert evaluate.local_kl(perfect(), clips) == pytest.approx(np.full(HALF, 20.0))


def test_every_global_factor_that_varies_is_swapped(tmp_path):
    """Here v follows the octave: an octave's clips differ in the lowest band, which v has not."""
    rows, mels = [], []
    for i in range(48):
        instrument, octave = list(COLOURS)[i % 2], str(4 + (i // 2) % 2)
        split = "train" if i < 32 else "validation"
        rows.append(row(split, i, instrument) | {"octave": octave, "tonic": "C"})
        mels.append(clip(i, instrument))
        mels[-1][:, 0] += 20 * (octave == "5")
    writer = StoreWriter(tmp_path / "toy", kind="toy", settings={}, chunks=1)
    writer.write(0, Chunk(rows, mels))
    scores = evaluate.score(perfect(), writer.finish(), "instrument")
    assert scores["f1_global"]["value"] == 1.0
    assert scores["f1_global_octave"]["value"] < 0.8
    assert scores["leak_z_octave"]["value"] == 1.0
    assert not any("tonic" in name for name in scores)


def test_a_store_that_cannot_be_scored_is_named_with_what_it_lacks(store, tmp_path):
    with pytest.raises(RavelError, match="no label column 'player'"):
        evaluate.score(perfect(), store, "player")
    writer = StoreWriter(tmp_path / "toy", kind="toy", settings={}, chunks=1)
    writer.write(0, Chunk([row("train", 1, "Violin")], [clip(1, "Violin")]))
    with pytest.raises(RavelError, match="1 training and 0 validation clips"):
        evaluate.score(perfect(), writer.finish(), "instrument")


def test_a_classifier_recognises_octaves_whose_labels_are_digits(store):
    """scikit-learn's balanced forest takes no such labels as they are."""
    rows = store.indices("train")
    clips = [store.log_mel[row].astype(np.float32) for row in rows]
    octaves = ["4" if name == "Violin" else "5" for name in store.labels["instrument"][rows]]
    assert Classifier(clips, octaves).predict(clips, ["5", "4"]).tolist() == octaves


def test_every_figure_has_a_meaning(store, judges):
    scores = evaluate.score(perfect(), store, "instrument", judges=judges)
    assert set(scores) <= set(MEANINGS)
    assert len(set(MEANINGS.values())) == len(MEANINGS)  # the lab's table keys its rows by them
