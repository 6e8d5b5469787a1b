"""A separate judge of the instrument: a classifier of log-mels that never sees the model.

The paper's swap F1 is told by the model's own encoder, which flatters; this one is not.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import RandomForestClassifier

Clips = Sequence[np.ndarray]  # log-mels, each [T, M]

FLOOR = 12.0  # nats under a clip's peak that still count; below is noise and digital silence
SOUNDING = 0.7  # the share of frames, the loudest ones, that a clip is described by


class Classifier:
    """A random forest on the shape of a clip's spectrum and on how it moves.

    It learns all instruments it is given and, asked for two, says which of the two is likelier.
    """

    def __init__(self, clips: Clips, labels: Sequence[str], seed: int = 0) -> None:
        self.forest = RandomForestClassifier(
            500, min_samples_leaf=2, class_weight="balanced", random_state=seed
        )
        # As numbers: scikit-learn's balanced weights cannot do with labels such as "4" and "5".
        self.labels, numbers = np.unique(np.asarray(labels), return_inverse=True)
        self.forest.fit(np.stack([describe(clip) for clip in clips]), numbers)

    def predict(self, clips: Clips, among: Sequence[str]) -> np.ndarray:
        """The likeliest of some labels for each clip."""
        columns = [list(self.labels).index(label) for label in among]
        likely = self.forest.predict_proba(np.stack([describe(clip) for clip in clips]))
        return np.array(among)[likely[:, columns].argmax(1)]


def describe(clip: np.ndarray) -> np.ndarray:
    """A log-mel [T, M] as 3 M numbers: each band's mean, spread and mean change between frames.

    Relative to the clip's peak and mean, so that its level says nothing.
    """
    clip = np.maximum(np.asarray(clip, np.float32) - np.max(clip), -FLOOR)
    loudness = clip.mean(1)
    sounding = clip[loudness >= np.quantile(loudness, 1 - SOUNDING)]
    change = np.abs(np.diff(sounding, axis=0)).mean(0)
    return np.concatenate([sounding.mean(0) - sounding.mean(), sounding.std(0), change])
