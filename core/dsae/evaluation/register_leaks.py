"""Register in v, and instrument in z: what the two latents should not hold."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.dsae.evaluation.probes import explained
from core.dsae.evaluation.swap_pairs import Interval
from core.statistics import draw_weights, percentile_interval

PENALTIES = np.logspace(-3, 3, 13)
FOLDS = 5
LEAST_CLIPS = 10
LEAST_FRAMES, MOST_FRAMES = 10, 100  # of an instrument at a semitone
RESAMPLES = 200


def register_in_v(
    v: np.ndarray, register: np.ndarray, instrument: np.ndarray
) -> dict[str, Interval]:
    """R² of a cross-validated ridge regression from v [N, V] to the register [N], by instrument.

    The register is a clip's median MIDI number. 0 is as good as the instrument's mean; below 0 is
    worse. An instrument with fewer than ten clips is left out.
    """
    found = {}
    for name in np.unique(instrument):
        rows = np.flatnonzero(instrument == name)
        if len(rows) < LEAST_CLIPS:
            continue
        truth = register[rows, None].astype(float)
        folds = KFold(FOLDS, shuffle=True, random_state=0)
        model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
        predicted = cross_val_predict(model, v[rows].astype(float), truth[:, 0], cv=folds)
        found[str(name)] = explained(truth, predicted[:, None], truth.mean(0))
    return found


def instrument_in_z(
    z: np.ndarray,
    midi: np.ndarray,
    instrument: np.ndarray,
    recording: np.ndarray,
    seed: int = 0,
) -> Interval:
    """How often a linear probe finds the instrument in z at one pitch; chance is 0.5.

    `z` [N, T, Z] means; `midi` [N, T], NaN without a pitch; `instrument` and `recording` [N]. For
    each two instruments, frames are taken from the semitones that both play, as many of the one as
    of the other at each, so pitch tells nothing. The probe is a logistic regression; no recording
    is in both its training and its test. The score is the mean recall over the two instruments, the
    semitones and the pairs. Its interval resamples recordings. Empty where no
    semitone is shared, or an instrument has one recording only.
    """
    rng = np.random.default_rng(seed)
    origins, number = np.unique(recording, return_inverse=True)
    found = []
    for pair in combinations(sorted(set(instrument.tolist())), 2):
        frames = _matched(midi, instrument, pair, rng)
        if not len(frames.clip):
            continue
        groups = number[frames.clip]
        if min(len(np.unique(groups[frames.label == label])) for label in (0, 1)) < 2:
            continue
        x = z[frames.clip, frames.frame].astype(float)
        hits = _probe(x, frames.label, frames.note, groups)
        found.append((hits, 2 * frames.note + frames.label, groups))
    if not found:
        return {}
    weights = draw_weights(len(origins), RESAMPLES)
    value = float(np.mean([_recall(hits, cell, None) for hits, cell, _ in found]))
    drawn = [
        np.nanmean([_recall(hits, cell, weight[groups]) for hits, cell, groups in found])
        for weight in weights
    ]
    return percentile_interval(value, np.array(drawn)[np.isfinite(drawn)])


class _Frames(NamedTuple):
    """Frames by clip and frame number, their semitone, and which of two instruments plays, [F]."""

    clip: np.ndarray
    frame: np.ndarray
    note: np.ndarray
    label: np.ndarray


def _matched(
    midi: np.ndarray, instrument: np.ndarray, pair: tuple[str, str], rng: np.random.Generator
) -> _Frames:
    """As many frames of one instrument as of the other, at each semitone that both play."""
    semitone = np.where(np.isfinite(midi), np.round(np.nan_to_num(midi)), -1).astype(int)
    rows: list[tuple[np.ndarray, np.ndarray, int, int]] = []
    for note in np.unique(semitone[semitone >= 0]):
        at = [np.nonzero((semitone == note) & (instrument == name)[:, None]) for name in pair]
        count = min(len(at[0][0]), len(at[1][0]), MOST_FRAMES)
        if count < LEAST_FRAMES:
            continue
        for label, (clip, frame) in enumerate(at):
            some = rng.choice(len(clip), count, replace=False)
            rows.append((clip[some], frame[some], int(note), label))
    sizes = [len(row[0]) for row in rows]
    return _Frames(
        np.concatenate([row[0] for row in rows] or [np.zeros(0, int)]),
        np.concatenate([row[1] for row in rows] or [np.zeros(0, int)]),
        np.repeat([row[2] for row in rows], sizes).astype(int),
        np.repeat([row[3] for row in rows], sizes).astype(int),
    )


def _probe(x: np.ndarray, label: np.ndarray, note: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Whether each frame's label is found by a probe that never saw its recording; NaN if none."""
    hits = np.full(len(label), np.nan)
    folds = GroupKFold(min(FOLDS, len(np.unique(groups))))
    for train, test in folds.split(x, label, groups):
        weight = _balance(label[train], note[train])
        rows, weight = train[weight > 0], weight[weight > 0]
        if len(np.unique(label[rows])) < 2:
            continue
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        model.fit(x[rows], label[rows], logisticregression__sample_weight=weight)
        hits[test] = model.predict(x[test]) == label[test]
    return hits


def _balance(label: np.ndarray, note: np.ndarray) -> np.ndarray:
    """Weights by which both labels count the same at each note; 0 where one of them is lacking."""
    cells, of = np.unique(2 * note + label, return_inverse=True)
    counts = np.bincount(of)
    alone = ~np.isin(cells ^ 1, cells)
    return np.where(alone[of], 0.0, 1.0 / counts[of])


def _recall(hits: np.ndarray, cell: np.ndarray, weight: np.ndarray | None) -> float:
    """The mean over semitones and labels (`cell`) of the share of hits among its frames."""
    weight = np.isfinite(hits) * (1.0 if weight is None else weight)
    number = np.unique(cell, return_inverse=True)[1]
    totals = np.bincount(number, weight)
    right = np.bincount(number, weight * np.nan_to_num(hits))
    good = totals > 0
    return float(np.mean(right[good] / totals[good])) if good.any() else float("nan")
