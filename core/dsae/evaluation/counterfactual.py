"""Swaps compared with the true rendering: the same melody played by the other instrument."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.data.store import FeatureStore
from core.dsae.evaluation.swap_f1 import read_split
from core.dsae.layers import masked_mean
from core.dsae.model import Dsae
from core.statistics import interval


@torch.no_grad()
def counterfactual(
    model: Dsae, store: FeatureStore, factor: str, device: torch.device | str = "cpu"
) -> dict[str, Any]:
    """Swap each validation clip to another label's mean v and compare with the true rendering.

    The store's `counterfactual` split holds the same melodies rendered with the other labels. If
    octaves vary too, the mean is over clips of the same label and octave. Renderings with a label
    that no validation clip has are left out; with fewer than two left, the result is empty.
    """
    floor = model.config.floor
    held_out = read_split(store, "validation", factor, floor, device)
    truth = read_split(store, "counterfactual", factor, floor, device)
    melody = store.labels["melody"]
    first = {m: i for i, m in enumerate(melody[store.indices("validation")])}
    origin = np.array([first[m] for m in melody[store.indices("counterfactual")]])

    kinds, wanted = (_kinds(store, split, factor) for split in ("validation", "counterfactual"))
    usable = np.flatnonzero(np.isin(wanted, kinds))
    if len(usable) < 2:
        return {}
    origin, truth, wanted = origin[usable], truth.take(usable), wanted[usable]
    q_v, q_z = model.encode(held_out.x, held_out.lengths)
    means = {kind: q_v.mean[torch.from_numpy(kinds == kind)].mean(0) for kind in np.unique(kinds)}
    v = torch.stack([means[kind] for kind in wanted])
    swapped = model.decoder(q_z.mean[origin], v, truth.lengths)
    to_truth = errors(swapped, truth.x, truth.lengths)
    to_original = errors(swapped, held_out.x[origin], truth.lengths)
    return {
        "counterfactual_error": interval(to_truth, np.mean),
        "counterfactual_closer": interval((to_truth < to_original).astype(float), np.mean),
    }


def _kinds(store: FeatureStore, split: str, factor: str) -> np.ndarray:
    """What v should represent of each clip of a split, as one string: its label and octave."""
    names = dict.fromkeys(name for name in (factor, "octave") if name in store.labels)
    columns = [store.labels[name][store.indices(split)] for name in names]
    return np.array([" ".join(words) for words in zip(*columns, strict=True)])


def errors(x: Tensor, y: Tensor, lengths: Tensor | None) -> np.ndarray:
    """Mean squared difference of two batches of log-mels for each clip, [N]."""
    return masked_mean((x - y).square(), lengths).mean(1).cpu().numpy()
