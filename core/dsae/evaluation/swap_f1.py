"""The paper's swaps of validation clips, and its main metric: labels predicted from re-encoded v.

Section 5 of Luo, Ewert and Dixon, IJCAI 2022.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.data.store import FeatureStore
from core.dsae.model import Dsae
from core.statistics import macro_f1

if TYPE_CHECKING:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.dummy import DummyClassifier

CHUNK = 512  # clips encoded at once, to bound the memory


class LabelledBatch(NamedTuple):
    """Log-mels x [N, T, M], their lengths [N] or None if all have T frames, and labels [N]."""

    x: Tensor
    lengths: Tensor | None
    labels: np.ndarray

    @property
    def frames(self) -> list[int]:
        """The number of frames of each clip."""
        return [self.x.shape[1]] * len(self.x) if self.lengths is None else self.lengths.tolist()

    def take(self, rows: np.ndarray) -> "LabelledBatch":
        """Some of the clips, by index."""
        index = torch.from_numpy(rows).to(self.x.device)
        lengths = None if self.lengths is None else self.lengths[index]
        return LabelledBatch(self.x[index], lengths, self.labels[rows])


def read_split(
    store: FeatureStore,
    split: str,
    factor: str,
    floor: float,
    device: torch.device | str = "cpu",
) -> LabelledBatch:
    """All clips of a split in memory, as model input, labelled by one factor."""
    rows = store.indices(split)
    x = torch.from_numpy(store.log_mel[rows]).to(device).float().clamp(min=floor)
    lengths = torch.from_numpy(store.lengths[rows].astype("int64")).to(device)
    whole = bool((lengths == x.shape[1]).all())
    return LabelledBatch(x, None if whole else lengths, store.labels[factor][rows])


def trimmed(clips: LabelledBatch) -> list[np.ndarray]:
    """Each clip's own frames [T, M], without padding."""
    x = clips.x.cpu().numpy()
    return [one[:end] for one, end in zip(x, clips.frames, strict=True)]


class Predictions(NamedTuple):
    """The label expected and the label predicted for each clip, both [N]."""

    expected: np.ndarray
    predicted: np.ndarray

    @property
    def f1(self) -> float:
        """Macro-averaged F1."""
        return self.f1_of(slice(None))

    def f1_of(self, rows: Any) -> float:
        """Macro-averaged F1 over some rows."""
        return macro_f1(self.expected[rows], self.predicted[rows])


@torch.no_grad()
def decode_swaps(
    model: Dsae, clips: LabelledBatch, partner: np.ndarray
) -> dict[str, LabelledBatch]:
    """Each clip rebuilt (`pre`), with its partner's v (`global`), with its partner's z (`local`).

    `partner` [N] holds indices of other clips. As in the paper, swaps use the mean of v and a
    sample of z; `pre` uses samples of both. The labels are those that the result should have.
    """
    other = torch.from_numpy(partner).to(clips.x.device)
    q_v = model.global_encoder(clips.x, clips.lengths)
    v = q_v.mean
    z = model.local_encoder(clips.x, v, clips.lengths).sample()
    of_other = None if clips.lengths is None else clips.lengths[other]

    def decode(z: Tensor, v: Tensor, lengths: Tensor | None, labels: np.ndarray) -> LabelledBatch:
        return LabelledBatch(model.decoder(z, v, lengths), lengths, labels)

    return {
        "pre": decode(z, q_v.sample(), clips.lengths, clips.labels),
        "global": decode(z, v[other], clips.lengths, clips.labels[partner]),
        "local": decode(z[other], v, of_other, clips.labels),
    }


def swap_predictions(
    model: Dsae, train: LabelledBatch, held_out: LabelledBatch, seed: int = 0
) -> dict[str, Predictions]:
    """Labels predicted from the re-encoded v without a swap, after a global and a local swap.

    As in the paper, an LDA is fitted on posterior means of the training originals, and each
    validation clip is paired with one of another label.
    """
    decoded = decode_swaps(model, held_out, other_label(held_out.labels, seed))
    return predict_from_v(model, train, decoded)


def predict_from_v(
    model: Dsae, train: LabelledBatch, decoded: dict[str, LabelledBatch]
) -> dict[str, Predictions]:
    """Labels of decoded log-mels, predicted from their re-encoded v by the LDA of `fit_lda`."""
    lda = fit_lda(mean_v(model, train.x, train.lengths).numpy(), train.labels)
    return {
        name: Predictions(one.labels, lda.predict(mean_v(model, *one[:2]).numpy()))
        for name, one in decoded.items()
    }


def fit_lda(v: np.ndarray, labels: np.ndarray) -> "LinearDiscriminantAnalysis | DummyClassifier":
    """An LDA fitted on posterior means v [N, V] of training originals, the paper's classifier."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.dummy import DummyClassifier

    constant = not np.ptp(v, axis=0).any()  # as a collapsed v is; an LDA cannot be fitted on it
    return (DummyClassifier() if constant else LinearDiscriminantAnalysis()).fit(v, labels)


def swap_f1(model: Dsae, train: LabelledBatch, held_out: LabelledBatch) -> dict[str, float]:
    """`swap_predictions` as three macro-F1 scores; empty if there are fewer than two labels."""
    if len(set(train.labels)) < 2 or len(set(held_out.labels)) < 2:
        return {}
    return {f"f1_{k}": s.f1 for k, s in swap_predictions(model, train, held_out).items()}


@torch.no_grad()
def mean_v(model: Dsae, x: Tensor, lengths: Tensor | None) -> Tensor:
    """Posterior means of v [N, V] of log-mels [N, T, M], on the CPU; any number of clips."""
    parts = x.split(CHUNK)
    ends = [None] * len(parts) if lengths is None else lengths.split(CHUNK)
    return torch.cat(
        [model.global_encoder(*part).mean.cpu() for part in zip(parts, ends, strict=True)]
    )


def other_label(labels: np.ndarray, seed: int) -> np.ndarray:
    """For each clip, the index of a random clip with another label."""
    rng = np.random.default_rng(seed)
    pools = {label: np.flatnonzero(labels != label) for label in np.unique(labels)}
    return np.array([rng.choice(pools[label]) for label in labels])
