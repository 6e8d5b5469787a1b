"""Swaps with several global factors, as in the paper's figure 7 (section 6.5).

A target differs from the source in the instrument, the octave, or both: which does the swap show?
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch

from core.data.store import FeatureStore
from core.dsae.evaluation.swap_f1 import CHUNK, LabelledBatch, fit_lda, mean_v, read_split
from core.dsae.model import Dsae
from core.errors import RavelError
from core.statistics import interval

GLOBAL = ("instrument", "octave", "scale", "tonic")  # label columns that are global factors

Score = dict[str, float]  # value, low, high
Labels = dict[str, np.ndarray]  # by factor, the labels [N]


def global_factors(store: FeatureStore) -> list[str]:
    """The label columns of a store that are global factors and vary among its validation clips."""
    held_out = store.indices("validation")
    columns = [name for name in GLOBAL if name in store.labels]
    return [name for name in columns if len(set(store.labels[name][held_out])) > 1]


@torch.no_grad()
def factor_swaps(
    model: Dsae,
    store: FeatureStore,
    seed: int = 0,
    *,
    factors: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, Score]:
    """Global swaps of validation clips with targets that differ in exactly some of the factors.

    For each choice of factors, the share of re-encoded swaps whose label is predicted as the
    target's, by factor and for all factors together: `swap_octave_told_instrument` is how often the
    instrument is still right for a target with the same instrument and another octave.
    `rebuilt_told_...` is the same without a swap. As in the paper, an LDA for each factor is fitted
    on mean v of the training originals; swaps use the mean of v and a sample of z. `factors`:
    columns, by default those that vary. Raises RavelError for a column that is missing or has one
    label only.
    """
    names = list(global_factors(store) if factors is None else factors)
    _check(store, names)
    floor = model.config.floor
    train, held_out = (
        read_split(store, split, names[0], floor, device) for split in ("train", "validation")
    )
    labels, of_train = (
        {name: store.labels[name][store.indices(split)] for name in names}
        for split in ("validation", "train")
    )
    v = mean_v(model, train.x, train.lengths).numpy()
    classifiers = {name: fit_lda(v, of_train[name]) for name in names}
    v_held_out = mean_v(model, held_out.x, held_out.lengths)
    scores: dict[str, Score] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for moved in subsets(names):
            source, target = partners(labels, moved, seed)
            if len(source) < 2:
                continue
            swapped = _decoded(model, held_out.take(source), v_held_out[target])
            again = mean_v(model, *swapped[:2]).numpy()
            right = {n: classifiers[n].predict(again) == labels[n][target] for n in names}
            if len(names) > 1:
                right["all"] = np.all(list(right.values()), axis=0)
            for name, hits in right.items():
                scores[f"{_case(moved)}_told_{name}"] = interval(hits.astype(float), np.mean)
    return scores


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """All subsets of the factors, by size: none, each one, each pair and so on."""
    return [some for size in range(len(names) + 1) for some in combinations(names, size)]


def partners(labels: Labels, moved: Sequence[str], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clips, and for each a random target that differs in exactly the factors `moved`.

    Indices, [N] each; a clip without such a target is left out. With no factors, each clip is its
    own target.
    """
    table = np.stack([np.unique(column, return_inverse=True)[1] for column in labels.values()], 1)
    wanted = np.array([name in moved for name in labels])
    everyone = np.arange(len(table))
    if not wanted.any():
        return everyone, everyone
    rng, pairs = np.random.default_rng(seed), []
    for clip in everyone:
        fitting = np.flatnonzero(((table != table[clip]) == wanted).all(1))
        if len(fitting):
            pairs.append((clip, rng.choice(fitting)))
    source, target = np.array(pairs, dtype=int).reshape(-1, 2).T
    return source, target


def _decoded(model: Dsae, clips: LabelledBatch, v: torch.Tensor) -> LabelledBatch:
    """Decode samples of the clips' z with other global latents v [N, V]."""
    made = []
    for rows in np.array_split(np.arange(len(v)), -(-len(v) // CHUNK)):
        some = clips.take(rows)
        own = model.global_encoder(some.x, some.lengths).mean
        z = model.local_encoder(some.x, own, some.lengths).sample()
        made.append(model.decoder(z, v[rows].to(some.x.device), some.lengths))
    return LabelledBatch(torch.cat(made), clips.lengths, clips.labels)


def _case(moved: Sequence[str]) -> str:
    return f"swap_{'_and_'.join(moved)}" if moved else "rebuilt"


def _check(store: FeatureStore, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in store.labels]
    if missing:
        raise RavelError(f"{store.path} has no label column '{missing[0]}'.")
    for name in names:
        if any(len(set(store.labels[name][store.indices(s)])) < 2 for s in ("train", "validation")):
            raise RavelError(
                f"All clips of {store.path} have one {name}: swaps need a factor that varies."
            )
    if not names:
        raise RavelError(
            f"{store.path} has no global factor that varies ({', '.join(GLOBAL)}): there is "
            "nothing to swap."
        )
