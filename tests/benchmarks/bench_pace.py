"""What a page's run ends with: Streamlit's search for garbage, among all that is imported or not.

    python -m tests.benchmarks pace

Best of several, in CPU-seconds; nobody is answered meanwhile. With what the lab's pages import.
"""

import gc
import importlib

from lab import pace
from tests.benchmarks.bench_audio import compare

IMPORTED = ("streamlit", "torch", "plotly.graph_objects", "core.playing", "core.vocoder.vocode")


def main() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    print("a search for garbage; the ratio is to the last row")

    def spared() -> None:
        pace._spared = 0  # as before anything was imported
        pace.spare_imports()
        gc.collect()

    def all_searched() -> None:
        gc.unfreeze()
        gc.collect()

    compare({"imports spared": spared, "all searched": all_searched}, 5)


if __name__ == "__main__":
    main()
