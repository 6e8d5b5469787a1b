"""The process that encodes a store, which `maps.start` runs:

python -m core.dsae.encoding STORE CHECKPOINT CACHE [SPLIT]

Its work so far is in the files of `maps.encode_store`, so a killed one continues where it was.
"""

import sys
from pathlib import Path

from core import jobs
from core.checkpoints.checkpoint import find
from core.data.store import FeatureStore
from core.dsae import maps


def encode(arguments: list[str], report: jobs.Report) -> None:
    """Encode a store's split. Raises RavelError as `maps.encode_store` does."""
    path, checkpoint, cache, *split = arguments
    store, found = FeatureStore.open(path), find(checkpoint)
    on_progress = jobs.counting(report, "encoded")
    maps.encode_store(store, found, Path(cache), split[0] if split else None, on_progress)


if __name__ == "__main__":
    sys.exit(jobs.main(encode))
