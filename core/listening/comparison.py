"""Blind listening tests, ABX and A/B preference, with exact significance tests."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import binomtest

from core.audio.clip import wav_bytes

Kind = Literal["ABX", "Preference"]
LEVEL = 0.95  # of intervals
_CHANCE = secrets.SystemRandom()


@dataclass
class Trial:
    """One trial. `coin`: ABX: which rendering X is; Preference: which one plays as A; 0 or 1.

    `answer`: the rendering, 0 or 1, that X was identified as or that was preferred.
    """

    coin: int
    answer: int | None = None


@dataclass
class Round:
    """A series of trials between two renderings, `names[0]` and `names[1]`, of the same thing."""

    kind: Kind
    names: tuple[str, str]
    planned: int
    about: dict[str, str] = field(default_factory=dict)  # further facts, as columns of the table
    trials: list[Trial] = field(default_factory=list)
    finished: bool = False

    def next(self) -> Trial:
        """The current trial: a new one, with a coin from the system's random source, if needed.

        A coin for each trial, independent of all others: a balanced series would let the last
        answers be counted out.
        """
        if not self.trials or self.trials[-1].answer is not None:
            self.trials.append(Trial(_CHANCE.randrange(2)))
        return self.trials[-1]

    def played(self) -> dict[str, int]:
        """Which rendering, 0 or 1, plays under each letter in the current trial."""
        coin = self.next().coin
        if self.kind == "ABX":
            return {"A": 0, "B": 1, "X": coin}
        return {"A": coin, "B": 1 - coin}

    def answer(self, letter: str) -> None:
        """X is `letter`, or `letter` is preferred; the last planned answer ends the round."""
        self.next().answer = self.played()[letter]
        self.finished = len(self.answered) >= self.planned

    @property
    def answered(self) -> list[Trial]:
        """The trials that count."""
        return [trial for trial in self.trials if trial.answer is not None]

    @property
    def hits(self) -> int:
        """ABX: right answers. Preference: how often the first rendering was preferred."""
        if self.kind == "ABX":
            return sum(trial.answer == trial.coin for trial in self.answered)
        return sum(trial.answer == 0 for trial in self.answered)

    def rows(self) -> list[dict[str, str | int]]:
        """A row a trial, for a table."""
        return [self._row(number, trial) for number, trial in enumerate(self.answered, 1)]

    def _row(self, number: int, trial: Trial) -> dict[str, str | int]:
        assert trial.answer is not None
        letters = {0: "A", 1: "B"} if self.kind == "ABX" else {trial.coin: "A", 1 - trial.coin: "B"}
        facts: dict[str, str | int] = {"test": self.kind, **self.about, "planned": self.planned}
        facts |= {"trial": number, "A": self.names[0], "B": self.names[1]}
        if self.kind == "ABX":
            facts |= {"X": letters[trial.coin], "answer": letters[trial.answer]}
            return facts | {"right": int(trial.answer == trial.coin), "preferred": ""}
        facts |= {"A": self.names[trial.coin], "B": self.names[1 - trial.coin], "X": ""}
        facts |= {"answer": letters[trial.answer], "right": ""}
        return facts | {"preferred": self.names[trial.answer]}


class Tally(NamedTuple):
    """`hits` of `trials`; the exact binomial p-value; the exact interval of the true share."""

    hits: int
    trials: int
    p_value: float
    low: float
    high: float


def tally(kind: Kind, hits: int, trials: int) -> Tally:
    """The significance of `hits` of `trials`.

    ABX: one-sided, the chance that guessing alone gives as many or more. Preference: two-sided,
    the chance of a split as uneven or more if neither is preferred. The interval is Clopper and
    Pearson's (1934), two-sided, at 95 %. Without trials p = 1, from 0 to 1.
    """
    if not trials:
        return Tally(0, 0, 1.0, 0.0, 1.0)
    test = binomtest(hits, trials, 0.5, alternative="greater" if kind == "ABX" else "two-sided")
    interval = binomtest(hits, trials, 0.5).proportion_ci(LEVEL, method="exact")
    return Tally(hits, trials, float(test.pvalue), float(interval.low), float(interval.high))


def needed(trials: int, p_value: float = 0.05) -> int | None:
    """The fewest right answers of an ABX that reach `p_value`; None where all are too few."""
    enough = (k for k in range(trials + 1) if tally("ABX", k, trials).p_value <= p_value)
    return next(enough, None)


def odds(p_value: float) -> str:
    """A probability as text: 'once in 18 times', and in percent where it is not rare."""
    if p_value > 0.995:
        return "practically always"
    rare = f"once in {round(1 / p_value):,} times"
    return f"{p_value:.0%} of the time" if p_value > 0.1 else rare


def disguised(wave: np.ndarray) -> bytes:
    """A wave [S] as a 16-bit WAV with fresh triangular dither of one bit, which is inaudible.

    No two such files are alike, so neither their bytes nor names derived from them reveal which
    rendering they contain.
    """
    chance = np.random.default_rng()
    noise = chance.random(len(wave), np.float32) - chance.random(len(wave), np.float32)
    return wav_bytes(wave + noise / 32_768)
