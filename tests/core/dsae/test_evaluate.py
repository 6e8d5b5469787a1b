"""The metrics on models whose answers are known: a perfect split, and a collapsed one."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from core import statistics
from core.data.store import Chunk, FeatureStore, StoreWriter
from core.dsae import evaluate
from core.dsae.config import ModelConfig
from core.dsae.model import Gaussian

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


def model_of(of_v, of_z, decode):
    def encode(x, lengths=None):
        q_v = of_v(x)
        return q_v, of_z(x, q_v.mean)

    return SimpleNamespace(
        config=ModelConfig(), global_encoder=of_v, local_encoder=of_z, decoder=decode, encode=encode
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


def test_scores_do_not_depend_on_how_often_they_are_asked_for(store):
    assert evaluate.score(perfect(), store, "instrument") == evaluate.score(
        perfect(), store, "instrument"
    )


def test_partners_bear_another_label():
    labels = np.array(["a"] * 5 + ["b"] * 3 + ["c"])
    partners = evaluate.other_label(labels, seed=0)
    assert all(labels[i] != labels[j] for i, j in enumerate(partners))
    assert len(set(partners)) > 3


def test_f1_over_some_clips_is_sklearns():
    expected, told = np.array(list("aabbc")), np.array(list("abbbc"))
    rows = np.array([0, 1, 3, 4])
    scores = evaluate.Scores(expected, told)
    assert scores.f1_of(rows) == f1_score(expected[rows], told[rows], average="macro")
