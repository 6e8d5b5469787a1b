"""MUSHRA: the anchors by the Recommendation's figures, intervals by closed forms, screening."""

from math import comb, sqrt

import numpy as np
import pytest
from scipy.signal import freqz

from core.cli import main
from core.errors import RavelError
from core.listening import mushra
from core.listening.mushra import LOW_ANCHOR, MID_ANCHOR, REFERENCE, Rating, estimate


def gain(cutoff: float, hertz) -> np.ndarray:
    """The filter's gain in dB at some frequencies."""
    _, response = freqz(mushra.filter_of(cutoff), worN=np.atleast_1d(hertz), fs=16_000)
    return 20 * np.log10(np.abs(response) + 1e-12)


def test_the_low_anchor_is_the_recommendations_filter():
    assert np.abs(gain(3500, np.linspace(20, 3500, 200))).max() < 0.1
    assert gain(3500, 4000) < -25 and gain(3500, np.linspace(4500, 7999, 200)).max() < -50


def test_the_mid_anchor_passes_up_to_seven_kilohertz():
    assert np.abs(gain(7000, np.linspace(20, 7000, 200))).max() < 0.1
    assert gain(7000, np.linspace(7500, 7999, 50)).max() < -50


@pytest.mark.parametrize(("hertz", "kept"), [(1000, True), (5000, False)])
def test_an_anchor_is_in_time_with_its_reference(hertz, kept):
    wave = np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000).astype(np.float32)
    made = mushra.anchor(wave)
    assert len(made) == len(wave) and made.dtype == np.float32
    middle = slice(1000, -1000)
    expected = wave[middle] if kept else 0
    assert np.abs(made[middle] - expected).max() < 0.02


T = {2: 12.7062047, 5: 2.7764451, 12: 2.2009852}  # Student's t at 97.5 %, from a printed table


@pytest.mark.parametrize("n", [2, 5, 12])
def test_the_means_interval_is_students(n):
    values = [50 + 7 * ((3 * i) % n) for i in range(n)]
    mean = sum(values) / n
    half = T[n] * sqrt(sum((x - mean) ** 2 for x in values) / (n - 1)) / sqrt(n)
    found = estimate("c", values)
    assert found[2:5] == pytest.approx((mean, mean - half, mean + half), rel=1e-6)


@pytest.mark.parametrize("n", range(1, 40))
def test_the_medians_interval_is_the_narrowest_that_covers_enough(n):
    def coverage(k: int) -> float:  # the chance that the k-th smallest and largest enclose it
        return 1 - 2 * sum(comb(n, i) for i in range(k)) / 2**n

    k = mushra.median_rank(n)
    assert k == 0 or coverage(k) >= 0.95
    assert k >= n // 2 or coverage(k + 1) < 0.95
    found = estimate("c", list(range(n)))
    if n < 6:
        assert k == 0 and np.isnan(found.median_low)
    else:
        assert (found.median_low, found.median_high) == (k - 1, n - k)


def ratings(listener: str, reference: list[int], system: list[int]) -> list[Rating]:
    pairs = [(REFERENCE, reference), ("system", system)]
    return [
        Rating(listener, f"item {i}", name, float(value))
        for name, values in pairs
        for i, value in enumerate(values)
    ]


def test_a_listener_counts_once_whatever_the_number_of_items():
    everybody = [*ratings("a", [100] * 8, [40] * 8), *ratings("b", [100], [60])]
    found = {one.condition: one for one in mushra.summarise(everybody).conditions}
    assert found["system"].size == 2 and found["system"].mean == 50
    alone = mushra.summarise(ratings("a", [100, 95, 90], [10, 20, 60]))
    assert alone.unit == "items" and alone.conditions[1].size == 3
    assert alone.conditions[1].median == 20


@pytest.mark.parametrize(("low", "out"), [(3, False), (4, True)])
def test_who_misses_the_hidden_reference_too_often_is_left_out(low, out):
    careless = ratings("x", [89] * low + [90] * (20 - low), [80] * 20)  # 15 % are 3 of 20
    everybody = [*careless, *ratings("y", [100] * 20, [20] * 20)]
    found = mushra.summarise(everybody)
    assert (found.excluded == {"x": 0.2}) if out else not found.excluded
    assert found.listeners == (["y"] if out else ["x", "y"])
    assert len(mushra.summarise(everybody, screen=False).listeners) == 2


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (ratings("x", [10], [50]), "Nobody is left"),
        ([Rating("x", "i", "system", 50.0)], "did not rate the hidden reference"),
        (ratings("x", [100], [50]) * 2, "rated twice"),
    ],
)
def test_ratings_that_cannot_be_summarised(given, says):
    with pytest.raises(RavelError, match=says):
        mushra.summarise(given)


def test_every_order_is_as_likely_for_every_listener():
    firsts = []
    for _ in range(600):
        test = mushra.start("l", ["a", "b"], ["s"], mid_anchor=True)
        assert sorted(trial.item for trial in test.trials) == ["a", "b"]
        for trial in test.trials:
            assert set(trial.order) == {REFERENCE, LOW_ANCHOR, MID_ANCHOR, "s"}
            firsts.append(trial.order[0])
    for name in set(firsts):
        assert abs(firsts.count(name) - 300) < 5 * sqrt(1200 * 3 / 16)


def test_ratings_go_through_a_file_unchanged(tmp_path, capsys):
    test = mushra.start("Ann, 1", ['a "loud" one', "b"], ["s"])
    while trial := test.current:
        test.rate([100 if name == REFERENCE else 30 for name in trial.order])
    assert test.finished
    assert mushra.read_csv(test.to_csv(), "f") == test.ratings()
    (tmp_path / "a.csv").write_bytes(test.to_csv())
    assert main(["mushra", str(tmp_path / "a.csv"), "--out", str(tmp_path / "s.csv")]) == 0
    assert "One listener" in capsys.readouterr().out
    assert (tmp_path / "s.csv").read_text().splitlines()[1].startswith(f"{REFERENCE},2,100.0")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no ratings"),
        ("a,b\n1,2\n", "needs the columns"),
        ("listener,item,condition,rating\nx,i,c,101\n", "line 2"),
        ("listener,item,condition,rating\nx,i,c,nan\n", "line 2"),
        ("listener,item,condition,rating\nx,,c,5\n", "line 2"),
    ],
)
def test_a_file_without_ratings_is_named(text, says):
    with pytest.raises(RavelError, match=says):
        mushra.read_csv(text.encode(), "file.csv")


@pytest.mark.parametrize(
    ("listener", "items", "systems"),
    [(" ", ["a"], ["s"]), ("l", [], ["s"]), ("l", ["a"], []), ("l", ["a", "a"], ["s"]),
     ("l", ["a"], [f"s{i}" for i in range(11)]), ("l", ["a"], [REFERENCE])],
)  # fmt: skip
def test_a_test_that_cannot_be_made(listener, items, systems):
    with pytest.raises(RavelError):
        mushra.start(listener, items, systems)


def test_the_words_of_the_scale():
    words = [mushra.label(rating) for rating in (0, 19, 20, 55, 79, 80, 100)]
    assert words == ["Bad", "Bad", "Poor", "Fair", "Good", "Excellent", "Excellent"]
