"""python -m tests.benchmarks [NAME ...]: run the benchmarks, or those named (audio, dsae, ...)."""

import importlib
import sys
from pathlib import Path


def main() -> None:
    here = Path(__file__).parent
    known = sorted(path.stem.removeprefix("bench_") for path in here.glob("bench_*.py"))
    for name in sys.argv[1:] or known:
        if name not in known:
            sys.exit(f"There is no benchmark called {name!r}: choose from {', '.join(known)}.")
        print(f"== {name}", flush=True)
        importlib.import_module(f"tests.benchmarks.bench_{name}").main()


main()
