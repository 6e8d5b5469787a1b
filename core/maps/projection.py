"""Points in two or three dimensions: PCA at once, UMAP in a process that writes to disk.

python -m core.maps.projection FOLDER SPACE SETTINGS is that process; `start` runs it. A folder
holds the projections of one model's encoding of the same clips; a space names which of its latents
the points are.

Letters: P points of D dimensions, Q queries that are not among them.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from core import jobs
from core.errors import RavelError
from core.files import replace, write_npz
from core.jobs import Files, Job, Progress

JUDGED = 2000  # points that trustworthiness is measured on: its cost is quadratic in them
LEAST = 4  # points that make a map
NEAREST = 5  # points whose median is the place of a query on a UMAP

Metric = Literal["cosine", "euclidean"]


@dataclass(frozen=True)
class Settings:
    """How points are laid out. All but the first two and the seed are UMAP's alone."""

    method: Literal["PCA", "UMAP"] = "PCA"
    dimensions: int = 2
    neighbours: int = 15
    min_dist: float = 0.1
    metric: Metric = "euclidean"
    epochs: int = 200
    seed: int = 0

    @property
    def key(self) -> str:
        """A name for files."""
        digest = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:12]
        return f"{self.method.lower()}-{self.dimensions}d-{digest}"


@dataclass(frozen=True, eq=False)
class Projection:
    """`points` [P, 2 or 3]; `trustworthiness` from 0 to 1 by `judged` points; `about`: settings,
    library versions, and for PCA the share of variance that each axis holds."""

    points: np.ndarray
    trustworthiness: float
    judged: int
    about: dict[str, Any]


def pca(x: np.ndarray, dimensions: int) -> tuple[np.ndarray, list[float]]:
    """Points x [P, D] on their principal axes [P, dimensions], and each axis's share of variance.

    Missing axes, where D or P is smaller, are zero.
    """
    from sklearn.decomposition import PCA

    axes = min(dimensions, *x.shape)
    fitted = PCA(axes, svd_solver="full").fit(x)
    points = np.zeros((len(x), dimensions), dtype=np.float32)
    points[:, :axes] = fitted.transform(x)
    shares = np.nan_to_num(fitted.explained_variance_ratio_).tolist()
    return points, [round(share, 4) for share in shares]


def umap(
    x: np.ndarray, settings: Settings, on_progress: Callable[[float], None] | None = None
) -> np.ndarray:
    """Points x [P, D] laid out by UMAP [P, dimensions] (McInnes, Healy and Melville 2018).

    scikit-learn's exact neighbours and a start from PCA make it several times cheaper. The same
    seed gives the same map. `on_progress` takes the part of the epochs that is done.
    """
    from sklearn.neighbors import NearestNeighbors
    from umap import UMAP

    count = min(settings.neighbours, len(x) - 1)
    search = NearestNeighbors(n_neighbors=count, metric=settings.metric).fit(x)
    distances, indices = search.kneighbors(x)
    layout = UMAP(
        n_neighbors=count,
        n_components=settings.dimensions,
        min_dist=settings.min_dist,
        metric=settings.metric,
        n_epochs=settings.epochs,
        init="pca",
        random_state=settings.seed,
        n_jobs=1,
        precomputed_knn=(indices, distances),
        force_approximation_algorithm=True,
        tqdm_kwds={"disable": on_progress is None, "file": _Meter(on_progress)},
    )
    return layout.fit_transform(x).astype(np.float32)


def trust(x: np.ndarray, points: np.ndarray, neighbours: int) -> tuple[float, int]:
    """scikit-learn's trustworthiness (Venna and Kaski 2001) and on how many points it was measured.

    1 when near points of the map are near in the original space x [P, D] too; above JUDGED points a
    seeded sample of them is judged.
    """
    from sklearn.manifold import trustworthiness

    if len(x) > JUDGED:
        some = np.random.default_rng(0).choice(len(x), JUDGED, replace=False)
        x, points = x[some], points[some]
    count = max(1, min(neighbours, (len(x) - 1) // 2))  # what it is defined for
    return float(trustworthiness(x, points, n_neighbors=count)), len(x)


def project(
    folder: Path,
    space: str,
    x: np.ndarray,
    settings: Settings,
    on_progress: Callable[[float], None] | None = None,
) -> Projection:
    """The projection of the points x [P, D], made and kept in `folder` if it is not there yet.

    RavelError when there are too few points, or nothing can be written.
    """
    found = read(folder, space, settings)
    if found:
        return found
    if len(x) < LEAST:
        raise RavelError(f"A map needs {LEAST} points or more, but there are {len(x)}.")
    about: dict[str, Any] = {"settings": asdict(settings), "versions": _versions(settings.method)}
    if settings.method == "PCA":
        points, about["explained"] = pca(x, settings.dimensions)
    else:
        points = umap(x, settings, on_progress)
    value, judged = trust(x, points, settings.neighbours)
    about |= {"trustworthiness": value, "judged": judged, "points": len(x)}
    _make(folder)
    write_npz(_path(folder, space, settings), points=points, about=np.array(json.dumps(about)))
    return Projection(points, value, judged, about)


def place(x: np.ndarray, made: Projection, queries: np.ndarray) -> np.ndarray:
    """Where `queries` [Q, D] lie on the map made of the points x [P, D]: [Q, dimensions].

    On PCA's by its own axes. UMAP has none: there it is the median of the NEAREST points' places,
    so that a far one does not pull it into the void between islands.
    """
    if made.about["settings"]["method"] == "PCA":
        centre = x.mean(axis=0, dtype=float)
        axes, *_ = np.linalg.lstsq(x - centre, made.points.astype(float), rcond=1e-6)
        return (queries - centre) @ axes
    metric = made.about["settings"]["metric"]
    near = [nearest(x, query, count=NEAREST, metric=metric)[0] for query in queries]
    return np.stack([np.median(made.points[some], axis=0) for some in near])


def nearest(
    x: np.ndarray, query: np.ndarray, *, count: int, metric: Metric
) -> tuple[np.ndarray, np.ndarray]:
    """The points of x [P, D] nearest to `query` [D]: their indices and distances, nearest first."""
    from sklearn.metrics import pairwise_distances

    distances = pairwise_distances(query[None], x, metric=metric)[0]
    order = np.argsort(distances, kind="stable")[:count]
    return order, distances[order]


def read(folder: Path, space: str, settings: Settings) -> Projection | None:
    """A finished projection, or None."""
    try:
        with np.load(_path(folder, space, settings), allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            return Projection(file["points"], about["trustworthiness"], about["judged"], about)
    except (OSError, KeyError, ValueError, EOFError):
        return None


# -- the process beside the page ---------------------------------------------------------------


_worker = jobs.Worker("core.maps.projection")


def warm_up() -> None:
    """Start a process that has UMAP compiled: from then on it makes this process's projections.

    Compiling takes longer than laying out thousands of points, and every process has to do it.
    """
    _worker.start()


def cool_down() -> None:
    """End that process."""
    _worker.stop()


def start(folder: Path, space: str, x: np.ndarray, settings: Settings) -> None:
    """Project the points x [P, D] in a process of its own, which outlives the caller, unless one
    is at work on them; after `warm_up` in the process that is ready. Raises RavelError where
    nothing can be written."""
    if read(folder, space, settings):
        return
    points = _path(folder, space, settings).with_suffix(".npy")
    if _worker.pid is not None:
        _worker.start()  # again, where it has ended
    _job(folder, space, settings).start(
        "Compiling UMAP, which takes a while the first time",
        prepare=lambda: replace(points, lambda temporary: _save(temporary, x)),
        worker=_worker if _worker.pid is not None else None,
    )


def progress(folder: Path, space: str, settings: Settings) -> Progress:
    """How far it is; a process that was killed has failed."""
    job = _job(folder, space, settings)
    return job.progress(lambda: read(folder, space, settings) is not None)


def _job(folder: Path, space: str, settings: Settings) -> Job:
    name = _path(folder, space, settings).stem
    arguments = [str(folder.resolve()), space, json.dumps(asdict(settings))]
    files = Files(f"{name}.lock", f"{name}.log", f"{name}.json")
    return Job(folder, "core.maps.projection", arguments, files)


def _project(arguments: list[str], report: jobs.Report) -> None:
    """The process's work: one projection of the points that `start` has left beside it."""
    folder, space, settings = Path(arguments[0]), arguments[1], Settings(**json.loads(arguments[2]))
    points = _path(folder, space, settings).with_suffix(".npy")

    def on_progress(part: float) -> None:
        report(part, "Laying out the points")

    on_progress(0.0)
    project(folder, space, _load(points), settings, on_progress)
    points.unlink(missing_ok=True)


def _compile() -> None:
    """Let numba compile UMAP, for two and for three dimensions."""
    x = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
    for dimensions in (2, 3):
        umap(x, Settings("UMAP", dimensions, epochs=5))
    trust(x, x[:, :2], 5)


class _Meter:
    """Where tqdm writes its bar: only the percentage is read."""

    def __init__(self, on_progress: Callable[[float], None] | None) -> None:
        self.on_progress = on_progress

    def write(self, text: str) -> None:
        found = re.search(r"(\d+)%", text)
        if found and self.on_progress:
            self.on_progress(int(found[1]) / 100)

    def flush(self) -> None:
        """Required of a file; nothing is buffered here."""


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise RavelError(f"{path} holds no points: ask for the map again.") from error


def _save(path: Path, x: np.ndarray) -> None:
    with open(path, "wb") as file:  # by a name, np.save would add an ending
        np.save(file, x)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RavelError(f"{folder} cannot be written ({error.strerror}).") from error


def _path(folder: Path, space: str, settings: Settings) -> Path:
    return folder / f"{space}-{settings.key}.npz"


def _versions(method: str) -> dict[str, str]:
    from importlib.metadata import version

    names = ["scikit-learn", *(["umap-learn", "numba"] if method == "UMAP" else [])]
    return {name: version(name) for name in names}


if __name__ == "__main__":
    sys.exit(jobs.main(_project, ready=_compile))
