"""`nearer`: at the same pitch, does a swapped frame look more like the target than the source?

Instruments that play other registers differ by pitch alone, so swapped frames are compared
with both instruments' own frames at the same semitone, where both really play it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.dsae.evaluation.swap_pairs import Interval
from core.statistics import RESAMPLES, percentile_interval

FLOOR = 12.0  # nats below a clip's peak; anything lower is noise or digital silence (52 dB)
ENOUGH = 10  # frames at a semitone from which a mean is taken

Means = dict[str, dict[int, np.ndarray]]  # by instrument and semitone: mean spectra [M]

Case = tuple[str, str, int, bool]  # source, target, semitone, whether the target was nearer


class Frames(NamedTuple):
    """`spectra` [F, M] without their level, the `semitone` [F] that each should sound at, and the
    instruments whose melody and whose sound it should be, [F]."""

    spectra: np.ndarray
    semitone: np.ndarray
    source: np.ndarray
    target: np.ndarray


class Comparison(NamedTuple):
    """Cases, one for each source, target and semitone: whether the target was nearer."""

    source: list[str]
    target: list[str]
    semitone: list[int]
    nearer: np.ndarray

    def share(self, seed: int = 0) -> Interval:
        """The share of the cases in which the target was nearer; empty without any case."""
        if not len(self.nearer):
            return {}
        rng = np.random.default_rng(seed)
        drawn = rng.choice(self.nearer.astype(float), (RESAMPLES, len(self.nearer))).mean(1)
        return percentile_interval(float(np.mean(self.nearer)), drawn)

    def by_instruments(self) -> dict[str, float]:
        """The same for each source and target, named `violin as bassoon`."""
        found: dict[str, list[bool]] = {}
        for source, target, nearer in zip(self.source, self.target, self.nearer, strict=True):
            found.setdefault(f"{source} as {target}", []).append(bool(nearer))
        return {name: float(np.mean(cases)) for name, cases in found.items()}


def frames(
    log_mel: np.ndarray,
    midi: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    floor: float = np.inf,
) -> Frames:
    """The pitched frames of log-mels [N, T, M] as spectra, with the level removed.

    `midi` [N, T]: the pitch that they should have, NaN for none; `source`, `target` [N]: the
    instruments of the melody and of the sound. What is `floor` nats below a clip's peak is cut: a
    recording's noise is below it, and is no part of an instrument.
    """
    pitched = np.isfinite(midi)
    loud = np.maximum(log_mel, log_mel.max((1, 2), keepdims=True) - floor)
    spectra = (loud - loud.mean(2, keepdims=True))[pitched]
    semitone = np.round(midi[pitched]).astype(int)
    clip = np.nonzero(pitched)[0]
    return Frames(spectra, semitone, source[clip], target[clip])


def means(of: Frames, enough: int = ENOUGH) -> Means:
    """Each target instrument's mean spectrum at every semitone that it has `enough` frames of."""
    found: Means = {}
    for name in np.unique(of.target):
        mine = of.target == name
        found[str(name)] = {
            int(note): of.spectra[mine & (of.semitone == note)].mean(0)
            for note, count in zip(*np.unique(of.semitone[mine], return_counts=True), strict=True)
            if count >= enough
        }
    return found


def compare(made: Frames, real: Means, enough: int = ENOUGH) -> Comparison:
    """Are the mean spectra of swaps nearer to the target's own than to the source's?

    `made`: frames of swaps from one instrument to another. A case is a source, a target and a
    semitone that both really play and of which the swaps have `enough` frames.
    """
    cases: list[Case] = []
    for source, target in sorted(set(zip(made.source.tolist(), made.target.tolist(), strict=True))):
        rows = (made.source == source) & (made.target == target)
        for note in sorted(real.get(source, {}).keys() & real.get(target, {}).keys()):
            at = rows & (made.semitone == note)
            if at.sum() < enough:
                continue
            mean = made.spectra[at].mean(0)
            to_target, to_source = (
                float(np.linalg.norm(mean - real[name][note])) for name in (target, source)
            )
            cases.append((source, target, note, to_target < to_source))
    return _comparison(cases)


def of_itself(made: Frames, halves: np.ndarray, real: Frames) -> Comparison:
    """What no swap reaches, as a bound: frames compared with their own and another instrument's.

    `made`: originals or reconstructions, frame by frame beside `real`, the originals; `halves`
    [F] says which half of the recordings each frame is of. Means are taken of one half and compared
    with those of the other, both ways, for every instrument against every other.
    """
    parts = []
    for half in (False, True):
        of_half, other = halves == half, halves != half
        references = means(Frames(*(column[other] for column in real)))
        mine = Frames(*(column[of_half] for column in made))
        for name in np.unique(mine.target):
            against = np.setdiff1d(np.unique(real.target), [name])
            own = mine.target == name
            for rival in against:
                some = Frames(
                    mine.spectra[own], mine.semitone[own],
                    np.full(own.sum(), rival), mine.target[own],
                )  # fmt: skip
                parts.append(compare(some, references))
    cases = [case for part in parts for case in zip(*part, strict=True)]
    return _comparison(cases)


def halves(recording: np.ndarray, midi: np.ndarray, instrument: np.ndarray) -> np.ndarray:
    """For each pitched frame of clips, in the order of `frames`, the half of its recording, [F].

    Every other recording of each instrument is in the second half.
    """
    second = np.zeros(len(recording), bool)
    for name in np.unique(instrument):
        rows = np.flatnonzero(instrument == name)
        number = np.unique(recording[rows], return_inverse=True)[1]
        second[rows] = number % 2 == 1
    return second[np.nonzero(np.isfinite(midi))[0]]


def _comparison(cases: list[Case]) -> Comparison:
    return Comparison(
        [case[0] for case in cases],
        [case[1] for case in cases],
        [case[2] for case in cases],
        np.array([case[3] for case in cases], bool),
    )
