"""A checkpoint's instrument table: each instrument's mean v, and which of them a v is near.

It is stored beside the weights in instruments.json, which `python -m core instruments` writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core.checkpoints.checkpoint import Checkpoint
from core.errors import RavelError
from core.files import write_json

if TYPE_CHECKING:
    from core.data.store import FeatureStore
    from core.dsae.latents import Disentangler

FILE = "instruments.json"
CLIPS = 300  # of each instrument at most: more hardly change its mean
RIDGE = 1e-4  # added to the variances of v, so that unused dimensions do not matter
FEWEST = 2  # clips of an instrument
SHOWN = 10  # values of a label that an error names


class Likeness(NamedTuple):
    """How likely a v is of an instrument: `share` sums to 1 over the table."""

    name: str
    share: float


@dataclass(frozen=True, eq=False)
class InstrumentTable:
    """Instruments by name, with their mean v, `means` [K, V].

    `within` [V, V] is the covariance within a class, shared by all; `clips` [K] are the numbers of
    clips in the store.
    """

    names: tuple[str, ...]
    means: np.ndarray
    within: np.ndarray
    clips: tuple[int, ...]
    store: str

    def mean(self, name: str) -> np.ndarray:
        """An instrument's mean v [V]. Raises RavelError naming the choices if it is missing."""
        wanted = instrument_name(name)
        if wanted not in self.names:
            raise RavelError(
                f"The model has no instrument called {name!r}: choose one of "
                f"{', '.join(self.names)}."
            )
        return self.means[self.names.index(wanted)]

    def likeness(self, v: np.ndarray) -> list[Likeness]:
        """How likely a v [V] is of each instrument, most likely first.

        The posterior under Gaussians about the means with equal priors, as in linear discriminant
        analysis.
        """
        distance = np.square(self._whitened(self.means) - self._whitened(v)).sum(1)
        share = np.exp(-0.5 * (distance - distance.min()))
        share /= share.sum()
        order = np.argsort(distance, kind="stable")
        return [Likeness(self.names[i], float(share[i])) for i in order]

    def plane(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project the means [K, 2] and some v [N, V] to [N, 2], where instruments differ most.

        The first two discriminant axes; 1 is a standard deviation within a class.
        """
        means = self._whitened(self.means)
        centre = means.mean(0)
        axes = np.linalg.svd(means - centre)[2][:2]
        axes = axes * np.where(axes.sum(1, keepdims=True) < 0, -1, 1)  # fix the signs
        axes = np.pad(axes, ((0, 2 - len(axes)), (0, 0)))  # if v has one dimension
        return (means - centre) @ axes.T, (self._whitened(v) - centre) @ axes.T

    def _whitened(self, v: np.ndarray) -> np.ndarray:
        """v [..., V] transformed so that the covariance within a class is the identity."""
        root = np.linalg.cholesky(self.within + RIDGE * np.eye(len(self.within)))
        return np.linalg.solve(root, np.asarray(v, np.float64).T).T


def instrument_name(name: str) -> str:
    """The normalised name of an instrument: `Tenor-Saxophone` is `tenor saxophone`."""
    return " ".join(name.replace("-", " ").replace("_", " ").casefold().split())


def read_instruments(checkpoint: Checkpoint) -> InstrumentTable | None:
    """A checkpoint's instrument table, or None. Raises RavelError for a damaged file."""
    path = checkpoint.path / FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = tuple(map(str, content["instruments"]))
        rows = [content["instruments"][name] for name in names]
        means = np.array([row["v"] for row in rows], np.float64)
        within = np.array(content["within"], np.float64)
        clips = tuple(int(row["clips"]) for row in rows)
        found = InstrumentTable(names, means, within, clips, str(content["store"]))
        model = checkpoint.config["model"]
        size = (len(names), int(model["v_size"]) + int(model.get("equaliser", 0)))
        right = means.shape == size and within.shape == (size[1], size[1]) and names
        if not (right and np.isfinite(means).all() and (np.linalg.eigvalsh(within) > -1e-6).all()):
            raise ValueError("shapes")
    except (OSError, ValueError, KeyError, TypeError, np.linalg.LinAlgError):
        raise RavelError(
            f"The checkpoint {checkpoint.path} has a damaged {FILE}: restore the file, or make it "
            f"again with python -m core instruments."
        ) from None
    return found


def compute_instruments(
    model: Disentangler,
    store: FeatureStore,
    factor: str = "instrument",
    *,
    where: tuple[str, str] | None = None,
    progress: Callable[[int, int], Any] = lambda done, of: None,
    seed: int = 0,
) -> InstrumentTable:
    """The mean v of each instrument in a store's training clips, encoded by a model.

    `where`, a label column and a value, chooses among the clips. Raises RavelError for a store
    without such labels or with too few clips.
    """
    rows = store.indices("train")
    if where is not None:
        rows = _chosen(store, rows, *where)
    if factor not in store.labels or not len(rows):
        raise RavelError(
            f"{store.path} has no training clips with the label {factor!r}: choose another store."
        )
    labels = np.array([instrument_name(str(label)) for label in store.labels[factor][rows]])
    names, counts = np.unique(labels, return_counts=True)
    if counts.min() < FEWEST:
        raise RavelError(f"{store.path} has only one clip of {names[counts.argmin()]}: add more.")
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(rows[labels == name])[:CLIPS] for name in names]
    total = sum(map(len, chosen))
    v: list[list[np.ndarray]] = [[] for _ in names]
    for found, clips in zip(v, chosen, strict=True):
        for row in clips:
            x = store.log_mel[row][: store.lengths[row]]
            found.append(model.encode(np.asarray(x, np.float32)).v.numpy())
            progress(sum(map(len, v)), total)
    means = np.stack([np.mean(found, axis=0) for found in v])
    within = np.mean([np.atleast_2d(np.cov(np.stack(found).T)) for found in v], axis=0)
    return InstrumentTable(
        tuple(map(str, names)), means, within, tuple(map(int, counts)), store.path.name
    )


def _chosen(store: FeatureStore, rows: np.ndarray, column: str, value: str) -> np.ndarray:
    if column not in store.labels:
        raise RavelError(
            f"{store.path} has no label column called {column!r}: there are "
            f"{', '.join(store.labels)}."
        )
    labels = store.labels[column][rows]
    if value not in labels:
        values = ", ".join(sorted(set(map(str, labels)))[:SHOWN])
        raise RavelError(f"No training clip of {store.path} has {column} {value!r}, but {values}.")
    return rows[labels == value]


def write_instruments(checkpoint: Checkpoint, table: InstrumentTable) -> Path:
    """Write instruments.json beside the weights. Raises RavelError for a copy from the Hub."""
    checkpoint.check_ours()
    instruments = {
        name: {"clips": clips, "v": [round(float(x), 5) for x in mean]}
        for name, clips, mean in zip(table.names, table.clips, table.means, strict=True)
    }
    within = [[round(float(x), 6) for x in row] for row in table.within]
    content = {"store": table.store, "instruments": instruments, "within": within}
    write_json(checkpoint.path / FILE, content)
    return checkpoint.path / FILE
