"""Tables of embeddings: what is read, which clips they are of, and what is wrong with them."""

import json

import numpy as np
import pandas as pd
import pytest

from core import registry
from core.checkpoints import checkpoint as checkpoints
from core.cli import main
from core.contrastive import index
from core.contrastive.embed import load, save_embeddings
from core.contrastive.external import table
from core.errors import RavelError
from core.service import corpora

RNG = np.random.default_rng(0)


@pytest.fixture
def names(store):
    return store.labels["name"].tolist()


@pytest.fixture
def h(names):
    return RNG.standard_normal((len(names), 6)).astype(np.float32)


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def parquet(path, **columns):
    pd.DataFrame(columns).to_parquet(path)
    return path


def made(out, path, *words):
    return main(["encoder", str(out), "--table", str(path), *words])


def test_a_table_is_an_encoder_of_its_own_clips(store, names, h, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(corpora, "DATA", store.path.parent)
    order = RNG.permutation(len(names))
    path = npz(tmp_path / "t.npz", names=np.array(names)[order], h=h[order])
    assert made(tmp_path / "mine", path) == 0
    assert "scenes: 32 of 32 clips" in capsys.readouterr().out
    mine, model = checkpoints.find(tmp_path / "mine"), load(tmp_path / "mine")
    assert model.size == 6 and np.array_equal(model.clips(store, range(32)).numpy(), h)
    assert np.allclose(index.build(store, mine).h, index.unit(h), atol=1e-6)
    of = registry.get("contrastive").maps.encode_store(store, mine, tmp_path / "maps")
    assert of.h.shape == (32, 6)
    for ask in (model.embed, model.timeline, lambda sound: model.embed_many([sound])):
        with pytest.raises(RavelError, match=r"only the clips in it.*encoder --hear"):
            ask(np.ones(16_000, np.float32))
    made(tmp_path / "mine", npz(tmp_path / "t.npz", names=names, h=-h))
    assert checkpoints.find(tmp_path / "mine").digest != mine.digest


def test_a_table_is_scored(store, names, tmp_path, monkeypatch):
    monkeypatch.setattr("core.statistics.RESAMPLES", 40)
    monkeypatch.setattr("core.contrastive.evaluate.EPOCHS", 4)
    label = (store.labels["label"] == "rush").astype(float)
    h = label[:, None] * [3.0, 0, 1] + RNG.normal(0, 0.1, (len(names), 3)) + [0, 1, 0]
    made(tmp_path / "mine", npz(tmp_path / "t.npz", names=names, h=h))
    assert main(["evaluate", str(tmp_path / "mine"), "--data", str(store.path), "--alone"]) == 0
    found = json.loads((tmp_path / "mine" / "metrics.json").read_text())["scenes"]["encoder"]
    assert found["qbe_map"]["value"] == found["knn_accuracy"]["value"] == 1.0


def test_the_formats_that_are_read(names, h, tmp_path):
    frame = pd.DataFrame(h, columns=[f"d{i}" for i in range(6)])
    frame.insert(0, "fold", 1)
    frame.assign(clip=names, kind="a").to_parquet(tmp_path / "wide.parquet")
    frame.drop(columns="fold").set_index(pd.Index(names)).to_parquet(tmp_path / "index.parquet")
    fine = [
        (npz(tmp_path / "a.npz", x=h, what=np.array(names)), {}),
        (npz(tmp_path / "b.npz", h=h, other=h, names=names, text=["a"]), {}),
        (npz(tmp_path / "c.npz", p=h, q=-h, names=names), {"values": "p"}),
        (parquet(tmp_path / "a.parquet", file=names, embedding=list(h)), {}),
        (parquet(tmp_path / "b.pq", a=names, b=names[::-1], v=list(h)), {"names": "a"}),
        (tmp_path / "wide.parquet", {}),
        (tmp_path / "index.parquet", {}),
    ]
    for path, options in fine:
        rows = table.read(path, **options)
        assert rows.names == names and np.allclose(rows.h, h), path


def test_what_the_command_embed_writes_is_a_table(store, h, tmp_path):
    import torch

    files = [f"sounds/{name.rpartition('-')[0]}.wav" for name in store.labels["name"]]
    found = dict(zip(files, map(torch.from_numpy, h), strict=True))
    save_embeddings(tmp_path / "t.npz", found)
    made(tmp_path / "mine", tmp_path / "t.npz")
    assert np.array_equal(load(tmp_path / "mine").clips(store, range(32)).numpy(), h)


def test_a_clip_is_not_taken_for_another():
    found = table.places(["a/1.wav", "b/1.wav", "b/2.wav", "c/3.5", "3.5.flac"])
    assert found["a/1"] == 0 and found["b/1.wav"] == 1 and found["2"] == 2
    assert "1" not in found and found["3.5"] == 4 and found["c/3.5"] == 3


def test_clips_that_are_missing_are_named(store, names, h, tmp_path):
    made(tmp_path / "mine", npz(tmp_path / "t.npz", names=names[:30], h=h[:30]))
    with pytest.raises(RavelError, match=r"no embedding of 2 of the 32 clips of scenes") as error:
        index.build(store, checkpoints.find(tmp_path / "mine"))
    assert repr(names[-1]) in str(error.value) and repr(names[0]) in str(error.value)
    assert load(tmp_path / "mine").clips(store, [3]).shape == (1, 6)


def test_what_is_wrong_with_a_table_is_said_in_a_sentence(names, h, tmp_path, capsys):
    bad = h.copy()
    bad[4, 2] = np.nan
    ragged = [*map(list, h[:-1]), [1.0, 2.0]]
    (tmp_path / "broken.npz").write_bytes(b"PK no zip")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    (tmp_path / "t.csv").write_text("name,h")
    objects = np.array(names, dtype=object)
    path = iter(tmp_path / f"{number}.x" for number in range(100))
    n = lambda **arrays: npz(next(path).with_suffix(".npz"), **arrays)  # noqa: E731
    p = lambda **columns: parquet(next(path).with_suffix(".parquet"), **columns)  # noqa: E731
    mistakes = [
        (n(h=h), "no array of strings; it holds h float32 (32, 6)"),
        (n(names=names), "no float array"),
        (n(names=names[:5], h=h), "5 names in names, but 32 rows in h"),
        (n(names=["a", *names[1:-1], "a"], h=h), "2 rows called 'a'"),
        (n(names=["", *names[1:]], h=h), "no name in row 1"),
        (n(names=names, h=bad), f"1 of 32 rows, first that of {names[4]!r}"),
        (n(names=names, x=h, y=h), "say which with --values"),
        (n(names=names[:0], h=h[:0]), "no array of strings"),
        (n(names=objects, h=h), "np.array(names, dtype=str)"),
        (n(names=names, h=np.array(ragged, dtype=object)), "does not load"),
        (p(name=names, h=ragged), "several sizes in its column h: (6,) in row 1, (2,) in row 32"),
        (p(name=names), "no column of lists"),
        (p(v=list(h)), "no column of names; it holds v (ndarray)"),
        (p(one=names, two=names, v=list(h)), "say which with --names"),
        (p(name=names, a=list(h), b=list(h)), "say which with --values"),
        (p(name=[None, *names[1:]], h=list(h)), "no column of names"),
        (p(name=[*names[1:], None], h=list(h)), "rows without a name"),
        (p(name=names, h=[["a"]] * 32), "no lists of numbers"),
        (tmp_path / "broken.npz", "is damaged"),
        (tmp_path / "broken.parquet", "is damaged"),
        (tmp_path / "t.csv", "give an .npz or a .parquet file"),
        (tmp_path / "nowhere.npz", "There is no table"),
    ]
    for file, expected in mistakes:
        assert made(tmp_path / "out", file) == 2, expected
        said = capsys.readouterr().err.strip()
        assert expected in said and "\n" not in said, said
    file = n(names=names, h=h)
    assert made(tmp_path / "out", file, "--values", "z") == 2
    assert "nothing called 'z'" in capsys.readouterr().err
    assert made(tmp_path / "out", file, "--names", "h") == 2
    assert "'h', which is no array of strings" in capsys.readouterr().err
    assert made(tmp_path / "out", file, "--weights", "w") == 2
    assert "--weights goes with --hear" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_damaged_copy_is_reported(names, h, tmp_path):
    import torch

    out = tmp_path / "mine"
    made(out, npz(tmp_path / "t.npz", names=names, h=h))
    config = json.loads((out / "config.json").read_text())
    damages = [
        {"names": torch.zeros(3, dtype=torch.uint8), "h": torch.zeros(2, 6)},
        {"h": torch.ones(1)},
    ]
    for tensors in damages:
        checkpoints.write(out, config, tensors)
        with pytest.raises(RavelError, match="damaged"):
            load(out)
    for external in ({"kind": "other"}, {"kind": "table"}, 3, {"kind": "hear", "files": []}):
        (out / "config.json").write_text(json.dumps({**config, "external": external}))
        with pytest.raises(RavelError, match=r"config\.json is damaged"):
            load(out)
