"""Register in v, and instrument in z: what the two latents should not hold."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.dsae.evaluation.probes import explained
from core.dsae.evaluation.swap_pairs import Interval

PENALTIES = np.logspace(-3, 3, 13)
FOLDS = 5
LEAST_CLIPS = 10


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
