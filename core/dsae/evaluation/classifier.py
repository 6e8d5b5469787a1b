"""An independent instrument classifier: it works on log-mels and never sees the model.

The paper's swap F1 relies on the model's own encoder, which flatters the model.
"""

from collections.abc import Sequence

import numpy as np

Clips = Sequence[np.ndarray]  # log-mels, each [T, M]

FLOOR = 12.0  # nats below a clip's peak; anything lower is noise or digital silence
SOUNDING = 0.7  # share of a clip's frames, the loudest, from which its features are computed


class Classifier:
    """A random forest on the shape of a clip's spectrum and its changes over time.

    It is trained on all labels and can predict among a subset of them.
    """

    def __init__(self, clips: Clips, labels: Sequence[str] | np.ndarray, seed: int = 0) -> None:
        from sklearn.ensemble import RandomForestClassifier

        self.forest = RandomForestClassifier(
            500, min_samples_leaf=2, class_weight="balanced", random_state=seed
        )
        # As numbers: scikit-learn's balanced class weights fail on labels such as "4" and "5".
        self.labels, numbers = np.unique(np.asarray(labels), return_inverse=True)
        self.forest.fit(np.stack([features(clip) for clip in clips]), numbers)

    def predict(self, clips: Clips, among: Sequence[str]) -> np.ndarray:
        """The most likely of some labels for each clip, [N]."""
        columns = [list(self.labels).index(label) for label in among]
        return np.array(among)[self.probabilities(clips)[:, columns].argmax(1)]

    def probabilities(self, clips: Clips) -> np.ndarray:
        """The probability of each of `labels` for each clip, [N, labels]."""
        return self.forest.predict_proba(np.stack([features(clip) for clip in clips]))


def features(clip: np.ndarray) -> np.ndarray:
    """A log-mel [T, M] as 3 M numbers: each band's mean, deviation and mean change between frames.

    Relative to the clip's peak and mean, so that they do not depend on its level.
    """
    clip = np.maximum(np.asarray(clip, np.float32) - np.max(clip), -FLOOR)
    loudness = clip.mean(1)
    sounding = clip[loudness >= np.quantile(loudness, 1 - SOUNDING)]
    change = np.abs(np.diff(sounding, axis=0)).mean(0)
    return np.concatenate([sounding.mean(0) - sounding.mean(), sounding.std(0), change])
