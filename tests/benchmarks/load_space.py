"""The former name of `tests.benchmarks.load_demo`, so that its documented command still works."""

import sys

from tests.benchmarks.load_demo import main

if __name__ == "__main__":
    sys.exit(main())
