"""Scores of samples from the prior: are melodies in the corpus' scale, instruments recognisable?

The paper samples but does not score the results. Here samples are turned into sound, tracked by
CREPE and classified by an independent classifier; real clips are treated alike, for comparison.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from core.audio.clip import HOP, SAMPLE_RATE, VOICED
from core.data.dmelodies import SCALES, TONICS
from core.data.store import FeatureStore
from core.dsae.evaluation.classifier import Classifier
from core.dsae.evaluation.pitch_accuracy import CREPE_HOP_SECONDS, Analyser
from core.dsae.evaluation.swap_f1 import LabelledBatch, fit_lda, mean_v, read_split, trimmed
from core.dsae.model import Dsae
from core.errors import RavelError
from core.statistics import interval, spread_evenly

From = Literal["prior", "training"]

CENTS = 50.0
NOTE_SECONDS = 0.06  # shorter notes are not counted
BATCH = 16
MOST = 200  # training clips of each label for the classifier

Score = dict[str, float]  # value, low, high


@torch.no_grad()
def prior_validity(
    model: Dsae,
    store: FeatureStore,
    *,
    count: int = 100,
    factor: str = "instrument",
    seed: int = 0,
    analyser: Analyser | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, Score]:
    """Scores of `count` samples from the prior and of as many real clips.

    `prior_...`: z from the transition prior, v from N(0, I). `prior_z_...`: the same z, with v from
    the posterior of a random training clip, since TS-DSAE's second stage no longer pulls v to
    N(0, I). `real_...`: real clips. For each, `voiced`: the share of frames with a pitch;
    `in_scale`: the share of those within 50 cents of a note of the corpus' scale, if the store
    names it; `notes`: the number of different notes, since a single held note would be in the scale
    too; the classifier's `confidence`; and its `agreement` with the label that an LDA predicts from
    the re-encoded v, as in the swap scores. `chance_in_scale`: the share that is in the scale by
    chance. Raises RavelError for a store whose clips have one label only.
    """
    train, held_out = (
        read_split(store, split, factor, model.config.floor, device)
        for split in ("train", "validation")
    )
    if len(set(train.labels)) < 2 or len(held_out.x) < 2 or count < 2:
        raise RavelError(
            f"{store.path} cannot be used to score samples: at least two labels of {factor}, two "
            "validation clips and two samples are needed."
        )
    few = spread_evenly(len(held_out.x), count)
    unlabelled = train.labels[:0]  # until the LDA predicts labels
    cases = {
        "prior": LabelledBatch(draw(model, train, count, "prior", seed)[1], None, unlabelled),
        "prior_z": LabelledBatch(draw(model, train, count, "training", seed)[1], None, unlabelled),
        "real": held_out.take(few),
    }
    lda = fit_lda(mean_v(model, train.x, train.lengths).numpy(), train.labels)
    classifier, notes = _classifier(train, seed), scale_notes(store)
    scores: dict[str, Score] = {}
    for name, case in cases.items():
        clips = case._replace(labels=lda.predict(mean_v(model, *case[:2]).numpy()))
        found = pitches(clips, notes, analyser or Analyser(device=device), name)
        found |= recognised(clips, classifier)
        scores |= {f"{name}_{key}": score for key, score in found.items()}
    if notes is not None:
        chance = round(len(notes) / int(notes[-1] - notes[0] + 1), 4)
        scores["chance_in_scale"] = dict.fromkeys(("value", "low", "high"), chance)
    return scores


@torch.no_grad()
def draw(
    model: Dsae, train: LabelledBatch, count: int, v_from: From = "prior", seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Samples as long as the training clips: v [count, V] and log-mels [count, T, M]."""
    device, frames = train.x.device, train.x.shape[1]
    with torch.random.fork_rng(devices=[device] if train.x.is_cuda else []):
        torch.manual_seed(seed)
        if v_from == "training":
            rows = train.take(np.random.default_rng(seed).integers(len(train.x), size=count))
            v = model.global_encoder(rows.x, rows.lengths).sample()
        else:
            v = torch.randn(count, model.config.v_size, device=device)
        z = model.prior.sample(count, frames)
        parts = zip(z.split(BATCH), v.split(BATCH), strict=True)
        made = [model.decoder(*part) for part in parts]
    return v, torch.cat(made)


def scale_notes(store: FeatureStore) -> np.ndarray | None:
    """The MIDI notes of all keys in a store, ascending; None without tonic, octave and scale."""
    if not {"tonic", "octave", "scale"} <= set(store.labels):
        return None
    keys = set(zip(*(store.labels[name] for name in ("tonic", "octave", "scale")), strict=True))
    notes = {
        12 * (int(octave) + 1) + TONICS.index(tonic) + step
        for tonic, octave, scale in keys
        for step in SCALES[scale]
    }
    return np.array(sorted(notes))


def pitches(
    clips: LabelledBatch, notes: np.ndarray | None, analyser: Analyser, what: str = "sounds"
) -> dict[str, Score]:
    """`voiced`, `in_scale` and `notes` of log-mels turned into sound; `notes`: MIDI, or None."""
    seconds = (np.array(clips.frames) - 1) * HOP / SAMPLE_RATE
    sound = analyser.analyse_log_mels(clips.x, seconds, what)
    inside = np.arange(sound.f0.shape[1]) * CREPE_HOP_SECONDS < seconds[:, None]
    voiced = (sound.confidence >= VOICED) & inside
    midi = 69 + 12 * np.log2(sound.f0 / 440)
    near = in_tune(midi, notes) & voiced
    different = [count_notes(one[at]) for one, at in zip(midi, near, strict=True)]
    scores = {
        "voiced": interval(voiced.sum(1) / inside.sum(1), np.mean),
        "notes": interval(np.array(different), np.mean),
    }
    if notes is not None:

        def share(rows: np.ndarray) -> float:
            return float(near[rows].sum() / max(1, voiced[rows].sum()))

        scores["in_scale"] = interval(np.arange(len(near)), share)
    return scores


def in_tune(midi: np.ndarray, notes: np.ndarray | None) -> np.ndarray:
    """Whether pitches, as fractional MIDI numbers, are within 50 cents of any of the notes."""
    if notes is None:
        return np.ones(midi.shape, bool)
    return (np.abs(midi[..., None] - notes) <= CENTS / 100).any(-1)


def count_notes(midi: np.ndarray) -> int:
    """The number of different notes in the pitches of a clip's frames [F]."""
    _, counts = np.unique(np.rint(midi), return_counts=True)
    return int((counts * CREPE_HOP_SECONDS >= NOTE_SECONDS - 1e-9).sum())


def recognised(clips: LabelledBatch, classifier: Classifier) -> dict[str, Score]:
    """`confidence` of the classifier, and its `agreement` with the clips' labels."""
    likely = classifier.probabilities(trimmed(clips))
    named = classifier.labels[likely.argmax(1)]
    return {
        "confidence": interval(likely.max(1), np.mean),
        "agreement": interval((named == clips.labels).astype(float), np.mean),
    }


def _classifier(train: LabelledBatch, seed: int) -> Classifier:
    """A classifier trained on at most MOST training clips of each label."""
    rng = np.random.default_rng(seed)
    rows = [
        rng.permutation(np.flatnonzero(train.labels == label))[:MOST]
        for label in np.unique(train.labels)
    ]
    some = train.take(np.concatenate(rows))
    return Classifier(trimmed(some), some.labels, seed)
