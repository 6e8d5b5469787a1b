"""Sampling from the prior, evaluated: are the melodies in the corpus' scale, the instruments known?

The paper samples but does not score what comes out. Here draws are made sound and heard by CREPE,
and told by a judge that never saw the model; real clips go the same way, to be compared with.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from core.audio.clip import HOP, SAMPLE_RATE, VOICED
from core.data.dmelodies import SCALES, TONICS
from core.data.store import FeatureStore
from core.dsae.evaluation.classifier import Classifier, describe
from core.dsae.evaluation.pitch_accuracy import HOP_SECONDS, Listener
from core.dsae.evaluation.swap_f1 import Batch, label_teller, mean_v, read_split
from core.dsae.model import Dsae
from core.errors import RavelError
from core.statistics import interval, spread_evenly

From = Literal["prior", "training"]

CENTS = 50.0
NOTE_SECONDS = 0.06  # a note counts as heard once it has lasted as long
BATCH = 16
MOST = 200  # clips of each label that the judge learns from

Score = dict[str, float]  # value, low, high


@torch.no_grad()
def prior_validity(
    model: Dsae,
    store: FeatureStore,
    *,
    count: int = 100,
    factor: str = "instrument",
    seed: int = 0,
    listener: Listener | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, Score]:
    """Scores of `count` draws from the prior and of as many real clips, by what they are of.

    `prior_...`: z from the transition prior, v from N(0, I). `prior_z_...`: the same z, v from the
    posterior of a random training clip, as TS-DSAE's second stage no longer pulls v to N(0, I).
    `real_...`: real clips. Of each `voiced`, the share of frames with a pitch; `in_scale`, the
    share of those within 50 cents of a note of the corpus' scale, where the store knows it;
    `notes`, how many a clip has, since one held note would be in the scale too; the judge's
    `confidence`; and its `agreement` with what an LDA on mean v tells of the re-encoded sound, as
    in the swap scores. `chance_in_scale` is that of any pitch in the scale's range. RavelError for
    a store whose clips have one label only.
    """
    train, held_out = (
        read_split(store, split, factor, model.config.floor, device)
        for split in ("train", "validation")
    )
    if len(set(train.labels)) < 2 or len(held_out.x) < 2 or count < 2:
        raise RavelError(
            f"{store.path} cannot tell whether draws are recognised: it takes two labels of "
            f"{factor}, two validation clips and two draws at least."
        )
    few = spread_evenly(len(held_out.x), count)
    cases = {
        "prior": Batch(draw(model, train, count, "prior", seed)[1], None, train.labels[:0]),
        "prior_z": Batch(draw(model, train, count, "training", seed)[1], None, train.labels[:0]),
        "real": held_out.take(few),
    }
    teller = label_teller(mean_v(model, train.x, train.lengths).numpy(), train.labels)
    judge, notes = _judge(train, seed), scale_notes(store)
    scores: dict[str, Score] = {}
    for name, case in cases.items():
        clips = case._replace(labels=teller.predict(mean_v(model, *case[:2]).numpy()))
        found = pitches(clips, notes, listener or Listener(device=device), name)
        found |= recognised(clips, judge)
        scores |= {f"{name}_{key}": score for key, score in found.items()}
    if notes is not None:
        chance = round(len(notes) / int(notes[-1] - notes[0] + 1), 4)
        scores["chance_in_scale"] = dict.fromkeys(("value", "low", "high"), chance)
    return scores


@torch.no_grad()
def draw(
    model: Dsae, train: Batch, count: int, v_from: From = "prior", seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Draws as long as the training clips: v [count, V] and log-mels [count, T, M]."""
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
    """The MIDI notes of all keys of a store with the columns tonic, octave and scale, ascending."""
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
    clips: Batch, notes: np.ndarray | None, listener: Listener, what: str = "sounds"
) -> dict[str, Score]:
    """`voiced`, `in_scale` and `notes` of log-mels made sound; `notes`: MIDI, None if unknown."""
    seconds = (np.array(_frames(clips)) - 1) * HOP / SAMPLE_RATE
    sound = listener.resynthesised(clips.x, seconds, what)
    inside = np.arange(sound.f0.shape[1]) * HOP_SECONDS < seconds[:, None]
    voiced = (sound.confidence >= VOICED) & inside
    midi = 69 + 12 * np.log2(sound.f0 / 440)
    near = in_tune(midi, notes) & voiced
    heard = [different(one[at]) for one, at in zip(midi, near, strict=True)]
    scores = {
        "voiced": interval(voiced.sum(1) / inside.sum(1), np.mean),
        "notes": interval(np.array(heard), np.mean),
    }
    if notes is not None:

        def share(rows: np.ndarray) -> float:
            return float(near[rows].sum() / max(1, voiced[rows].sum()))

        scores["in_scale"] = interval(np.arange(len(near)), share)
    return scores


def in_tune(midi: np.ndarray, notes: np.ndarray | None) -> np.ndarray:
    """Whether pitches, as fractional MIDI numbers, are within 50 cents of one of the notes."""
    if notes is None:
        return np.ones(midi.shape, bool)
    return (np.abs(midi[..., None] - notes) <= CENTS / 100).any(-1)


def different(midi: np.ndarray) -> int:
    """How many notes there are among the pitches of a clip's frames, [F]."""
    _, counts = np.unique(np.rint(midi), return_counts=True)
    return int((counts * HOP_SECONDS >= NOTE_SECONDS - 1e-9).sum())


def recognised(clips: Batch, judge: Classifier) -> dict[str, Score]:
    """`confidence` of the judge, and its `agreement` with the clips' labels."""
    likely = judge.forest.predict_proba(np.stack([describe(clip) for clip in _cut(clips)]))
    named = judge.labels[likely.argmax(1)]
    return {
        "confidence": interval(likely.max(1), np.mean),
        "agreement": interval((named == clips.labels).astype(float), np.mean),
    }


def _judge(train: Batch, seed: int) -> Classifier:
    """A judge of the training clips, of each label as many."""
    rng = np.random.default_rng(seed)
    rows = [
        rng.permutation(np.flatnonzero(train.labels == label))[:MOST]
        for label in np.unique(train.labels)
    ]
    some = train.take(np.concatenate(rows))
    return Classifier(_cut(some), some.labels, seed)


def _frames(clips: Batch) -> list[int]:
    """How long each clip is."""
    return [clips.x.shape[1]] * len(clips.x) if clips.lengths is None else clips.lengths.tolist()


def _cut(clips: Batch) -> list[np.ndarray]:
    """Each clip's own frames, [T, M]."""
    return [x[:end].cpu().numpy() for x, end in zip(clips.x, _frames(clips), strict=True)]
