"""Training on players: pairs of excerpts, the fitted prior, resuming, and what is exported."""

import csv
import shutil

import numpy as np
import pytest
import torch

from core.checkpoints.card import export_run
from core.data.store import FeatureStore
from core.dsae import player_objective
from core.dsae.config import DsaeConfig, preset
from core.dsae.latents import load
from core.dsae.task import DsaeTask, Pairs
from core.errors import RavelError
from core.training.config import merge
from core.training.engine import train
from core.training.run import Run
from tests.core.training.resuming import whole_and_parted

SMALL = {
    "model.hidden": 16,
    "objective.stage1_steps": 3,
    "objective.prior_steps": 4,
    "data.crop": 40,
    "data.other_crop": 50,
    "training.steps": 12,
    "training.batch_size": 4,
    "training.warmup_steps": 2,
    "training.validate_every": 6,
    "training.checkpoint_every": 6,
    "training.precision": "fp32",
    "training.device": "cpu",
}


def config(store, **changes):
    values = merge(merge(preset("players"), SMALL), {"data.store": str(store)})
    return DsaeConfig.parse(merge(values, changes))


def test_another_excerpt_is_of_the_same_player_and_not_the_same_clip():
    numbers = np.array([3, 1, 3, 3, 1, 7])
    pairs, rows = Pairs(numbers), torch.arange(6).repeat(200)
    torch.manual_seed(0)
    drawn = pairs.draw(rows)
    assert np.array_equal(numbers[drawn], numbers[rows])
    alone = rows == 5  # the only clip of its player
    assert torch.equal(drawn[alone], rows[alone])
    assert (drawn[~alone] != rows[~alone]).all()
    assert {int(n) for n in drawn[rows == 0]} == {2, 3}
    assert pairs.next(torch.arange(6)).tolist() == [2, 4, 3, 0, 1, 5]


def test_a_run_trains_resumes_and_is_loaded(melodies, tmp_path):
    whole, parted = whole_and_parted(config(melodies), tmp_path, 5)
    first, second = (one.load("last")[0] for one in (whole, parted))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, msg=lambda m, n=name: f"{n}: {m}")
    export_run(whole.path, tmp_path / "made")
    model = load(tmp_path / "made")
    assert model.sample(1.0).z.shape[1] == 16 and model.v_size == 32 + 24


def test_the_terms_of_swaps_join_after_the_first_stage(melodies):
    made = config(melodies)
    task = DsaeTask(made)
    task.load(torch.device("cpu"))
    model, some = task.build(), task.batch(torch.arange(4))
    swap_terms = {"z_gswap", "v_gswap", "back_translation"}
    first, later = (task.losses(model, some, stage) for stage in ("excerpts", "swaps"))
    assert not swap_terms & set(first) and swap_terms <= set(later)
    weights = made.objective
    for terms, kl_z in ((first, weights.kl_z), (later, weights.kl_z_swaps)):
        elbo = terms["reconstruction"] + weights.kl_v * terms["kl_v"] + kl_z * terms["kl_z"]
        torch.testing.assert_close(terms["elbo_loss"], elbo)


def test_the_last_steps_fit_the_prior_alone(melodies, tmp_path):
    made = config(melodies, **{"training.snapshots": "8,12"})
    run = Run.create(tmp_path / "run", made.model_dump())
    train(DsaeTask(made), run, progress=False)
    before, after = run.load("step_8")[0], run.load("last")[0]
    for name, value in before.items():
        assert torch.equal(value, after[name]) != name.startswith("prior."), name
    assert [made.stage(step) for step in (0, 2, 3, 7, 8, 11)] == [
        "excerpts", "excerpts", "swaps", "swaps", "prior", "prior"
    ]  # fmt: skip
    short = DsaeConfig.parse(merge(made.model_dump(), made.shortened(3)))
    assert [short.stage(step) for step in range(9)] == [
        *["excerpts"] * 3, *["swaps"] * 3, *["prior"] * 3
    ]  # fmt: skip


def test_the_learning_rate_begins_anew_for_the_prior(melodies):
    task = DsaeTask(config(melodies))
    rates = [task.learning_rate(step) for step in range(12)]
    assert rates[0] == rates[8] == 1e-3 and rates[1] == rates[9] == 2e-3  # half and all warmed up
    assert rates[7] < 0.4e-3 < rates[2]


def test_the_criterion_is_that_of_all_held_out_clips_with_the_next_ones_of_their_players(melodies):
    task = DsaeTask(config(melodies, **{"objective.perturb": 0.0}))
    task.load(torch.device("cpu"))
    torch.manual_seed(0)
    model = task.build().eval()
    with torch.no_grad():
        torch.manual_seed(1)
        found = task.validate(model, "swaps")
        torch.manual_seed(1)
        rows = torch.arange(len(task.held_out))
        wanted, sizes = [], []
        for some in rows.split(4):
            batch = task.held_out.whole(some), task.held_out.whole(task.held_out_pairs.next(some))
            terms = player_objective.losses(
                model, *batch[0], *batch[1], task.config.objective, swaps=True
            )
            wanted.append(float(terms["elbo_loss"]))
            sizes.append(len(some))
    assert found["criterion"] == pytest.approx(np.average(wanted, weights=sizes), rel=1e-5)


@pytest.fixture
def with_phrases(melodies, tmp_path):
    """The melodies, each two clips that follow one another said to play the same phrase."""
    folder = tmp_path / "phrases"
    shutil.copytree(melodies, folder)
    with open(folder / "clips.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    with open(folder / "clips.csv", "w", newline="") as file:
        out = csv.DictWriter(file, [*rows[0], "phrase"])
        out.writeheader()
        out.writerows(row | {"phrase": str(number // 2)} for number, row in enumerate(rows))
    return folder


def test_renditions_are_the_same_part_of_the_same_phrase(with_phrases):
    task = DsaeTask(config(with_phrases, **{"objective.same_phrase": 0.5}))
    task.load(torch.device("cpu"))
    store = FeatureStore.open(with_phrases)
    rows = store.training_rows()[0].tolist()
    phrase = store.labels["phrase"]
    floor = task.config.model.floor
    clips = [torch.tensor(x).clamp(min=floor).float() for x in store.log_mel]
    chosen = torch.arange(len(rows)).repeat(4)
    torch.manual_seed(0)
    batch = task.batch(chosen)
    exchanged, could = 0, 0
    for number, x, y in zip(chosen.tolist(), batch.clips.x, batch.renditions, strict=True):
        row = rows[number]
        starts = range(len(clips[row]) - len(x) + 1)
        start = next(at for at in starts if torch.equal(clips[row][at : at + len(x)], x))
        others = [at for at in rows if phrase[at] == phrase[row] and at != row]
        could += bool(others)
        if not torch.equal(x, y):
            assert torch.equal(clips[others[0]][start : start + len(x)], y)
            exchanged += 1
    assert could > 20 and 0.3 < exchanged / could < 0.7


def test_renditions_may_have_the_dynamics_of_the_clip(with_phrases):
    half = {"objective.same_phrase": 1.0, "objective.same_dynamics": 0.5}
    task = DsaeTask(config(with_phrases, **half))
    task.load(torch.device("cpu"))
    torch.manual_seed(0)
    batch = task.batch(torch.arange(len(task.train)).repeat(4))
    x, y = batch.clips.x, batch.renditions
    other = (x != y).flatten(1).any(1)
    apart = (x.logsumexp(2) - y.logsumexp(2)).abs().mean(1)
    assert 0.25 < float((apart[other] < 0.1).float().mean()) < 0.75


def test_without_shared_phrases_z_is_that_of_the_clips(melodies):
    task = DsaeTask(config(melodies, **{"objective.same_phrase": 0.5}))
    task.load(torch.device("cpu"))
    assert task.batch(torch.arange(4)).renditions is None


def test_an_adversary_without_its_network_is_refused(melodies):
    with pytest.raises(RavelError, match=r"set model\.adversary to true"):
        DsaeTask(config(melodies, **{"objective.adversary": 0.1}))
    DsaeTask(config(melodies, **{"objective.adversary": 0.1, "model.adversary": True}))
