"""Small stores, built once."""

from __future__ import annotations

from typing import Any

import pytest

from core.data import dmelodies
from core.data.store import FeatureStore

SMALL: dict[str, Any] = {"count": 110, "synthesiser": "tinysoundfont", "workers": 1}


@pytest.fixture(scope="session")
def small_settings() -> dict[str, Any]:
    return SMALL | {"progress": False}


@pytest.fixture(scope="session")
def small_store(tmp_path_factory, small_settings) -> FeatureStore:
    """110 dMelodies with their counterfactuals, in five chunks."""
    return dmelodies.build(tmp_path_factory.mktemp("small") / "store", **small_settings)
