"""A separator and a model with three instruments for the Remix page, small and untrained."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from core.checkpoints import checkpoint as checkpoints
from core.dsae.instruments import InstrumentTable, write_instruments
from tests.lab import separators

INSTRUMENTS = ("bassoon", "flute", "violin")


@pytest.fixture(scope="session")
def both(untrained, tmp_path_factory) -> Path:
    """A folder of separators and of a model that knows three instruments."""
    folder = separators.build(tmp_path_factory.mktemp("both"))
    for checkpoint in untrained.iterdir():
        shutil.copytree(checkpoint, folder / checkpoint.name)
    means = np.random.default_rng(0).normal(size=(3, 16))
    table = InstrumentTable(INSTRUMENTS, means, np.eye(16), (9, 9, 9), "instruments")
    write_instruments(checkpoints.Checkpoint(folder / "ts-dsae-players"), table)
    return folder
