"""Contrastive: a query to an index of 100,000 embeddings, against other exact searches.

    python -m tests.benchmarks contrastive

CPU-seconds for the ten nearest of 100,000 x 128 by cosine distance, best of several on one thread;
ratios compare what ran in the same process. It reports where a search finds other clips.
"""

import numpy as np
import torch
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from core.contrastive.index import Index
from tests.benchmarks.bench_audio import compare

CLIPS, SIZE, COUNT = 100_000, 128, 10


def main() -> None:
    torch.set_num_threads(1)
    with threadpool_limits(1):
        search()


def search() -> None:
    print(f"the {COUNT} nearest of {CLIPS:,} x {SIZE}; the ratio is to the loop")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((CLIPS, SIZE), dtype=np.float32)
    query = rng.standard_normal(SIZE, dtype=np.float32)
    index, some = Index.of(x), rng.random(CLIPS) < 0.1
    judge = NearestNeighbors(n_neighbors=COUNT, metric="cosine", algorithm="brute").fit(x)
    expected = index.nearest(query, COUNT).rows
    of_some = index.nearest(query, COUNT, among=some).rows
    ways = {
        "index": lambda: index.nearest(query, COUNT).rows,
        "scikit-learn, brute": lambda: judge.kneighbors(query[None])[1][0],
        "SciPy, cdist": lambda: cdist(query[None], x, "cosine")[0].argsort()[:COUNT],
        "index, of a tenth": lambda: index.nearest(query, COUNT, among=some).rows,
        "loop": lambda: loop(query, x),
    }

    def remark(rows: np.ndarray) -> str:
        right = any(np.array_equal(rows, known) for known in (expected, of_some))
        return "" if right else "OTHER CLIPS"

    compare(ways, 5, remark)


def loop(query: np.ndarray, x: np.ndarray) -> list[int]:
    length = np.linalg.norm(query)
    distances = [1 - row @ query / (length * np.linalg.norm(row)) for row in x]
    return sorted(range(len(x)), key=distances.__getitem__)[:COUNT]


if __name__ == "__main__":
    main()
