"""What separators are scored by, on channels whose answers are known."""

import itertools
import math

import numpy as np
import pytest
import torch

from core import statistics
from core.separation import objective
from core.separation.evaluate import (
    Figures,
    active_channels,
    align,
    figures,
    joined,
    momi,
    summary,
)

S = 4000


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 60)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def measured(references, channels):
    return figures(references.sum(dim=1), references, channels)


def test_perfect_channels_in_any_order_and_at_any_level_score_the_bound():
    references = noise(5, 3, S)
    found = measured(references, 0.5 * references[:, [2, 0, 1]])
    assert (found.si_snr > 79).all() and (found.si_snri > 79).all()
    assert found.sources.tolist() == found.active.tolist() == found.counted.tolist() == [3] * 5


@pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 4), (4, 2)])
def test_the_mixture_as_every_channel_gains_exactly_nothing(n, m):
    references = noise(5, n, S) * torch.logspace(0, 1, n)[:, None]
    found = measured(references, references.sum(dim=1, keepdim=True).expand(-1, m, -1))
    assert found.si_snri.tolist() == [0.0] * 5
    assert found.momi.tolist() == [0.0] * 5


def test_the_untouched_half_of_a_known_leak_is_its_level():
    """A tenth of the other source's amplitude is left: 20 dB, from 0 dB in the mixture."""
    references = torch.linalg.qr(noise(S, 2))[0].T[None]  # orthogonal, of one power
    leak = torch.tensor([[1.0, 0.1], [0.1, 1.0]])
    found = measured(references, leak @ references)
    assert float(found.si_snr) == pytest.approx(20.0, abs=1e-3)
    assert float(found.si_snri) == pytest.approx(20.0, abs=1e-3)


@pytest.mark.parametrize(("m", "n"), [(3, 3), (5, 3), (4, 1)])
def test_alignment_is_the_best_of_all_ways_to_pick_channels(m, n):
    for seed in range(10):
        pairs = noise(m, n, seed=seed)
        best = max(
            itertools.permutations(range(m), n),
            key=lambda way: sum(float(pairs[channel, i]) for i, channel in enumerate(way)),
        )
        assert align(pairs).tolist() == list(best)


def test_with_more_sources_than_channels_each_has_the_channel_best_for_it():
    pairs = torch.tensor([[5.0, 1.0, 2.0], [4.0, 3.0, 0.0]])
    assert align(pairs).tolist() == [0, 1, 0]
    references = noise(1, 3, S)
    channels = torch.stack([references[:, 0] + references[:, 2], references[:, 1]], dim=1)
    found = measured(references, channels)
    assert found.counted.tolist() == [3]
    expected = objective.si_snr(channels[:, [0, 1, 0]], references).mean()
    assert float(found.si_snr) == pytest.approx(float(expected), abs=1e-3)


def test_absent_sources_neither_count_nor_take_a_channel():
    references = noise(3, 4, S)
    references[:, 1] = references[:, 3] = 0
    found = measured(references, references[:, [2, 0, 1, 3]])
    assert found.sources.tolist() == found.active.tolist() == found.counted.tolist() == [2] * 3
    assert (found.si_snr > 79).all()


def test_a_channel_20_db_below_the_quietest_source_holds_nothing():
    references = noise(1, 2, S)
    mixture = references.sum(dim=1, keepdim=True)
    for level, active in ((0.09, 1), (0.11, 2)):
        channels = torch.cat([references[:, :1], level * references[:, 1:]], dim=1)
        assert measured(references, channels).active.tolist() == [active]
    found = measured(references, torch.cat([mixture, 0 * mixture], dim=1))
    assert found.counted.tolist() == [1]  # what was left whole gained nothing; silence is left out
    assert found.si_snri.tolist() == found.momi.tolist() == [0.0]


def test_channels_are_active_down_to_20_db_below_the_mixture():
    wave = noise(1, S)
    mixture = wave.square().mean().sqrt()
    for level, expected in ((-19.9, True), (-20.1, False)):
        quiet = 10 ** (level / 20) * mixture * torch.sin(torch.arange(S) / 3) * math.sqrt(2)
        found = active_channels(torch.stack([wave[0] - quiet, quiet]))
        assert found.tolist() == [True, expected]
    both = torch.stack([noise(2, 3, S), torch.zeros(2, 3, S)])
    assert active_channels(both).sum(dim=-1).tolist() == [[3, 3], [0, 0]]
    apart = torch.stack([wave[0], 0.5 * wave[0]])
    assert active_channels(apart, 100 * wave[0]).tolist() == [False, False]


def test_one_source_is_scored_by_how_much_of_it_one_channel_keeps():
    source = torch.linalg.qr(noise(S, 2))[0].T
    split = torch.stack([source[0] + 0.1 * source[1], 0.05 * source[1]])[None]
    found = figures(source[None, 0], source[None, :1], split)
    assert float(found.si_snr) == pytest.approx(20.0, abs=1e-3)
    assert found.sources.tolist() == [1] and found.active.tolist() == [1]


def test_momi_adds_channels_up_to_the_clips_they_are_of():
    references = noise(4, 2, S)
    halves = torch.cat([references / 2, references / 2], dim=1)
    assignment = objective.assign(references, halves)
    assert (momi(references, halves, assignment) > 70).all()
    assert (measured(references, halves).momi > 70).all()
    assert (measured(references, halves).si_snr > 70).all()


def test_momi_of_a_mixture_left_whole_is_nothing():
    references = noise(4, 2, S)
    whole = torch.stack([references.sum(dim=1), torch.zeros(4, S)], dim=1)
    assert momi(references, whole, torch.tensor([[0, 1]] * 4)).tolist() == [0.0] * 4


BROKEN = {
    "a silent channel": lambda r, c: (r, c * torch.tensor([1.0, 0.0, 1.0])[:, None]),
    "silent channels": lambda r, c: (r, 0 * c),
    "a silent reference": lambda r, c: (r * torch.tensor([1.0, 0.0])[:, None], c),
    "silence": lambda r, c: (0 * r, 0 * c),
    "sound from silence": lambda r, c: (0 * r, c),
    "no samples": lambda r, c: (r[..., :0], c[..., :0]),
    "NaN in a channel": lambda r, c: (r, c.index_fill(2, torch.tensor([5]), math.nan)),
    "an infinite reference": lambda r, c: (r.index_fill(2, torch.tensor([5]), math.inf), c),
}


@pytest.mark.parametrize("how", BROKEN)
def test_nothing_that_comes_in_makes_a_figure_that_is_no_number(how):
    references, channels = BROKEN[how](noise(3, 2, S), noise(3, 3, S, seed=1))
    found = measured(references, channels)
    assert all(column.isfinite().all() for column in found)
    scores = summary(found)
    assert all(math.isfinite(v) for score in scores.values() for v in score.values())
    if "reference" not in how and "silence" not in how and "no samples" not in how:
        assert found.sources.tolist() == [2] * 3


def example(sources, active, si_snri, counted=None):
    one = [torch.tensor([value]) for value in (sources, active, active, 0.0, si_snri, 0.0)]
    found = Figures(*one)
    return found if counted is None else found._replace(counted=torch.tensor([counted]))


def test_a_summary_averages_mixtures_by_their_number_of_sources_and_leaves_out_what_is_void():
    values = [(2, 2, 1.0), (2, 2, 3.0), (2, 1, 8.0), (3, 2, 5.0), (3, 2, 6.0)]
    parts = [example(*value) for value in values] + [example(2, 0, 0.0, counted=0)]
    scores = summary(joined(parts))
    assert scores["si_snri_2_median"]["value"] == 3.0
    assert scores["si_snri_2_mean"]["value"] == 4.0
    assert scores["si_snri_3_mean"]["value"] == 5.5
    assert scores["msi_median"]["value"] == 5.0
    assert scores["msi_mean"]["value"] == pytest.approx(23 / 5)
    assert "si_snri_4_median" not in scores and "one_source_mean" not in scores
    assert scores["msi_mean"]["low"] < 23 / 5 < scores["msi_mean"]["high"]


def as_in_fuss(references, channels):
    """SI-SNR improvement of every source that counts, by number of sources, found one by one."""
    found = {}
    for sources, made in zip(references, channels, strict=True):
        sources = [x for x in sources if x.square().mean() > 1e-16]
        pairs = [[float(objective.si_snr(c, r)) for c in made] for r in sources]
        ways = itertools.permutations(range(len(made)), len(sources))
        best = max(ways, key=lambda way: sum(pairs[i][c] for i, c in enumerate(way)))
        least = min(float(x.square().mean()) for x in sources)
        for i, channel in enumerate(best):
            if float(made[channel].square().mean()) > 0.01 * least:
                before = float(objective.si_snr(sum(sources), sources[i]))
                found.setdefault(len(sources), []).append(pairs[i][channel] - before)
    return found


def test_means_per_source_are_those_of_fuss_pooled_over_all_sources():
    references = noise(12, 4, S) * torch.logspace(-0.5, 0.5, 4)[:, None]
    for i in range(12):
        references[i, 4 - i % 3 :] = 0.0  # mixtures of 4, 3 and 2
    channels = references.roll(1, dims=1) + 0.4 * noise(12, 4, S, seed=1)
    channels[::2, 2] *= 1e-3  # held to be silent: its source does not count
    pooled = as_in_fuss(references, channels)
    scores = summary(measured(references, channels))
    for n in (2, 3, 4):
        assert scores[f"si_snri_{n}_per_source"]["value"] == pytest.approx(
            np.mean(pooled[n]), abs=2e-3
        )
    everything = [figure for n in (2, 3, 4) for figure in pooled[n]]
    found = scores["msi_per_source"]
    assert found["value"] == pytest.approx(np.mean(everything), abs=2e-3)
    assert found["low"] < found["value"] < found["high"]
    assert abs(found["value"] - scores["msi_mean"]["value"]) > 0.05


def test_the_rates_of_under_and_over_separation_add_to_one():
    parts = [example(2, n, 0.0) for n in (0, 1, 2, 3)] + [example(1, 2, 0.0)]
    scores = summary(joined(parts))
    rates = [scores[name]["value"] for name in ("under", "equal", "over")]
    assert rates == [0.4, 0.2, 0.4]
