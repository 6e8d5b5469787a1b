"""HEAR modules as encoders: a real one at 44.1 kHz, and our own as somebody else's."""

import json
import shutil
import sys
import textwrap

import numpy as np
import pytest
import soundfile
import soxr
import torch

from core import registry, statistics
from core.checkpoints import checkpoint as checkpoints
from core.cli import main
from core.contrastive import evaluate, index, report
from core.contrastive.embed import Embedder, load
from core.contrastive.external import folder
from core.contrastive.model import Contrastive
from core.data.store import FeatureStore
from core.errors import RavelError
from core.service import maps
from tests.conftest import built_once


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 40)
    monkeypatch.setattr(evaluate, "EPOCHS", 4)
    monkeypatch.setattr(evaluate, "EPISODES", 10)


@pytest.fixture(scope="session")
def ours(tmp_path_factory):
    """A checkpoint of random weights."""
    model = {"encoder": "small", "width": 8, "embedding": 16, "head": 16}
    config = registry.parse({"system": "contrastive", "model": model})
    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("checkpoints") / "ours"
    return checkpoints.write(out, config.model_dump(), Contrastive(config.model).state_dict()).path


@pytest.fixture(scope="session")
def patches(tmp_path_factory, scenes):
    """The scenes cut so that a clip is one patch of our encoder, 95 frames; in six classes, of
    which three are whistles, so that scores are neither 0 nor 1."""
    from core.data import folder as folders

    home = tmp_path_factory.mktemp("patches")
    store = FeatureStore.open(scenes)
    rows = ["file,label,fold"]
    for row in range(len(store)):
        soundfile.write(home / f"{row}.wav", store.clip(row).wave[: 61 * 256], 16_000)
        rows.append(f"{row}.wav,{store.labels['label'][row]}{row % 3},{store.labels['fold'][row]}")
    (home / "metadata.csv").write_text("\n".join(rows) + "\n")
    cut = {"seconds": 0.976, "validation_fold": "4", "workers": 1, "progress": False}
    return built_once(tmp_path_factory, "patches", lambda out: folders.build(home, out, **cut))


def made(path, *words):
    return main(["encoder", str(path), *map(str, words)])


def kept(path, store):
    return json.loads((path / "metrics.json").read_text())[store.name]


def test_a_module_in_a_file_embeds_sounds_resampled_to_its_rate(statistics, tmp_path, capsys):
    assert made(tmp_path / "mine", "--hear", statistics) == 0
    said = capsys.readouterr().out
    assert "48 numbers" in said and "44100 Hz" in said and "above 8 kHz is missing" in said
    model = load(tmp_path / "mine")
    assert (model.name, model.size) == ("mine", 48) and not isinstance(model, Embedder)
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 20_000).astype(np.float32)
    h = model.embed(wave)
    names: dict = {}
    exec(statistics.read_text(), names)
    resampled = torch.from_numpy(soxr.resample(wave, 16_000, 44_100, quality="VHQ"))[None]
    expected = names["get_scene_embeddings"](resampled, names["load_model"]())[0]
    assert torch.allclose(h, expected, atol=1e-4)
    along = model.timeline(wave, 0.5)
    assert along.h.shape == (3, 48)
    assert np.allclose(along.times, [0, 0.5, 1], atol=0.012)  # to its own frames, 23 ms apart
    with pytest.raises(RavelError, match="not numbers"):
        model.embed(np.full(16_000, np.nan, np.float32))


def test_it_is_listed_scored_indexed_and_laid_out_as_a_trained_one_is(
    statistics, ours, store, tmp_path, quick, capsys, monkeypatch
):
    monkeypatch.setattr(checkpoints, "SHIPPED", tmp_path / "checkpoints")
    shutil.copytree(ours, checkpoints.SHIPPED / "ours")
    assert made("mine", "--hear", statistics) == 0
    assert [one.name for one in checkpoints.list_checkpoints("contrastive")] == ["mine", "ours"]
    assert list(maps.mappable()) == ["mine", "ours"]
    assert main(["evaluate", "mine", "--data", str(store.path)]) == 0
    found = kept(checkpoints.SHIPPED / "mine", store.path)
    assert [row for row, of in found.items() if isinstance(of, dict)] == [
        "encoder",
        "log-mel statistics",
    ]
    assert set(found["encoder"]) == set(report.COLUMNS)
    assert found["encoder"]["knn_accuracy"]["value"] == 1.0  # whistles against noise
    printed = capsys.readouterr().out
    card = (checkpoints.SHIPPED / "mine" / "README.md").read_text()
    assert "mine was not trained by Ravel" in printed
    assert "| query by example, mAP |" in card

    mine = checkpoints.find("mine")
    of = registry.get("contrastive").maps.encode_store(store, mine, tmp_path / "maps")
    model = load("mine")
    assert np.allclose(of.h, index.unit(model.clips(store, range(len(store))).numpy()), atol=1e-6)
    figures = registry.get("contrastive").maps.figures(mine.config, {}, "h")
    assert figures[-1] == "h 48"
    with pytest.raises(RavelError, match="stay on the machine"):
        checkpoints.check(mine.path, "ann/mine")


def test_our_own_module_gives_the_scores_of_its_checkpoint(ours, patches, store, tmp_path, quick):
    own = shutil.copytree(ours, tmp_path / "ours")
    weights = own / "model.safetensors"
    assert made(tmp_path / "other", "--hear", "core.hear", "--weights", weights) == 0
    words = ["evaluate", str(own), str(tmp_path / "other"), "--data", str(patches), "--alone"]
    assert main([*words, "--mixed", "2"]) == 0
    scores, other = kept(own, patches), kept(tmp_path / "other", patches)["encoder"]
    one, whole = scores["encoder"], scores[report.WHOLE]
    assert whole == one  # a clip is a patch
    clips = report.read_clips(FeatureStore.open(patches), "label", torch.device("cpu"))
    h = clips.by(load(own)).numpy()
    parts = clips.labels, clips.train, clips.held_out, clips.folds
    expected = evaluate.measure(evaluate.Embedded(h, np.arange(32)), *parts)
    assert {name: other[name] for name in report.COLUMNS} == expected
    assert set(one) == set(other) == {*report.COLUMNS, "map_of_2", "qbe_map_of_2"}
    for name, score in one.items():  # by log-mels that are stored in half precision
        assert other[name]["value"] == pytest.approx(score["value"], abs=0.05), name

    rows = range(8)  # of longer clips, of several patches each
    h, same = (load(path).clips(store, rows) for path in (own, tmp_path / "other"))
    assert torch.allclose(h, same, atol=1e-4)
    sound = store.clip(0).wave
    assert torch.allclose(load(own).embed(sound), load(tmp_path / "other").embed(sound), atol=1e-4)


# Which code is run


def test_code_is_imported_only_for_a_folder_that_was_made_here(statistics, tmp_path, trusted):
    made(tmp_path / "mine", "--hear", statistics)
    trap = tmp_path / "ran"
    statistics.write_text(f"open({str(trap)!r}, 'w')\n{statistics.read_text()}")
    foreign = shutil.copytree(tmp_path / "mine", tmp_path / "from-a-zip")
    with pytest.raises(RavelError, match="was not made here"):
        load(foreign)
    with pytest.raises(RavelError, match=r"was made with another .*statistics_hear\.py"):
        load(tmp_path / "mine")
    assert not trap.exists()

    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    config["external"]["files"] = {}
    (tmp_path / "mine" / "config.json").write_text(json.dumps(config))
    with pytest.raises(RavelError, match="moved or changed since"):
        load(tmp_path / "mine")
    assert not trap.exists()
    made(tmp_path / "mine", "--hear", statistics)
    assert trap.exists() and load(tmp_path / "mine").size == 48
    (trusted / "ravel" / "encoders.json").chmod(0o666)  # others could have written it
    with pytest.raises(RavelError, match="was not made here"):
        load(tmp_path / "mine")


def test_a_changed_encoder_has_another_digest_and_no_scores_of_the_earlier_one(
    statistics, tmp_path
):
    out = tmp_path / "mine"
    made(out, "--hear", statistics)
    before = checkpoints.find(out)
    before.write_metrics({"scenes": {"clips": 3}})
    made(out, "--hear", statistics)
    assert checkpoints.find(out).digest == before.digest and (out / "metrics.json").exists()
    statistics.write_text(statistics.read_text().replace("BANDS = 24", "BANDS = 20"))
    made(out, "--hear", statistics)
    after = checkpoints.find(out)
    assert after.digest != before.digest and not (out / "metrics.json").exists()
    assert load(out).size == 40


def test_a_package_is_known_by_all_its_files_and_imports_its_neighbours(statistics, tmp_path):
    package = statistics.parent / "pack"
    package.mkdir()
    shutil.copy(statistics, package / "model.py")
    functions = "load_model, get_scene_embeddings, get_timestamp_embeddings"
    (package / "__init__.py").write_text(f"from .model import {functions}\n")
    (statistics.parent / "beside.py").write_text(f"from pack import {functions}\n")
    for name in (package, statistics.parent / "beside.py"):
        made(tmp_path / "mine", "--hear", name)
        files = checkpoints.find(tmp_path / "mine").external["files"]
        assert str(package / "model.py") in files and load(tmp_path / "mine").size == 48
    with (package / "model.py").open("a") as file:
        file.write("# changed\n")
    with pytest.raises(RavelError, match=r"another .*model\.py"):
        load(tmp_path / "mine")
    for name in [one for one in sys.modules if one.split(".")[0] == "pack"]:
        del sys.modules[name]


# Mistakes

GOOD = """
import torch
class Model:
    sample_rate, scene_embedding_size, timestamp_embedding_size = 16_000, 4, 4
def load_model(model_file_path=""):
    return Model()
def get_scene_embeddings(audio, model):
    return torch.stack([audio.mean(1), audio.std(1), audio.abs().mean(1), audio.amax(1)], 1)
"""
MISTAKES = {
    "import nothing_of_that_name": "needs 'nothing_of_that_name'",
    "1 / 0": "cannot be imported .ZeroDivisionError",
    "raise SystemExit('no GPU')": "cannot be imported .SystemExit: no GPU",
    "del load_model": "no function load_model",
    "get_scene_embeddings = None": "no function get_scene_embeddings",
    "del Model.sample_rate": "no whole number sample_rate",
    "Model.sample_rate = 44.1": "sample_rate.*44.1",
    "Model.sample_rate = 44": "expected 4000 to 192000",
    "del Model.scene_embedding_size": "no whole number scene_embedding_size",
    "Model.scene_embedding_size = 5": r"shape \(1, 4\).*expected \(1, 5\)",
    "get_scene_embeddings = lambda a, m: torch.ones(len(a), 4)": "tone and noise the same",
    "get_scene_embeddings = lambda a, m: torch.randn(len(a), 4)": "another embedding each time",
    "get_scene_embeddings = lambda a, m: a[:, :4] / 0": "not finite for a sound of 2.00 s",
    "get_scene_embeddings = lambda a, m: a[0, :4]": r"shape \(4,\).*expected \(1, 4\)",
    "get_scene_embeddings = lambda a, m: 'no'": "returned a str",
    "get_scene_embeddings = lambda a, m: a.fold()": "failed for a sound of 2.00 s at 16000 Hz",
    "get_scene_embeddings = lambda a, m: a.std(1)[:1, None] * torch.arange(1, 5)": "two sounds",
    "get_timestamp_embeddings = lambda a, m: a": "should return embeddings and times",
    "get_timestamp_embeddings = lambda a, m: (a, a)": "expected .1, times, size.",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_what_is_wrong_with_a_module_is_said_in_a_sentence(line, tmp_path, capsys):
    path = tmp_path / "bad.py"
    path.write_text(f"{textwrap.dedent(GOOD)}\n{line}\n")
    with pytest.raises(RavelError, match=MISTAKES[line]):
        folder.make_hear(tmp_path / "out", str(path), None)
    assert not (tmp_path / "out").exists()


def test_a_module_or_weights_that_are_not_there_and_a_place_that_is_taken(
    ours, tmp_path, capsys, statistics
):
    out = tmp_path / "out"
    mistakes = {
        (str(out), "--hear", "no_such_module"): "no Python module 'no_such_module'",
        (str(out), "--hear", "core.no_such_module"): "no Python module 'core.no_such_module'",
        (str(out), "--hear", "nowhere.py"): "neither a .py file",
        (str(out), "--hear", str(statistics), "--weights", "nowhere.pth"): "no file of weights",
        (str(out), "--hear", str(statistics), "--names", "a"): "--names goes with --table",
        (str(tmp_path / "no" / "out"), "--hear", str(statistics)): "does not exist",
        ("a b", "--hear", str(statistics)): "cannot be called 'a b'",
        (str(ours), "--hear", str(statistics)): "holds something else",
    }
    for words, expected in mistakes.items():
        assert main(["encoder", *words]) == 2
        said = capsys.readouterr().err.strip()
        assert expected in said and "\n" not in said
    assert not out.exists() and load(ours).size == 16


def test_a_clip_that_cannot_be_embedded_is_named(store, tmp_path):
    limit = "assert audio.shape[1] < 40_000\n    return torch.stack"
    (tmp_path / "brief.py").write_text(GOOD.replace("return torch.stack", limit))
    folder.make_hear(tmp_path / "out", str(tmp_path / "brief.py"), None)
    with pytest.raises(
        RavelError, match=r"^Clip 0-0: out: get_scene_embeddings failed for a sound of 2\.99 s"
    ):
        index.build(store, checkpoints.find(tmp_path / "out"))


def test_what_a_module_cannot_do_is_noted(tmp_path, capsys):
    path = tmp_path / "short.py"
    path.write_text(
        GOOD.replace("return torch.stack", "assert audio.any()\n    return torch.stack")
    )
    folder.make_hear(tmp_path / "out", str(path), None)
    said = capsys.readouterr().out
    assert "silence cannot be embedded" in said and "no embeddings along a sound" in said
    along = "(a[:, :200, None], torch.arange(200)[None] / 100)"  # in seconds
    seconds = f"get_timestamp_embeddings = lambda a, m: {along}"
    (tmp_path / "seconds.py").write_text(f"{GOOD}\n{seconds}\n")
    folder.make_hear(tmp_path / "other", str(tmp_path / "seconds.py"), None)
    assert "of 2 s end at 0" in capsys.readouterr().out
    with pytest.raises(RavelError, match="no embeddings along a sound"):
        load(tmp_path / "out").timeline(np.ones(16_000, np.float32))
