"""The process that encodes a store, which `maps.start` runs:

python -m core.dsae.encoding STORE CHECKPOINT CACHE [SPLIT]

What it has done so far are the files of `maps.encode_store`; a killed one goes on where it was.
"""

import os
import sys
from pathlib import Path

from core.checkpoints import checkpoint as checkpoints
from core.data.store import FeatureStore
from core.dsae import maps
from core.errors import RavelError


def main(arguments: list[str]) -> int:
    """Encode, and say in one sentence why it failed."""
    path, checkpoint, cache, *split = arguments
    try:
        store = FeatureStore.open(path)
        found = checkpoints.find(checkpoint)
        maps.encode_store(store, found, Path(cache), split[0] if split else None)
    except RavelError as error:
        print(error)
        return 2
    return 0


if __name__ == "__main__":
    os.nice(10)  # whoever listens to the lab comes first
    sys.exit(main(sys.argv[1:]))
