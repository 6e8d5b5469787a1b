"""Every system trains on any corpus: without labels, without splits, and on very few clips."""

import itertools
import math

import numpy as np
import pytest
import torch

from core import registry
from core.audio.mel import log_mel
from core.data.store import Chunk, FeatureStore, StoreWriter, to_pcm
from core.errors import RavelError
from core.separation import task as separation_task
from core.training.config import merge
from core.training.engine import train
from core.training.run import Run
from tests.lab.tones import tone

TRAINING = {"steps": 4, "batch_size": 4, "validate_every": 2, "checkpoint_every": 2}
SYSTEMS = {
    "dsae": {"model": {"hidden": 8, "decorrelate": True}, "objective": {"stage1_steps": 2}},
    "separation": merge(registry.preset("separation", "tiny"), {"training": {"snapshots": ()}}),
    "contrastive": merge(
        registry.preset("contrastive", "tiny"), {"views": {"pair": "mixture-mixture"}}
    ),
    "vocoder": {"data": {"crop": 20}, "model": {"width": 8, "hidden": 8, "blocks": 1}},
}


def store(path, rows) -> FeatureStore:
    """Tones of 1 s and rising pitch, one for each row of labels."""
    writer = StoreWriter(path, kind="tones", settings={}, chunks=1)
    waves = [tone(220 * 2 ** (n / 12), bright=n % 2 == 0) for n in range(len(rows))]
    named = [{"name": f"tone-{n}", **row} for n, row in enumerate(rows)]
    mels = [log_mel(wave).numpy() for wave in waves]
    writer.write(0, Chunk(named, mels, [to_pcm(wave) for wave in waves]))
    return writer.finish()


CORPORA = {
    "unlabelled": [{"split": "train"}] * 9 + [{"split": "validation"}],
    "unsplit": [{"split": "train"}] * 5,
    "split by other names": [{"split": "mine"}] * 4,
    "a label each": [{"split": "train", "instrument": name} for name in "abc"]
    + [{"split": "validation", "instrument": name} for name in "ab"],
    "half labelled": [{"split": "train", "instrument": "oboe" * (n % 2)} for n in range(6)],
    "two clips": [{"split": "train"}] * 2,
}


# A contrastive system has one clip of two to train on, which it refuses: see below.
@pytest.mark.parametrize(
    ("system", "corpus"),
    sorted(set(itertools.product(SYSTEMS, CORPORA)) - {("contrastive", "two clips")}),
)
def test_a_system_trains_on_it(system, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(separation_task, "HELD_OUT", 4)
    path = store(tmp_path / "store", CORPORA[corpus]).path
    changes = {"system": system, "data": {"store": str(path)}, "training": TRAINING}
    config = registry.parse(merge(SYSTEMS[system], changes))
    run = Run.create(tmp_path / "run", config.model_dump())
    final = train(registry.task(config), run, progress=False)
    assert (final["state"], final["step"]) == ("finished", 4)
    # Also with a single clip held out, of which there is no variance.
    figures = [v for record in run.metrics() for v in record.values() if isinstance(v, float)]
    assert figures and all(map(math.isfinite, figures))


@pytest.mark.parametrize("variant", ["ts-dsae", "ts-dsae-players"])
def test_a_disentangling_model_trains_on_single_frames(variant, tmp_path):
    path = store(tmp_path / "store", CORPORA["unlabelled"]).path
    changes = {
        "data": {"store": str(path), "crop": 1, "other_crop": 1},
        "training": TRAINING,
        "objective": {"variant": variant, "stage1_steps": 2, "prior": "recurrent"},
    }
    config = registry.parse(merge(SYSTEMS["dsae"], changes))
    run = Run.create(tmp_path / "run", config.model_dump())
    assert train(registry.task(config), run, progress=False)["step"] == 4


def test_an_encoder_needs_other_clips_to_tell_one_from(tmp_path):
    path = store(tmp_path / "store", CORPORA["two clips"]).path
    values = merge(SYSTEMS["contrastive"], {"system": "contrastive", "data.store": str(path)})
    with pytest.raises(RavelError, match=r"has 1 training clip.*needs 2 or more"):
        registry.task(registry.parse(values)).load(torch.device("cpu"))
    with pytest.raises(RavelError, match="batch_size must be 2 or more"):
        registry.parse(merge(values, {"training.batch_size": 1}))


def test_one_clip_is_enough_for_a_disentangling_model(tmp_path):
    path = store(tmp_path / "store", [{"split": "train"}]).path
    changes = {"data": {"store": str(path)}, "training": TRAINING}
    config = registry.parse(merge(SYSTEMS["dsae"], changes))
    run = Run.create(tmp_path / "run", config.model_dump())
    assert train(registry.task(config), run, progress=False)["state"] == "finished"


def test_what_a_store_holds_out_is_taken_and_otherwise_a_tenth(tmp_path):
    given = store(tmp_path / "given", CORPORA["unlabelled"])
    assert [rows.tolist() for rows in given.training_rows()] == [list(range(9)), [9]]
    unsplit = store(tmp_path / "unsplit", [{"split": "train"}] * 30)
    trained, held_out = unsplit.training_rows()
    assert held_out.tolist() == [5, 15, 25]
    assert sorted([*trained, *held_out]) == list(range(30))
    truths = [{"split": "a"}, {"split": "counterfactual"}, {"split": "b"}]
    trained, held_out = store(tmp_path / "truths", truths).training_rows()
    assert sorted(np.r_[trained, held_out].tolist()) == [0, 2]
