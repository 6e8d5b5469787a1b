"""Swaps of validation clips: who is paired with whom, and what goes into the decoder."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from core.dsae.evaluation import swap_f1 as swaps
from core.dsae.layers import Gaussian
from core.statistics import macro_f1


def test_partners_bear_another_label():
    labels = np.array(["a"] * 5 + ["b"] * 3 + ["c"])
    partners = swaps.other_label(labels, seed=0)
    assert all(labels[i] != labels[j] for i, j in enumerate(partners))
    assert len(set(partners)) > 3


@pytest.mark.parametrize("seed", range(20))
def test_f1_is_sklearns_also_of_labels_that_are_only_expected_or_only_predicted(seed):
    rng = np.random.default_rng(seed)
    expected = np.array(["violin", "flute", "oboe"])[rng.integers(0, 3, 30)]
    predicted = np.array(["flute", "a trumpet", "oboe"])[rng.integers(0, 3, 30)]
    assert macro_f1(expected, predicted) == pytest.approx(
        f1_score(expected, predicted, average="macro")
    )
    weight = rng.integers(0, 3, 30) * (expected != "oboe")
    by_weight = f1_score(
        expected, predicted, average="macro", sample_weight=weight, zero_division=0.0
    )
    assert macro_f1(expected, predicted, weight) == pytest.approx(by_weight)
    rows = rng.integers(0, 30, 12)
    scores = swaps.Predictions(expected, predicted)
    assert scores.f1_of(rows) == pytest.approx(
        f1_score(expected[rows], predicted[rows], average="macro")
    )
    assert scores.f1 == macro_f1(expected, predicted)


def test_v_goes_in_at_its_mean_and_z_as_a_sample_with_the_lengths_of_z():
    """The decoder shows z in the first band, v in the second, and its length in the third."""
    x = torch.arange(3.0)[:, None, None].expand(3, 8, 2)
    lengths = torch.tensor([8, 5, 6])

    def of(mean):
        return Gaussian(mean, torch.full_like(mean, 2 * np.log(0.01)))

    def decode(z, v, lengths):
        ends = lengths[:, None, None].expand(-1, 8, 1)
        return torch.cat([z, v[:, None].expand(-1, 8, 1), ends], dim=-1)

    model = SimpleNamespace(
        global_encoder=lambda x, lengths: of(10 * x[:, 0, :1]),
        local_encoder=lambda x, v, lengths: of(x[..., :1]),
        decoder=decode,
    )
    clips = swaps.LabelledBatch(x, lengths, np.array(["a", "b", "c"]))
    found = swaps.decode_swaps(model, clips, np.array([1, 2, 0]))
    z, v, ends = (found["global"].x[..., i] for i in range(3))
    assert torch.equal(v[:, 0], torch.tensor([10.0, 20.0, 0.0]))  # the partners' means, exactly
    assert 0 < (z - x[..., 0]).abs().max() < 0.1  # their own z, with its spread
    assert ends[:, 0].tolist() == [8, 5, 6] and list(found["global"].labels) == ["b", "c", "a"]
    z, v, ends = (found["local"].x[..., i] for i in range(3))
    assert torch.equal(v[:, 0], torch.tensor([0.0, 10.0, 20.0]))
    assert 0 < (z - x[[1, 2, 0], :, 0]).abs().max() < 0.1
    assert ends[:, 0].tolist() == [5, 6, 8] and list(found["local"].labels) == ["a", "b", "c"]
    v = found["pre"].x[:, 0, 1]
    assert 0 < (v - torch.tensor([0.0, 10.0, 20.0])).abs().max() < 0.1
