"""What every test may ask for."""

import os
from pathlib import Path

import pytest

# Before torch is imported: threads that wait for each other cost more than they bring.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of the bundled recordings, with their metadata.csv."""
    return ROOT / "lab" / "examples"
