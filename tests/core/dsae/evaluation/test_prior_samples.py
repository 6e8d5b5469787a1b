"""Draws from the prior, scored on models whose answers are known."""

from itertools import cycle
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core import statistics
from core.audio.mel import log_mel
from core.data.store import Chunk, FeatureStore, StoreWriter
from core.dsae.card import MEANINGS
from core.dsae.config import DsaeConfig
from core.dsae.evaluation import prior_samples as prior
from core.dsae.evaluation.classifier import Classifier
from core.dsae.evaluation.pitch_accuracy import Analyser
from core.dsae.evaluation.swap_f1 import LabelledBatch, read_split
from core.dsae.layers import Gaussian
from core.dsae.model import Dsae
from core.errors import RavelError

C_MAJOR = [60, 62, 64, 65, 67, 69, 71, 72, 74]
ANALYSER = Analyser(route="live")


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 60)


@pytest.fixture(scope="module")
def store(melodies) -> FeatureStore:
    return FeatureStore.open(melodies)


def tone(midi: float, seconds: float = 2.0) -> torch.Tensor:
    """The log-mel of one held note with a few harmonics."""
    t = torch.arange(round(16_000 * seconds)) / 16_000
    f0 = 440 * 2 ** ((midi - 69) / 12)
    return log_mel(sum(torch.sin(2 * torch.pi * f0 * k * t) / k for k in range(1, 6)) / 3)


def model_of(store, sound):
    """v's one number tells the instrument; `sound(v)` is the log-mel that is decoded from it."""
    train = store.indices("train")
    shapes = torch.from_numpy(store.log_mel[train]).float().mean(1)
    violin = torch.from_numpy(store.labels["instrument"][train] == "Violin")
    towards = shapes[violin].mean(0) - shapes[~violin].mean(0)
    middle = (shapes[violin].mean(0) + shapes[~violin].mean(0)) / 2

    def encode(x, lengths=None):
        mean = ((x.mean(1) - middle) @ towards / towards.square().sum())[:, None]
        return Gaussian(mean, torch.full_like(mean, -40.0))

    return SimpleNamespace(
        config=SimpleNamespace(floor=-40.0, v_size=1),
        global_encoder=encode,
        prior=SimpleNamespace(sample=lambda count, frames: torch.zeros(count, frames, 1)),
        decoder=lambda z, v: torch.stack([sound(one) for one in v]),
    )


def real_clips(store):
    """Training clips of the instrument that v asks for, one after the other."""
    rows = store.indices("train")
    turn = {name: cycle(rows[store.labels["instrument"][rows] == name]) for name in PLAYERS}
    return lambda v: torch.tensor(store.log_mel[next(turn[PLAYERS[int(v > 0)]])]).float()


PLAYERS = ("Trumpet", "Violin")


def scores_of(model, store, **options):
    found = prior.prior_validity(model, store, count=4, analyser=ANALYSER, **options)
    return {name: score["value"] for name, score in found.items()}


def test_a_model_that_draws_real_clips_scores_as_real_clips_do(store):
    found = scores_of(model_of(store, real_clips(store)), store, seed=1)
    for name in ("voiced", "in_scale", "notes", "confidence"):
        assert found[f"prior_{name}"] == pytest.approx(found[f"real_{name}"], rel=0.15)
    assert found["prior_in_scale"] > 0.9
    assert found["prior_notes"] >= 5
    assert found["prior_agreement"] == found["real_agreement"] == 1.0
    assert found["prior_z_agreement"] == 1.0
    assert found["chance_in_scale"] == pytest.approx(9 / 15)


def validity(sounds):
    """What `pitches` makes of log-mels, by C major."""
    batch = LabelledBatch(torch.stack(sounds), None, np.zeros(len(sounds)))
    found = prior.pitches(batch, np.array(C_MAJOR), ANALYSER)
    return {name: score["value"] for name, score in found.items()}


def test_a_note_beside_the_scale_is_out_of_it():
    found = validity([tone(61), tone(63)])
    assert found["in_scale"] == found["notes"] == 0.0
    assert found["voiced"] > 0.9


def test_a_held_note_of_the_scale_is_in_it_but_is_one_note():
    found = validity([tone(64.3), tone(65)])  # one is 30 cents sharp
    assert found["in_scale"] > 0.95
    assert found["notes"] == 1.0


def test_noise_has_no_pitch():
    rng = torch.Generator().manual_seed(0)
    assert (
        validity([log_mel(torch.randn(32_000, generator=rng) / 10) for _ in "ab"])["voiced"] < 0.05
    )


def test_the_judge_agrees_with_the_labels_that_are_right(store):
    train = read_split(store, "train", "instrument", -40.0)
    clips = read_split(store, "validation", "instrument", -40.0)
    judge = Classifier(list(train.x.numpy()), train.labels)
    violins = clips._replace(labels=np.full(len(clips.x), "Violin"))
    assert prior.recognised(clips, judge)["agreement"]["value"] == 1.0
    assert prior.recognised(violins, judge)["agreement"]["value"] == 0.5


def test_the_notes_of_a_store_are_those_of_its_keys(store, tmp_path):
    assert prior.scale_notes(store).tolist() == C_MAJOR
    rows = [
        {"name": "a", "split": "train", "tonic": "D", "octave": "5", "scale": "minor"},
        {"name": "b", "split": "train", "tonic": "C", "octave": "4", "scale": "major"},
    ]
    writer = StoreWriter(tmp_path / "two", kind="toy", settings={}, chunks=1)
    writer.write(0, Chunk(rows, [np.zeros((4, 80))] * 2))
    minor = [74, 76, 77, 79, 81, 82, 85, 86, 88]  # D5 harmonic minor
    assert prior.scale_notes(writer.finish()).tolist() == sorted({*C_MAJOR, *minor})


def test_a_pitch_is_in_tune_within_fifty_cents_of_a_note():
    midi = np.array([[59.4, 59.6, 60.5, 60.9, 61.4, 61.6, 62.0]])
    found = prior.in_tune(midi, np.array([60, 62]))
    assert found.tolist() == [[False, True, True, False, False, True, True]]
    assert prior.in_tune(midi, None).all()


def test_a_note_counts_once_it_lasts_sixty_milliseconds():
    midi = np.array([60.1, 60.0, 59.8, 64.0, 64.2, 67.0, 66.9, 67.1, 67.4])
    assert prior.count_notes(midi) == 2
    assert prior.count_notes(midi[:0]) == 0


def test_draws_are_those_of_their_seed_and_leave_the_global_state(store):
    train = read_split(store, "train", "instrument", -40.0)
    torch.manual_seed(3)
    model = Dsae(DsaeConfig.parse({"model": {"hidden": 8, "z_size": 4, "v_size": 6}}).model).eval()
    few = LabelledBatch(train.x[:, :20], None, train.labels)
    state = torch.get_rng_state()
    v, x = prior.draw(model, few, 5, seed=1)
    again, other = prior.draw(model, few, 5, seed=1), prior.draw(model, few, 5, seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert v.shape == (5, 6)
    assert x.shape == (5, 20, 80)
    assert torch.equal(x, again[1])
    assert not torch.equal(x, other[1])


def test_v_can_be_drawn_from_the_training_clips(store):
    train = read_split(store, "train", "instrument", -40.0)
    model = model_of(store, lambda v: tone(60))
    v, _ = prior.draw(model, train, 12, "training")
    known = model.global_encoder(train.x).mean
    assert (v[:, None] - known[None]).abs().amin(1).max() < 1e-4
    assert v.abs().max() < 2 < prior.draw(model, train, 200)[0].abs().max()


def test_a_store_of_one_label_is_refused(store):
    with pytest.raises(RavelError, match="two labels of scale"):
        prior.prior_validity(model_of(store, tone), store, factor="scale")


def test_every_score_has_its_words(store):
    names = scores_of(model_of(store, real_clips(store)), store)
    assert len({MEANINGS[name] for name in names}) == len(names) == 16
