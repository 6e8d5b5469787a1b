"""The paper's metrics (section 5) and the counterfactual error, with bootstrap intervals."""

from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import f1_score
from torch import Tensor

from core.data.store import FeatureStore
from core.dsae.model import Dsae, masked_mean
from core.dsae.objective import kl_standard
from core.statistics import interval

ACTIVE_NATS = 0.02  # a dimension of v whose mean KL to N(0, I) is above this carries something
CHUNK = 512  # clips encoded at once, to bound the memory


class Batch(NamedTuple):
    """Log-mels x [N, T, M], their lengths [N] or none when all are T long, and labels [N]."""

    x: Tensor
    lengths: Tensor | None
    labels: np.ndarray


def read_split(store: FeatureStore, split: str, factor: str, floor: float) -> Batch:
    """All clips of a split in memory, as the model is given them."""
    rows = store.indices(split)
    x = torch.from_numpy(store.log_mel[rows]).float().clamp(min=floor)
    lengths = torch.from_numpy(store.lengths[rows].astype("int64"))
    whole = bool((lengths == x.shape[1]).all())
    return Batch(x, None if whole else lengths, store.labels[factor][rows])


@torch.no_grad()
def score(model: Dsae, store: FeatureStore, factor: str, seed: int = 0) -> dict[str, Any]:
    """Every metric on a store's validation split: `{value, low, high}` or a count.

    The intervals are 95 % percentile bootstraps over clips.
    """
    floor = model.config.floor
    train, held_out = (read_split(store, s, factor, floor) for s in ("train", "validation"))
    torch.manual_seed(seed)
    scores: dict[str, Any] = {"clips": len(held_out.x)}
    scores["mse"] = interval(reconstruction_errors(model, held_out), np.mean)
    if len(set(held_out.labels)) > 1:
        told = swap_predictions(model, train, held_out, seed)
        for name, pair in told.items():
            scores[f"f1_{name}"] = interval(np.arange(len(pair.expected)), pair.f1_of)
    if "counterfactual" in store.labels["split"]:
        scores |= counterfactual(model, store, factor)
    return scores | usage(model, held_out)


@torch.no_grad()
def reconstruction_errors(model: Dsae, clips: Batch) -> np.ndarray:
    """Mean squared error of each clip's reconstruction from sampled v and z, [N]."""
    q_v = model.global_encoder(clips.x, clips.lengths)
    v = q_v.sample()
    z = model.local_encoder(clips.x, v, clips.lengths).sample()
    return errors(model.decoder(z, v, clips.lengths), clips.x, clips.lengths)


def errors(x: Tensor, y: Tensor, lengths: Tensor | None) -> np.ndarray:
    """Mean squared difference of two batches of log-mels, clip by clip."""
    return masked_mean((x - y).square(), lengths).mean(1).numpy()


@torch.no_grad()
def counterfactual(model: Dsae, store: FeatureStore, factor: str) -> dict[str, Any]:
    """Swap each validation clip to another label's mean v; compare with the true rendering.

    The store's `counterfactual` split holds the same melodies rendered with the other labels.
    """
    floor = model.config.floor
    held_out = read_split(store, "validation", factor, floor)
    truth = read_split(store, "counterfactual", factor, floor)
    melody = store.labels["melody"]
    first = {m: i for i, m in enumerate(melody[store.indices("validation")])}
    origin = np.array([first[m] for m in melody[store.indices("counterfactual")]])

    q_v, q_z = model.encode(held_out.x, held_out.lengths)
    means = {
        label: q_v.mean[torch.from_numpy(held_out.labels == label)].mean(0)
        for label in np.unique(held_out.labels)
    }
    v = torch.stack([means[label] for label in truth.labels])
    swapped = model.decoder(q_z.mean[origin], v, truth.lengths)
    to_truth = errors(swapped, truth.x, truth.lengths)
    to_original = errors(swapped, held_out.x[origin], truth.lengths)
    return {
        "counterfactual_error": interval(to_truth, np.mean),
        "counterfactual_closer": interval((to_truth < to_original).astype(float), np.mean),
    }


@torch.no_grad()
def usage(model: Dsae, clips: Batch) -> dict[str, Any]:
    """Active units and the KL of v."""
    q_v = model.global_encoder(clips.x, clips.lengths)
    units = active_units(model, clips[:2])
    return {name: int(n) for name, n in units.items()} | {
        "kl_v": round(float(kl_standard(q_v).sum(1).mean()), 4)
    }


class Scores(NamedTuple):
    """What an LDA says of each validation clip: label expected and label predicted."""

    expected: np.ndarray
    predicted: np.ndarray

    @property
    def f1(self) -> float:
        """Macro-averaged F1."""
        return self.f1_of(slice(None))

    def f1_of(self, rows: Any) -> float:
        """Macro-averaged F1 over some rows."""
        return float(f1_score(self.expected[rows], self.predicted[rows], average="macro"))


@torch.no_grad()
def swap_predictions(
    model: Dsae, train: Batch, held_out: Batch, seed: int = 0
) -> dict[str, Scores]:
    """Labels told from the re-encoded v: with no swap, after a global and after a local swap.

    As in the paper an LDA is fitted on posterior means of the training originals; each validation
    clip is paired with one of another label; v goes in at its mean and z as a sample.
    """
    x, lengths, labels = held_out
    classifier = LinearDiscriminantAnalysis()
    classifier.fit(mean_v(model, train.x, train.lengths).numpy(), train.labels)
    partner = torch.from_numpy(other_label(labels, seed)).to(x.device)

    q_v = model.global_encoder(x, lengths)
    v = q_v.mean
    z = model.local_encoder(x, v, lengths).sample()
    of_partner = None if lengths is None else lengths[partner]

    def told(z: Tensor, v: Tensor, lengths: Tensor | None) -> np.ndarray:
        return classifier.predict(mean_v(model, model.decoder(z, v, lengths), lengths).numpy())

    return {
        "pre": Scores(labels, told(z, q_v.sample(), lengths)),
        "global": Scores(labels[partner.cpu().numpy()], told(z, v[partner], lengths)),
        "local": Scores(labels, told(z[partner], v, of_partner)),
    }


def swap_f1(model: Dsae, train: Batch, held_out: Batch) -> dict[str, float]:
    """`swap_predictions` as three macro-F1 scores. Needs two labels at least; else empty."""
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
    """For each clip the index of a random clip that bears another label."""
    rng = np.random.default_rng(seed)
    pools = {label: np.flatnonzero(labels != label) for label in np.unique(labels)}
    return np.array([rng.choice(pools[label]) for label in labels])


@torch.no_grad()
def active_units(model: Dsae, batch) -> dict[str, float]:
    """How many dimensions of v and z are in use.

    v: mean KL to N(0, I) above a small threshold. z: variance of the means over all frames above
    0.01, the usual count of active units.
    """
    q_v, q_z = model.encode(*batch)
    of_v = kl_standard(q_v).mean(0)
    spread = q_z.mean.flatten(0, 1).var(0)
    return {
        "active_v": float((of_v > ACTIVE_NATS).sum()),
        "active_z": float((spread > 0.01).sum()),
    }
