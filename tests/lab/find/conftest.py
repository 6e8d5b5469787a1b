"""The Find page, its corpus and its encoder."""

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.checkpoints import checkpoint as checkpoints
from core.contrastive.embed import load
from core.contrastive.index import Index, wave
from core.data.store import FeatureStore
from core.service import corpora
from lab.find import data as find_data

PAGE = "lab/pages/find.py"


@pytest.fixture
def find_page(page, scene_models, scene_data, tmp_path, monkeypatch) -> AppTest:
    """The Find page, not run yet."""
    monkeypatch.setattr(checkpoints, "SHIPPED", scene_models)
    monkeypatch.setattr(corpora, "DATA", Path(shutil.copytree(scene_data, tmp_path / "data")))
    return page.switch_page(PAGE)


@pytest.fixture
def bundled(find_page) -> AppTest:
    """The page that searches the bundled examples, not run yet."""
    find_page.query_params["find_corpus"] = find_data.BUNDLED
    return find_page


@pytest.fixture
def store(find_page) -> FeatureStore:
    return FeatureStore.open(corpora.DATA / "scenes")


@pytest.fixture
def model(scene_models):
    return load(scene_models / "scenes-encoder")


@pytest.fixture
def index(model, store) -> Index:
    return Index.of(model.embed_many(wave(store, i) for i in range(len(store))).numpy())
