"""The corpus that ships: unpacked beside the caller, with the maps that ship of it."""

import json
import shutil
import time

import numpy as np
import pytest

from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT, list_checkpoints
from core.maps import projection
from core.service import corpora, included, maps
from core.service.maps import MapSpec, Subset
from lab.bundled import INCLUDED


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder into which the shipped corpus was unpacked by the process."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "DATA", folder)
        assert not included.is_there(INCLUDED)
        included.start(INCLUDED)
        deadline = time.monotonic() + 300
        while (progress := included.progress(INCLUDED)).state == "running":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert progress.state == "done", progress
        assert included.is_there(INCLUDED)
        while included._job(INCLUDED).is_running:  # it goes on with encoding
            time.sleep(0.1)
    return folder


def spec(data, name) -> MapSpec:
    """The map of the whole corpus by a shipped model."""
    every = [one for system in ("dsae", "contrastive") for one in list_checkpoints(system)]
    checkpoint = next(one for one in every if one.name == name)
    space = "h" if name == "scenes-encoder" else "v"
    return MapSpec(Subset(data / included.NAME, None), checkpoint, space)


def test_it_has_over_three_hundred_clips_with_sound_and_is_a_few_megabytes(data):
    store = corpora.open_store(data / included.NAME)
    assert len(store) > 300 and store.has_audio
    assert sum(file.stat().st_size for file in INCLUDED.rglob("*") if file.is_file()) < 5e6
    assert all(store.labels["credit"]) and all(store.labels["title"])
    assert 0 < len(store.indices("validation")) < len(store.indices("train")) / 4


@pytest.mark.parametrize("name", [DEFAULT_CHECKPOINT, "scenes-encoder"])
def test_its_umap_ships_and_is_that_of_the_clips(data, name, monkeypatch):
    monkeypatch.setattr(corpora, "DATA", data)
    one = spec(data, name)
    if not (INCLUDED / "maps" / f"{name}-{one.checkpoint.digest[:16]}").exists():
        pytest.skip(f"{name} was replaced: run `python -m lab.map.included --again`.")
    made = maps.projection(one, included.LAYOUT)
    assert made is not None and made.points.shape == (
        len(corpora.columns(one.subset.store)["name"]),
        2,
    )
    points = maps.points(one).points(one.space)
    trust, _ = projection.trust(points, made.points, included.LAYOUT.neighbours)
    assert trust == pytest.approx(made.trustworthiness, abs=0.01)  # of these very clips


def test_an_older_version_is_replaced(data, tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "DATA", tmp_path)
    shutil.copytree(data / included.NAME, tmp_path / included.NAME)
    about = tmp_path / included.NAME / "store.json"
    old = json.loads(about.read_text())
    old["settings"]["pack"] = "of last year"
    about.write_text(json.dumps(old))
    assert not included.is_there(INCLUDED)
    monkeypatch.setattr(included, "list_checkpoints", lambda system: [])
    store = included.unpack(INCLUDED, tmp_path)
    assert included.is_there(INCLUDED) and np.isfinite(store.log_mel[0]).all()
