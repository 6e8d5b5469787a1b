"""The Find page with encoders that Ravel did not train."""

import shutil

import numpy as np
import pytest

from core.checkpoints import checkpoint as checkpoints
from core.contrastive.external import folder
from core.contrastive.index import Index, unit
from core.service.mixtures import MixtureSource
from lab.find import data as find_data
from lab.find.query_on_map import MapQuery
from tests.lab.find.test_find_page import ranked, shown


@pytest.fixture
def table(find_page, store, scene_models, tmp_path, monkeypatch) -> np.ndarray:
    """The embeddings of the store's clips in a table, as the page is to use it."""
    models = shutil.copytree(scene_models, tmp_path / "checkpoints")
    monkeypatch.setattr(checkpoints, "SHIPPED", models)
    h = np.random.default_rng(0).standard_normal((len(store), 5)).astype(np.float32)
    np.savez(tmp_path / "table.npz", names=store.labels["name"], h=h)
    folder.make_table(models / "birds", tmp_path / "table.npz")
    find_page.query_params["encoder"] = "birds"
    return h


def test_clips_in_a_table_are_searched_for_by_their_names(find_page, store, table):
    page = find_page.run()
    assert not page.exception and not page.error and not shown(page)
    assert "is a table of embeddings" in page.info[0].value
    row = 7
    page.selectbox(key="find_clip").set_value(store.labels["name"][row]).run()
    assert not page.exception and not page.error and not page.info
    corpus = find_data.corpora()["scenes"]
    own = find_data.same_recording(corpus, row)
    expected = Index.of(table).nearest(table[row], 10, without=own)
    assert shown(page) == ranked(store, expected)

    page.segmented_control(key="find_what_of_2").set_value("Channel 1").run()
    assert not page.exception and not shown(page)
    assert "none of other sounds or channels" in page.info[0].value

    birds = checkpoints.find("birds")
    query = find_data.query(taken_of(corpus, row), place=(corpus, row))
    assert np.allclose(MapQuery("a clip", {"Query": query}).vectors(birds), unit(table[[row]]))


def taken_of(corpus, row):
    clip = find_data.clip(corpus, row)
    return MixtureSource(clip.name, (clip,))


def test_a_table_that_lacks_clips_says_which(find_page, store, table, tmp_path):
    names = store.labels["name"]
    np.savez(tmp_path / "less.npz", names=names[:-1], h=table[:-1])
    folder.make_table(checkpoints.SHIPPED / "birds", tmp_path / "less.npz")
    find_page.query_params["clip"] = f"scenes/{names[0]}"
    page = find_page.run()
    assert not page.exception
    assert f"no embedding of 1 of the {len(store)} clips of scenes" in page.error[0].value
