"""MUSHRA listening tests: several renderings rated beside a reference (ITU-R BS.1534-3).

In each trial a listener rates all renderings of one item from 0 to 100, in random order; among them
are the reference itself, hidden, and an anchor, the reference through a low-pass filter.
"""

from __future__ import annotations

import csv
import io
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from core.audio.clip import SAMPLE_RATE
from core.errors import RavelError

REFERENCE, LOW_ANCHOR, MID_ANCHOR = "hidden reference", "anchor 3.5 kHz", "anchor 7 kHz"
CUTOFFS = {LOW_ANCHOR: 3500.0, MID_ANCHOR: 7000.0}  # Hz, where the pass band ends
TRANSITION = 500.0  # Hz from there to the stop band
STOP = 60.0  # dB; asked are 25 at 4 kHz and 50 at 4.5 kHz, and 0.1 of ripple
SCALE = {"Bad": 0, "Poor": 20, "Fair": 40, "Good": 60, "Excellent": 80}  # each from here on
FINE, TOLERATED = 90, 0.15  # a listener may rate the hidden reference lower in so many trials
LEVEL = 0.95  # of intervals
MOST = 12  # renderings in a trial
COLUMNS = ("listener", "trial", "position", "item", "condition", "rating")
_CHANCE = secrets.SystemRandom()


def anchor(wave: np.ndarray, cutoff: float = CUTOFFS[LOW_ANCHOR]) -> np.ndarray:
    """A wave [S] at 16 kHz through the low-pass filter of an anchor, without delay.

    A linear-phase FIR by Kaiser's window: its pass band ends at `cutoff` Hz and its stop band
    begins TRANSITION Hz above.
    """
    from scipy.signal import oaconvolve

    return oaconvolve(wave, filter_of(cutoff), mode="same").astype(np.float32)


def filter_of(cutoff: float) -> np.ndarray:
    """The taps of an anchor's low-pass filter at 16 kHz, of odd number."""
    from scipy.signal import firwin, kaiserord

    taps, beta = kaiserord(STOP, TRANSITION / (SAMPLE_RATE / 2))
    middle = cutoff + TRANSITION / 2
    return firwin(taps | 1, middle, window=("kaiser", beta), fs=SAMPLE_RATE)


def label(rating: float) -> str:
    """The word of the scale for a rating."""
    return next(name for name, least in reversed(SCALE.items()) if rating >= least)


class Rating(NamedTuple):
    """One rating, from 0 to 100."""

    listener: str
    item: str
    condition: str
    rating: float


@dataclass
class Trial:
    """An item, its conditions in the order in which they are shown, and their ratings."""

    item: str
    order: tuple[str, ...]
    ratings: dict[str, int] = field(default_factory=dict)


@dataclass
class Test:
    """One listener's test: every item once, in an order of its own."""

    listener: str
    trials: list[Trial]
    finished: bool = False

    @property
    def rated(self) -> list[Trial]:
        """The trials that count."""
        return [trial for trial in self.trials if trial.ratings]

    @property
    def current(self) -> Trial | None:
        """The trial to rate next; None at the end."""
        waiting = (trial for trial in self.trials if not trial.ratings)
        return None if self.finished else next(waiting, None)

    def rate(self, ratings: Sequence[int]) -> None:
        """Rate the current trial's conditions in their order; the last trial ends the test."""
        trial = self.current
        if trial is None or len(ratings) != len(trial.order):
            raise RavelError("The ratings do not belong to a trial of this test.")
        trial.ratings = dict(zip(trial.order, ratings, strict=True))
        self.finished = all(one.ratings for one in self.trials)

    def ratings(self) -> list[Rating]:
        """All ratings so far."""
        return [
            Rating(self.listener, trial.item, condition, float(rating))
            for trial in self.rated
            for condition, rating in trial.ratings.items()
        ]

    def to_csv(self) -> bytes:
        """A row for each rating, as CSV in UTF-8."""
        file = io.StringIO()
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for number, trial in enumerate(self.rated, 1):
            for position, (condition, rating) in enumerate(trial.ratings.items(), 1):
                table.writerow([self.listener, number, position, trial.item, condition, rating])
        return file.getvalue().encode()


def start(
    listener: str, items: Sequence[str], systems: Sequence[str], *, mid_anchor: bool = False
) -> Test:
    """A test of some systems on some items, with hidden reference and anchors, in random order.

    RavelError for too few or too many of them, and for a name that stands twice.
    """
    if not listener.strip():
        raise RavelError("The listener has no name: give one, or a number.")
    hidden = [REFERENCE, LOW_ANCHOR, *([MID_ANCHOR] if mid_anchor else [])]
    conditions = [*hidden, *systems]
    if not items or not systems or len(conditions) > MOST:
        most = MOST - len(hidden)
        raise RavelError(f"Choose one recording or more, and from 1 to {most} renderings.")
    for names in (items, conditions):
        if len(set(names)) < len(names):
            raise RavelError("A name stands twice in the test: give each its own.")
    shuffled = _CHANCE.sample(list(items), len(items))
    order = [tuple(_CHANCE.sample(conditions, len(conditions))) for _ in shuffled]
    return Test(listener.strip(), [Trial(*pair) for pair in zip(shuffled, order, strict=True)])


def read_csv(data: bytes, name: str) -> list[Rating]:
    """The ratings in a listener's CSV file. Raises RavelError."""
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RavelError(f"{name} is no CSV file: give one that the test wrote.") from error
    needed = ("listener", "item", "condition", "rating")
    if not rows or not set(needed) <= set(rows[0]):
        raise RavelError(f"{name} has no ratings: it needs the columns {', '.join(needed)}.")
    found = []
    for number, row in enumerate(rows, 2):
        try:
            rating = float(row["rating"])
        except (TypeError, ValueError):
            rating = float("nan")
        if not 0 <= rating <= 100 or not all(row[key] for key in needed[:3]):
            raise RavelError(f"{name}, line {number}: expected names and a rating from 0 to 100.")
        found.append(Rating(row["listener"], row["item"], row["condition"], rating))
    return found


# -- results -----------------------------------------------------------------------------------


class Estimate(NamedTuple):
    """A condition over `size` units: mean and median with their 95 % intervals.

    A bound is NaN where there are too few units: below 2 for the mean, below 6 for the median.
    """

    condition: str
    size: int
    mean: float
    mean_low: float
    mean_high: float
    median: float
    median_low: float
    median_high: float


class Summary(NamedTuple):
    """The conditions, best mean first; what was averaged over; and the listeners who were left
    out, with the share of their trials in which they rated the hidden reference below FINE."""

    conditions: list[Estimate]
    unit: str
    listeners: list[str]
    excluded: dict[str, float]


def missed(ratings: Iterable[Rating]) -> dict[str, float]:
    """For each listener the share of trials in which the hidden reference got less than FINE.

    Raises RavelError for a listener who did not rate it.
    """
    every, found = set(), defaultdict(list)
    for one in ratings:
        every.add(one.listener)
        if one.condition == REFERENCE:
            found[one.listener].append(one.rating < FINE)
    if lacking := sorted(every - set(found)):
        raise RavelError(f"{', '.join(lacking)} did not rate the {REFERENCE}: it is needed.")
    return {listener: float(np.mean(found[listener])) for listener in sorted(every)}


def summarise(ratings: Sequence[Rating], *, screen: bool = True) -> Summary:
    """The conditions of a test by all listeners, or with `screen` by those who pass post-screening.

    A listener is excluded who rates the hidden reference below 90 in more than 15 % of the trials.
    Of each listener the mean over items counts once, as ratings by one person are not independent;
    of a single listener, each item counts. The mean's interval is Student's, the median's that of
    order statistics, both 95 %. RavelError where nobody is left, or one rating stands twice.
    """
    keys = [one[:3] for one in ratings]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RavelError(f"{' / '.join(twice)} is rated twice: give each listener's file once.")
    shares = missed(ratings)
    excluded = {name: share for name, share in shares.items() if screen and share > TOLERATED}
    kept = [one for one in ratings if one.listener not in excluded]
    if not kept:
        raise RavelError(
            f"Nobody is left after post-screening: all rated the {REFERENCE} below {FINE} in more "
            f"than {TOLERATED:.0%} of their trials."
        )
    listeners = sorted({one.listener for one in kept})
    grouped: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in kept:
        unit = one.listener if len(listeners) > 1 else one.item
        grouped[one.condition][unit].append(one.rating)
    found = [
        estimate(condition, [float(np.mean(values)) for values in units.values()])
        for condition, units in grouped.items()
    ]
    found.sort(key=lambda one: (-one.mean, one.condition))
    return Summary(found, "listeners" if len(listeners) > 1 else "items", listeners, excluded)


def estimate(condition: str, values: Sequence[float]) -> Estimate:
    """Mean and median of independent values [n] with their 95 % intervals."""
    x, n = np.sort(np.asarray(values, dtype=float)), len(values)
    mean, low, high = float(x.mean()), float("nan"), float("nan")
    if n > 1:
        from scipy.stats import t

        half = float(t.ppf((1 + LEVEL) / 2, n - 1) * x.std(ddof=1) / np.sqrt(n))
        low, high = mean - half, mean + half
    rank = median_rank(n)
    bounds = (float(x[rank - 1]), float(x[n - rank])) if rank else (float("nan"), float("nan"))
    return Estimate(condition, n, mean, low, high, float(np.median(x)), *bounds)


def median_rank(n: int) -> int:
    """The rank k for which the k-th smallest and the k-th largest of n values enclose the median
    with 95 % or more (order statistics, whatever the distribution); 0 where n is too small."""
    from scipy.stats import binom

    return int(sum(2 * binom.cdf(k - 1, n, 0.5) <= 1 - LEVEL for k in range(1, n // 2 + 1)))


def table(summary: Summary) -> list[dict[str, str | float]]:
    """The summary's conditions as rows, figures to a tenth."""
    return [
        {key: value if isinstance(value, str) else round(value, 1) for key, value in row.items()}
        for row in (one._asdict() for one in summary.conditions)
    ]


def remarks(summary: Summary) -> list[str]:
    """Sentences on who and what was averaged."""
    count = len(summary.listeners)
    who = f"{count} listeners, each with the mean over items" if count > 1 else "One listener"
    lines = [f"{who}; intervals are 95 %."]
    if count == 1:
        lines = ["One listener: the intervals are over items, and say nothing of other people."]
    for name, share in summary.excluded.items():
        lines.append(
            f"{name} was left out: the {REFERENCE} got less than {FINE} in {share:.0%} of the "
            f"trials, more than {TOLERATED:.0%}."
        )
    return lines
