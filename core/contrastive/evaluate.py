"""Scores of embeddings as in the paper, and with few examples.

Fonseca et al., WASPAA 2021, section 4: a shallow network on frozen embeddings, and query by
example. N clips, P patches, D size of an embedding, C classes, K held-out clips.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from core.contrastive import probe
from core.data.store import FeatureStore
from core.errors import RavelError
from core.statistics import interval

HIDDEN = 512
EPOCHS, BATCH = 30, 256
SEEDS = (0, 1, 2)
MOST = 100  # positive and negative clips of a class, in query by example
SHOTS, EPISODES = 3, 100

Score = dict[str, float]


class Labels(NamedTuple):
    """Classes of clips: `truth` bool [N, C] by `names` [C]; `single` if each clip has one."""

    names: list[str]
    truth: np.ndarray
    single: bool


class Embedded:
    """Embeddings of all clips: `patches` [P, D] of the clips `owner` [P]."""

    def __init__(self, patches: np.ndarray, owner: np.ndarray) -> None:
        self.patches, self.owner = patches.astype(np.float32), owner

    @cached_property
    def clips(self) -> np.ndarray:
        """One embedding for each clip, the mean over its patches: [N, D]."""
        return probe.means(self.patches, self.owner)

    def of(self, clips: np.ndarray) -> np.ndarray:
        """Rows of the patches of some clips."""
        return np.flatnonzero(np.isin(self.owner, clips))


def labels_of(store: FeatureStore, factor: str = "label") -> Labels:
    """The classes of a store's clips: a column of single labels, or `labels`, joined by commas as
    in FSD50K. Raises RavelError without such a column."""
    column = factor if factor in store.labels else "labels"
    if column not in store.labels:
        raise RavelError(f"{store.path} has no column '{factor}' or 'labels' to score clips by.")
    several = column == "labels"
    of_clip = [
        {part.strip() for part in (text.split(",") if several else [text])} - {""}
        for text in map(str, store.labels[column])
    ]
    names = sorted(set().union(*of_clip))
    truth = np.array([[name in clip for name in names] for clip in of_clip])
    if len(names) < 2:
        raise RavelError(f"{store.path} has fewer than two classes in '{column}'.")
    return Labels(names, truth, single=not several)


def measure(
    embedded: Embedded,
    labels: Labels,
    train: np.ndarray,
    held_out: np.ndarray,
    folds: np.ndarray | None = None,
) -> dict[str, Score]:
    """All scores `{value, low, high}` with 95 % bootstrap intervals.

    They resample the held-out clips, or the classes for means over classes (mAP). `folds` [N], if
    given, are used for cross-validation.
    """
    truth = labels.truth[held_out]
    tested = [shallow(embedded, labels, train, held_out, seed) for seed in SEEDS]
    found = {"map": _map(tested, truth)}
    if labels.single:
        right = [_right(scores, truth) for scores in tested]
        found["accuracy"] = _mean(np.mean(right, axis=0))
    precision, _ = query_by_example(embedded.clips[held_out], truth)
    found["qbe_map"] = _mean(precision)
    if labels.single:
        of = labels.truth.argmax(axis=1)
        near = probe.neighbours(embedded.clips[train], embedded.clips[held_out], of[train])
        found["knn_accuracy"] = _mean(near == of[held_out])
        found["three_shot"] = _mean(few_shot(embedded.clips, of, train, held_out))
        if folds is not None:
            found["folds_accuracy"] = _mean(by_folds(embedded, labels, folds))
    return found


# Shallow classification


def shallow(
    embedded: Embedded, labels: Labels, train: np.ndarray, test: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Scores [K, C] of the clips `test` by a network with one hidden layer of 512 and ReLU.

    It is trained on single patches of the clips `train` by cross entropy (binary if clips have
    several labels). A clip's scores are the mean over its patches. Inputs are standardised by the
    training patches, so that the scale of an embedding does not matter.
    """
    rows = embedded.of(train)
    x = embedded.patches[rows]
    centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    inputs = torch.from_numpy((embedded.patches - centre) / scale)
    truth = torch.from_numpy(labels.truth[embedded.owner].astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _fit(inputs[rows], truth[rows], labels.single)
    tested = embedded.of(test)
    with torch.no_grad():
        logits = net(inputs[tested])
        scores = logits.softmax(dim=1) if labels.single else logits.sigmoid()
    clips, owner = np.unique(embedded.owner[tested], return_inverse=True)
    means = probe.means(scores.numpy(), owner)
    return means[np.searchsorted(clips, test)]


def _fit(inputs: torch.Tensor, truth: torch.Tensor, single: bool) -> nn.Module:
    net = nn.Sequential(
        nn.Linear(inputs.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, truth.shape[1])
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
    loss_of = F.cross_entropy if single else F.binary_cross_entropy_with_logits
    for _ in range(EPOCHS):
        for some in torch.randperm(len(inputs)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss_of(net(inputs[some]), truth[some]).backward()
            optimizer.step()
    return net.eval()


def by_folds(embedded: Embedded, labels: Labels, folds: np.ndarray) -> np.ndarray:
    """Whether each clip [N] is classified correctly when its fold is held out."""
    right = np.zeros(len(folds))
    for fold in sorted(set(folds)):
        out, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        right[out] = _right(shallow(embedded, labels, rest, out), labels.truth[out])
    return right


def _right(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return scores.argmax(axis=1) == truth.argmax(axis=1)


# Ranking


def average_precision(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Average precision [C] of items by their scores [K, C], not interpolated; `truth` [K, C].

    Ties count together. A class without positives gives NaN.
    """
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked, right = (np.take_along_axis(x, order, axis=0) for x in (scores, truth))
    last = np.vstack([ranked[1:] != ranked[:-1], np.ones((1, ranked.shape[1]), bool)])
    places = np.where(last, np.arange(len(ranked))[:, None], len(ranked))
    end = np.minimum.accumulate(places[::-1], axis=0)[::-1]  # the last of equal scores
    precision = np.take_along_axis(np.cumsum(right, axis=0), end, axis=0) / (end + 1)
    with np.errstate(invalid="ignore"):
        return (precision * right).sum(axis=0) / right.sum(axis=0)


def query_by_example(
    clips: np.ndarray, truth: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Average precision of retrieval for each class [C'], and that of chance [C'].

    For each class up to 100 positive and 100 negative clips [K, D] are drawn; pairs of positives
    should be nearer by cosine than pairs of a positive and a negative. Classes with fewer than two
    positives, or no negative, are left out.
    """
    rng = np.random.default_rng(seed)
    unit = _unit(clips)
    found = []
    for of_class in truth.T:
        inside, outside = (_some(np.flatnonzero(rows), rng) for rows in (of_class, ~of_class))
        if len(inside) < 2 or not len(outside):
            continue
        pairs = (unit[inside] @ unit[inside].T)[np.triu_indices(len(inside), 1)]
        others = (unit[inside] @ unit[outside].T).ravel()
        wanted = np.arange(len(pairs) + len(others)) < len(pairs)
        scores = np.concatenate([pairs, others])
        found.append(
            (average_precision(scores[:, None], wanted[:, None])[0], len(pairs) / len(wanted))
        )
    if not found:
        raise RavelError("No class has two held-out clips, which a query by example needs.")
    precision, chance = np.array(found).T
    return precision, chance


def _some(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(rows, min(MOST, len(rows)), replace=False)


# Few examples


def few_shot(
    clips: np.ndarray, of: np.ndarray, train: np.ndarray, held_out: np.ndarray, seed: int = 0
) -> np.ndarray:
    """How often each held-out clip [K] is nearest by cosine to its class's prototype.

    A prototype is the mean of three training clips, drawn 100 times; `of` [N] is each clip's class.
    Classes with fewer than three training clips are left out, and their clips count as wrong.
    """
    rng = np.random.default_rng(seed)
    unit = _unit(clips)
    members = {name: train[of[train] == name] for name in np.unique(of[train])}
    members = {name: rows for name, rows in members.items() if len(rows) >= SHOTS}
    if not members:
        return np.zeros(len(held_out))
    names, right = np.array(list(members)), np.zeros(len(held_out))
    for _ in range(EPISODES):
        drawn = [rng.choice(rows, SHOTS, replace=False) for rows in members.values()]
        prototypes = _unit(unit[np.array(drawn)].mean(axis=1))
        right += names[(unit[held_out] @ prototypes.T).argmax(axis=1)] == of[held_out]
    return right / EPISODES


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


# Intervals


def _mean(items: np.ndarray) -> Score:
    return interval(np.asarray(items, dtype=float), np.mean)


def _map(tested: Sequence[np.ndarray], truth: np.ndarray) -> Score:
    """Mean average precision over the classes that occur, each a mean over seeds."""
    occur = truth.any(axis=0)
    found = [average_precision(scores[:, occur], truth[:, occur]) for scores in tested]
    return _mean(np.mean(found, axis=0))
