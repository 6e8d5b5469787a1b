"""Leaks: what linear probes find in a latent that should not hold it.

The instrument in z, averaged over time, and the pitch in v. A swap can be perfect although z
contains the instrument: the decoder may ignore it there.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from core.data import dmelodies
from core.data.store import FeatureStore
from core.dsae.evaluation.swap_f1 import LabelledBatch, Predictions
from core.dsae.layers import masked_mean
from core.dsae.model import Dsae
from core.statistics import interval, spread_evenly

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

CHUNK = 128
PENALTIES = np.logspace(-3, 3, 13)
FOLDS = 5
VERIFIED = 100  # clips, so that the bootstrap over their pairs takes seconds


class Means(NamedTuple):
    """Posterior means of v [N, V] and of z averaged over time [N, Z], for N clips."""

    v: np.ndarray
    z: np.ndarray


@torch.no_grad()
def time_averages(model: Dsae, clips: LabelledBatch) -> Means:
    """The features that probes are trained on."""
    parts = []
    for start in range(0, len(clips.x), CHUNK):
        some = clips.take(np.arange(start, min(start + CHUNK, len(clips.x))))
        q_v, q_z = model.encode(some.x, some.lengths)
        parts.append((q_v.mean.cpu().numpy(), masked_mean(q_z.mean, some.lengths).cpu().numpy()))
    return Means(*map(np.concatenate, zip(*parts, strict=True)))


def label_in(
    train: np.ndarray, labels: np.ndarray, held_out: np.ndarray, truth: np.ndarray
) -> dict[str, float]:
    """Macro-F1 of labels predicted from features [N, D] by logistic regression."""
    found = Predictions(truth, _classifier().fit(train, labels).predict(held_out))
    return interval(np.arange(len(truth)), found.f1_of)


def label_across(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None
) -> dict[str, float]:
    """The same by cross-validation on one set [N, D].

    `groups` [N]: clips of one group, such as a piece, are never in both training and test folds.
    Empty if a label has fewer clips than there are folds.
    """
    from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict

    if np.unique(labels, return_counts=True)[1].min() < FOLDS:
        return {}
    if groups is None:
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    else:
        folds = GroupKFold(min(FOLDS, len(np.unique(groups))))
    predicted = cross_val_predict(_classifier(), features, labels, groups=groups, cv=folds)
    return interval(np.arange(len(labels)), Predictions(labels, predicted).f1_of)


def notes_in_v(
    train: np.ndarray, notes: np.ndarray, held_out: np.ndarray, truth: np.ndarray
) -> dict[str, float]:
    """R^2 of a ridge regression from v [N, V] to the notes of a melody.

    `notes`, `truth` [N, K]: the pitches of each melody. 0 is as good as predicting their means.
    """
    return explained(truth, _regression().fit(train, notes).predict(held_out), notes.mean(0))


def pitch_in_v(v: np.ndarray, pitch: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The same for one pitch per clip [N], cross-validated and corrected for the label.

    Each label's mean is subtracted from v [N, V] and pitch, since v may represent the instrument's
    range.
    """
    from sklearn.model_selection import KFold, cross_val_predict

    v, pitch = v.astype(np.float64), pitch.astype(np.float64)[:, None]
    for label in np.unique(labels):
        of = labels == label
        v[of], pitch[of] = v[of] - v[of].mean(0), pitch[of] - pitch[of].mean(0)
    folds = KFold(min(FOLDS, len(v)), shuffle=True, random_state=0)
    return explained(pitch, cross_val_predict(_regression(), v, pitch, cv=folds), np.zeros(1))


def explained(truth: np.ndarray, predicted: np.ndarray, means: np.ndarray) -> dict[str, float]:
    """1 - the error's share of the variance about `means` [K], over clips [N, K] and outputs.

    Empty if there is no variance.
    """
    predicted = predicted.reshape(truth.shape)
    error, total = (np.square(truth - other).sum(1) for other in (predicted, means))
    if not total.sum() > 0:
        return {}

    def of_rows(rows: np.ndarray) -> float:
        return 1 - error[rows].sum() / max(total[rows].sum(), 1e-12)

    return interval(np.arange(len(truth)), of_rows)


def equal_error_rate(features: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The equal error rate of telling by cosine whether two clips share a label, from 0 to 1.

    As in speaker verification (Hsu et al., NeurIPS 2017): where as many pairs of one label are
    rejected as pairs of two are accepted. `features` [N, D] of clips with `labels` [N], at most
    VERIFIED of them, evenly spaced; 0.5 is chance. Empty where one of the two kinds is missing.
    """
    from sklearn.metrics import roc_curve

    some = spread_evenly(len(labels), VERIFIED)
    unit = features[some] / np.maximum(np.linalg.norm(features[some], axis=1, keepdims=True), 1e-12)
    cosine, same = unit @ unit.T, np.equal.outer(labels[some], labels[some])
    if same.all() or same.sum() == len(same):
        return {}

    def of_rows(rows: np.ndarray) -> float:
        one, other = np.triu_indices(len(rows), 1)
        one, other = rows[one], rows[other]
        one, other = one[one != other], other[one != other]  # a clip may be drawn twice
        accepted, found, _ = roc_curve(same[one, other], cosine[one, other])
        missed = 1 - found
        first = int(np.argmax(accepted >= missed))  # the curves cross between this and the last
        if first == 0:
            return float(accepted[0])
        step = (missed - accepted)[first - 1 : first + 1]
        share = step[0] / (step[0] - step[1])
        return float(accepted[first - 1] + share * (accepted[first] - accepted[first - 1]))

    return interval(np.arange(len(some)), of_rows)


def notes_of(store: FeatureStore, rows: np.ndarray) -> np.ndarray | None:
    """The twelve pitches of each melody within its octave [N, 12]; None for other stores."""
    if store.kind != "dmelodies":
        return None
    tunes = [dmelodies.melody(int(row)) for row in store.labels["melody"][rows]]
    return np.array([np.array(tune.pitches) - 12 * tune.octave for tune in tunes], float)


def _classifier() -> "Pipeline":
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _regression() -> "Pipeline":
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV(PENALTIES))


def measure(
    model: Dsae,
    store: FeatureStore,
    train: LabelledBatch,
    held_out: LabelledBatch,
    factors: list[str],
) -> dict[str, Any]:
    """`leak_z` for each global factor, the model's own first; `eer_v` and `eer_z`, which should be
    0 and 0.5; and `leak_v_notes` on dMelodies."""
    fitted, tested = time_averages(model, train), time_averages(model, held_out)
    rows = [store.indices(split) for split in ("train", "validation")]
    scores: dict[str, Any] = {}
    for i, factor in enumerate(factors):
        labels = [store.labels[factor][some] for some in rows]
        name = f"leak_z_{factor}" if i else "leak_z"
        scores[name] = label_in(fitted.z, labels[0], tested.z, labels[1])
    if factors:
        own = store.labels[factors[0]][rows[1]]
        rates = {f"eer_{at}": equal_error_rate(getattr(tested, at), own) for at in Means._fields}
        scores |= {name: rate for name, rate in rates.items() if rate}
    notes, truth = (notes_of(store, some) for some in rows)
    if notes is not None and truth is not None:
        found = notes_in_v(fitted.v, notes, tested.v, truth)
        scores |= {"leak_v_notes": found} if found else {}
    return scores
