"""The instruments that a checkpoint knows: where each lies among global latents, and who is near.

They lie beside the weights in instruments.json, which `python -m core instruments` writes.
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
CLIPS = 300  # of each instrument at most: more do not move its mean
RIDGE = 1e-4  # variance of v beside which an unused dimension's is nothing
FEWEST = 2  # clips of an instrument


class Likeness(NamedTuple):
    """How like an instrument a v is: `share` sums to 1 over all that are known."""

    name: str
    share: float


@dataclass(frozen=True, eq=False)
class InstrumentTable:
    """Instruments by name: their mean v, `means` [K, V], and how v spreads about them, [V, V].

    `within` is the covariance inside a class, the same for all, and `clips` [K] how many there
    were in the store.
    """

    names: tuple[str, ...]
    means: np.ndarray
    within: np.ndarray
    clips: tuple[int, ...]
    store: str

    def mean(self, name: str) -> np.ndarray:
        """An instrument's mean v [V]. Raises RavelError naming those there are."""
        wanted = instrument_name(name)
        if wanted not in self.names:
            raise RavelError(
                f"There is no instrument called {name!r} among those that the model knows: choose "
                f"{', '.join(self.names)}."
            )
        return self.means[self.names.index(wanted)]

    def likeness(self, v: np.ndarray) -> list[Likeness]:
        """How like each instrument a v [V] is, the likest first.

        The posterior of Gaussians about the means, each instrument as likely as the others
        beforehand: what linear discriminant analysis says.
        """
        away = self._whitened(self.means) - self._whitened(v)
        distance = np.square(away).sum(1)
        share = np.exp(-0.5 * (distance - distance.min()))
        share /= share.sum()
        order = np.argsort(distance, kind="stable")
        return [Likeness(self.names[i], float(share[i])) for i in order]

    def plane(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The means [K, 2] and some v [N, V] as [N, 2], where the instruments lie furthest apart.

        The first two discriminant axes; 1 is a standard deviation inside a class.
        """
        means = self._whitened(self.means)
        centre = means.mean(0)
        axes = np.linalg.svd(means - centre)[2][:2]
        axes = axes * np.where(axes.sum(1, keepdims=True) < 0, -1, 1)  # a side of its own
        axes = np.pad(axes, ((0, 2 - len(axes)), (0, 0)))  # of a v of one number
        return (means - centre) @ axes.T, (self._whitened(v) - centre) @ axes.T

    def _whitened(self, v: np.ndarray) -> np.ndarray:
        """v [..., V] where classes spread alike in all directions."""
        root = np.linalg.cholesky(self.within + RIDGE * np.eye(len(self.within)))
        return np.linalg.solve(root, np.asarray(v, np.float64).T).T


def instrument_name(name: str) -> str:
    """An instrument's name as it is kept: `Tenor-Saxophone` is `tenor saxophone`."""
    return " ".join(name.replace("-", " ").replace("_", " ").casefold().split())


def read_instruments(checkpoint: Checkpoint) -> InstrumentTable | None:
    """The instruments that a checkpoint knows, None if it was never told of any.

    Raises RavelError for a damaged file.
    """
    path = checkpoint.path / FILE
    if not path.exists():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        names = tuple(map(str, told["instruments"]))
        rows = [told["instruments"][name] for name in names]
        means = np.array([row["v"] for row in rows], np.float64)
        within = np.array(told["within"], np.float64)
        clips = tuple(int(row["clips"]) for row in rows)
        found = InstrumentTable(names, means, within, clips, str(told["store"]))
        size = (len(names), int(checkpoint.config["model"]["v_size"]))
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
    progress: Callable[[int, int], Any] = lambda done, of: None,
    seed: int = 0,
) -> InstrumentTable:
    """The instruments of a store's training clips, as a model hears them.

    Raises RavelError for a store without such labels or with too few clips.
    """
    rows = store.indices("train")
    if factor not in store.labels or not len(rows):
        raise RavelError(
            f"{store.path} has no training clips with the label {factor!r}: choose another store."
        )
    labels = np.array([instrument_name(str(label)) for label in store.labels[factor][rows]])
    names, counts = np.unique(labels, return_counts=True)
    if counts.min() < FEWEST:
        raise RavelError(f"{store.path} has one clip alone of {names[counts.argmin()]}: add more.")
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


def write_instruments(checkpoint: Checkpoint, known: InstrumentTable) -> Path:
    """Put instruments.json beside the weights. Raises RavelError for a copy of the Hub's."""
    checkpoint.check_ours()
    instruments = {
        name: {"clips": clips, "v": [round(float(x), 5) for x in mean]}
        for name, clips, mean in zip(known.names, known.clips, known.means, strict=True)
    }
    within = [[round(float(x), 6) for x in row] for row in known.within]
    told = {"store": known.store, "instruments": instruments, "within": within}
    write_json(checkpoint.path / FILE, told)
    return checkpoint.path / FILE
