"""How the latents of a few clips moved during training: their values at each saved state.

Letters: K saved states, N clips, V and Z sizes of v and z. Nothing here needs torch.
"""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from core.files import write_npz
from core.maps.projection import pca

FILE = "latents.npz"


class Trajectory(NamedTuple):
    """`points` [K, N, 2] at the K `steps`, on axes that hold for all of them; `labels` [N];
    `shares`, the part of the variance that each axis holds."""

    steps: list[int]
    labels: np.ndarray
    points: np.ndarray
    shares: list[float]

    @property
    def reach(self) -> float:
        """The largest distance of a point from the centre along either axis."""
        return float(np.abs(self.points).max())


def write(folder: Path, v: np.ndarray, z: np.ndarray, labels: np.ndarray) -> None:
    """Keep v [N, V], time-averaged z [N, Z] and labels [N] of a saved state."""
    folder.mkdir(parents=True, exist_ok=True)
    write_npz(folder / FILE, v=v, z=z, label=labels.astype(str))


def read(states: dict[int, Path], space: Literal["v", "z"]) -> Trajectory | None:
    """The trajectory through the folders of saved states, by step; None where none holds latents.

    One PCA is fitted to all states together, so that points move from one to the next while the
    axes stay. Each state is centred first: the mean of all clips has no meaning, and its drift
    would take up the first axis.
    """
    found = {step: _read(folder / FILE, space) for step, folder in states.items()}
    kept = {step: both for step, both in sorted(found.items()) if both is not None}
    if not kept:
        return None
    last, labels = kept[max(kept)]
    alike = {  # states of another corpus or model cannot be compared with it
        step: points
        for step, (points, names) in kept.items()
        if points.shape == last.shape and (names == labels).all()
    }
    stacked = np.concatenate([points - points.mean(0) for points in alike.values()])  # [K * N, D]
    laid_out, shares = pca(stacked, 2)
    return Trajectory(list(alike), labels, laid_out.reshape(len(alike), -1, 2), shares)


def _read(path: Path, space: str) -> tuple[np.ndarray, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            points, labels = file[space].astype(np.float32), file["label"]
    except (OSError, KeyError, ValueError, EOFError):  # none was written, or it is damaged
        return None
    fits = points.ndim == 2 and len(points) == len(labels) and np.isfinite(points).all()
    return (points, labels) if fits else None
