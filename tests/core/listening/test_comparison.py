import io
from math import comb

import numpy as np
import pytest
import soundfile
from scipy.stats import beta

from core.listening.comparison import Round, disguised, needed, odds, tally


def at_least(hits: int, trials: int) -> float:
    """The chance that fair coins fall right so often or more, by counting."""
    return sum(comb(trials, k) for k in range(hits, trials + 1)) / 2**trials


@pytest.mark.parametrize(("hits", "trials"), [(0, 5), (5, 5), (8, 10), (13, 16), (25, 25)])
def test_the_p_value_of_abx_is_the_share_of_guessers_who_do_as_well(hits, trials):
    assert tally("ABX", hits, trials).p_value == pytest.approx(at_least(hits, trials))


@pytest.mark.parametrize(("hits", "trials"), [(5, 5), (3, 10), (5, 10), (16, 20)])
def test_the_p_value_of_a_preference_counts_splits_as_uneven_either_way(hits, trials):
    uneven = max(hits, trials - hits)
    expected = min(1, 2 * at_least(uneven, trials))
    assert tally("Preference", hits, trials).p_value == pytest.approx(expected)


@pytest.mark.parametrize(("hits", "trials"), [(0, 8), (3, 10), (12, 16), (10, 10)])
def test_the_interval_is_clopper_and_pearsons(hits, trials):
    found = tally("Preference", hits, trials)
    low = beta.ppf(0.025, hits, trials - hits + 1) if hits else 0
    high = beta.ppf(0.975, hits + 1, trials - hits) if hits < trials else 1
    assert (found.low, found.high) == pytest.approx((low, high))


def test_no_trials_say_nothing():
    assert tally("ABX", 0, 0) == (0, 0, 1.0, 0.0, 1.0)


@pytest.mark.parametrize("trials", [5, 10, 16, 25])
def test_as_many_right_answers_are_needed_as_guessers_seldom_give(trials):
    enough = needed(trials)
    assert at_least(enough, trials) <= 0.05 < at_least(enough - 1, trials)


def test_four_trials_can_never_be_enough():
    assert needed(4) is None


def test_x_is_a_half_of_the_time_whatever_came_before():
    coins = []
    for _ in range(400):
        round = Round("ABX", ("first", "second"), planned=10)
        while not round.finished:
            coins.append(round.played()["X"])
            round.answer("A")
    coins = np.array(coins)
    assert len(coins) == 4000
    assert abs(coins.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(coins))
    for lag in range(1, 10):  # the next cannot be predicted from those before
        same = (coins[lag:] == coins[:-lag]).mean()
        assert abs(same - 0.5) < 5 * 0.5 / np.sqrt(len(coins))
    sums = coins.reshape(400, 10).sum(1)
    assert sums.var() == pytest.approx(2.5, rel=0.5)  # not balanced within a round


def test_the_same_answer_every_time_is_right_half_of_the_time():
    rounds = [Round("ABX", ("first", "second"), planned=25) for _ in range(100)]
    for round in rounds:
        while not round.finished:
            round.answer("A")
    assert abs(sum(round.hits for round in rounds) - 1250) < 5 * np.sqrt(2500 / 4)


def test_a_trial_stays_as_it_is_until_it_is_answered():
    round = Round("ABX", ("first", "second"), planned=3)
    assert len({round.played()["X"] for _ in range(50)}) == 1
    assert not round.answered


def test_right_answers_are_counted_and_the_last_one_planned_ends_the_round():
    round = Round("ABX", ("first", "second"), planned=6)
    for number in range(6):
        assert not round.finished
        right = "AB"[round.played()["X"]]
        round.answer(right if number < 4 else "AB"[right == "A"])
    assert round.finished and round.hits == 4
    assert [row["right"] for row in round.rows()] == [1, 1, 1, 1, 0, 0]


def test_a_preference_counts_for_the_rendering_under_whatever_letter_it_played():
    round = Round("Preference", ("first", "second"), planned=40)
    seen = set()
    while not round.finished:
        played = round.played()
        assert sorted(played.values()) == [0, 1] and "X" not in played
        letter = next(letter for letter, which in played.items() if which == 1)
        seen.add(letter)
        round.answer(letter)
    assert round.hits == 0 and seen == {"A", "B"}
    for row in round.rows():
        assert row["preferred"] == "second" == row[row["answer"]]


def test_rows_of_both_tests_have_the_same_columns():
    rows = []
    for kind in ("ABX", "Preference"):
        round = Round(kind, ("first", "second"), planned=1, about={"model": "m"})
        round.answer("B")
        rows += round.rows()
    assert list(rows[0]) == list(rows[1])


@pytest.mark.parametrize(
    ("p_value", "says"),
    [
        (1.0, "practically always"),
        (0.5, "50% of the time"),
        (0.055, "once in 18 times"),
        (1 / 1024, "once in 1,024 times"),
    ],
)
def test_a_probability_is_put_in_words(p_value, says):
    assert odds(p_value) == says


def test_no_two_files_of_a_sound_are_alike_and_none_differs_audibly():
    wave = (0.3 * np.sin(np.arange(16_000) / 9)).astype(np.float32)
    files = [disguised(wave) for _ in range(4)]
    assert len(set(files)) == 4 and len({len(file) for file in files}) == 1
    for file in files:
        samples, rate = soundfile.read(io.BytesIO(file))
        assert rate == 16_000
        assert np.abs(samples - wave).max() <= 2 / 32_768


def test_dither_does_not_fold_a_peak_over():
    samples, _ = soundfile.read(io.BytesIO(disguised(np.ones(1000, np.float32))))
    assert samples.min() > 0.99
