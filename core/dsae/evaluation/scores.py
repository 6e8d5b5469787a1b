"""All scores of a model on a store's validation clips, with intervals, in order."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.audio.fad import frechet_audio_distance
from core.data.store import FeatureStore
from core.dsae.evaluation import probes
from core.dsae.evaluation.classifier import Classifier
from core.dsae.evaluation.counterfactual import counterfactual, errors
from core.dsae.evaluation.factors import factor_swaps, global_factors
from core.dsae.evaluation.pitch_accuracy import AnalysedSound, Originals
from core.dsae.evaluation.prior_samples import prior_validity
from core.dsae.evaluation.swap_f1 import (
    LabelledBatch,
    Predictions,
    decode_swaps,
    other_label,
    predict_from_v,
    read_split,
    trimmed,
)
from core.dsae.layers import frame_mask
from core.dsae.model import Dsae
from core.dsae.objective import kl, kl_standard
from core.errors import RavelError
from core.statistics import interval, spread_evenly

ACTIVE_NATS = 0.02  # a dimension of v is in use if its mean KL to N(0, I) is above this
JUDGED = 200  # training clips of each label for the classifier
CHUNK = 128

Classifiers = Mapping[str, Classifier]  # by factor


@torch.no_grad()
def score(
    model: Dsae,
    store: FeatureStore,
    factor: str,
    seed: int = 0,
    *,
    judges: Classifiers | None = None,
    originals: Originals | None = None,
    draws: int = 0,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """Every metric on a store's validation split: `{value, low, high}`, a count, or a list.

    `factor` is the label that v should represent. `judges`, classifiers by factor, add independent
    predictions for swaps; `originals` add scores of the sound: raw pitch accuracy, Fréchet audio
    distance, and scores of `draws` samples from the prior, at most one for each clip that is
    resynthesised. The intervals are 95 % percentile bootstraps over clips. Raises RavelError for a
    store without both splits.
    """
    check(store, factor)
    floor = model.config.floor
    train, held_out = (
        read_split(store, split, factor, floor, device) for split in ("train", "validation")
    )
    torch.manual_seed(seed)
    scores: dict[str, Any] = {"clips": len(held_out.x)}
    scores["mse"] = interval(reconstruction_errors(model, held_out), np.mean)
    names = factors_to_score(store, factor)
    for name in names:
        suffix = "" if name == factor else f"_{name}"
        parts = [
            batch._replace(labels=store.labels[name][store.indices(split)])
            for batch, split in ((train, "train"), (held_out, "validation"))
        ]
        decoded = decode_swaps(model, parts[1], other_label(parts[1].labels, seed))
        predicted = predict_from_v(model, parts[0], decoded)
        scores |= {f"f1_{k}{suffix}": f1(one) for k, one in predicted.items()}
        if judges and name in judges:
            scores |= judged(judges[name], {"original": parts[1], **decoded}, suffix)
    carried = [name for name in names if name in (factor, "octave")]
    if len(carried) > 1:
        scores |= factor_swaps(model, store, seed, factors=carried, device=device)
    if "counterfactual" in store.labels["split"]:
        scores |= counterfactual(model, store, factor, device)
    scores |= probes.measure(model, store, train, held_out, names)
    if originals is not None:
        scores |= sound_scores(model, held_out, originals, seed)
        if draws and names:
            scores |= prior_validity(
                model, store, count=min(draws, len(originals.positions)), factor=factor, seed=seed,
                analyser=originals.analyser, device=device,
            )  # fmt: skip
    return scores | usage(model, held_out)


def check(store: FeatureStore, factor: str) -> None:
    """Raise RavelError for a store without this label, or with too few clips to score on."""
    if factor not in store.labels:
        raise RavelError(
            f"{store.path} has no label column {factor!r}, which the model's v should represent: "
            f"score it on another store; this one has {', '.join(store.labels)}."
        )
    train, held_out = (len(store.indices(split)) for split in ("train", "validation"))
    if train < 2 or held_out < 2:
        raise RavelError(
            f"{store.path} has {train} training and {held_out} validation clips, but a few of both "
            "are needed: build it with a validation split."
        )


def factors_to_score(store: FeatureStore, own: str) -> list[str]:
    """The global factors that vary in training and validation clips, the model's own first."""

    def varies(name: str, split: str) -> bool:
        return len(set(store.labels[name][store.indices(split)])) > 1

    names = dict.fromkeys([own, *global_factors(store)])
    return [name for name in names if varies(name, "train") and varies(name, "validation")]


def f1(predictions: Predictions) -> dict[str, float]:
    """Macro-F1 with its interval."""
    return interval(np.arange(len(predictions.expected)), predictions.f1_of)


@torch.no_grad()
def reconstruction_errors(model: Dsae, clips: LabelledBatch) -> np.ndarray:
    """Mean squared error of each clip's reconstruction from sampled v and z, [N]."""
    q_v = model.global_encoder(clips.x, clips.lengths)
    v = q_v.sample()
    z = model.local(clips.x, q_v, v, clips.lengths).sample()
    return errors(model.decoder(z, v, clips.lengths), clips.x, clips.lengths)


# The independent classifier


def make_classifiers(store: FeatureStore, factor: str) -> dict[str, Classifier]:
    """A classifier for each global factor that varies, trained on original training clips."""
    judges = {}
    for name in factors_to_score(store, factor):
        train = store.indices("train")
        labels = store.labels[name][train]
        of_label = [train[labels == label] for label in np.unique(labels)]
        chosen = np.concatenate([rows[spread_evenly(len(rows), JUDGED)] for rows in of_label])
        clips = [store.log_mel[row, : store.lengths[row]].astype(np.float32) for row in chosen]
        judges[name] = Classifier(clips, store.labels[name][chosen])
    return judges


def judged(
    judge: Classifier, batches: Mapping[str, LabelledBatch], suffix: str
) -> dict[str, dict[str, float]]:
    """Macro-F1 of a classifier on originals, reconstructions and both swaps, by name."""
    scores = {}
    for name, clips in batches.items():
        among = [str(label) for label in np.unique(clips.labels)]
        predicted = judge.predict(trimmed(clips), among)
        scores[f"judge_{name}{suffix}"] = f1(Predictions(clips.labels, predicted))
    return scores


# Scores of the sound


@torch.no_grad()
def sound_scores(
    model: Dsae, held_out: LabelledBatch, originals: Originals, seed: int
) -> dict[str, Any]:
    """Raw pitch accuracy of reconstructions and swaps, and the distance of reconstructions."""
    analyser, some = originals.analyser, held_out.take(originals.positions)
    everyone = np.arange(len(some.x))
    swapped = len(set(some.labels)) > 1
    partner = other_label(some.labels, seed) if swapped else everyone
    torch.manual_seed(seed)  # independent of what was drawn before
    scores: dict[str, Any] = {
        "heard_clips": len(everyone),
        "route": analyser.route,
        "pitch_reference": "original sound" if originals.recorded else "round trip",
    }
    melodies = {"pre": everyone, "global": everyone, "local": partner}
    sounds: dict[str, AnalysedSound] = {}
    for name, clips in decode_swaps(model, some, partner).items():
        if name == "pre" or swapped:
            seconds = originals.seconds[melodies[name]]
            sounds[name] = analyser.analyse_log_mels(clips.x.cpu(), seconds, name)
            scores |= originals.scores(name, sounds[name], melodies[name])
    scores |= originals.scores("round_trip", originals.round_trip, everyone)
    if originals.recorded:  # against the notes only: an upper bound
        scores |= originals.scores("original", originals.recorded, everyone, own=False)
    scores |= distances(sounds["pre"], originals)
    return scores | pitch_leak(model, some, originals)


def pitch_leak(model: Dsae, clips: LabelledBatch, originals: Originals) -> dict[str, Any]:
    """How well v predicts a clip's median pitch; empty where the notes are known."""
    if originals.notes is not None:
        return {}
    pitch = originals.median_pitch
    pitched = np.isfinite(pitch)
    if pitched.sum() < 2 * probes.FOLDS:
        return {}
    v = probes.time_averages(model, clips).v[pitched]
    found = probes.pitch_in_v(v, pitch[pitched], clips.labels[pitched])
    return {"leak_v_pitch": found} if found else {}


def distances(rebuilt: AnalysedSound, originals: Originals) -> dict[str, Any]:
    """Fréchet audio distances by each embedding, and the number of frames they are computed from.

    Reconstructions against originals and against round trips; round trips against originals.
    """
    scores: dict[str, Any] = {}
    for name, frames in rebuilt.embeddings.items():
        trips = originals.round_trip.embeddings[name]
        if originals.recorded:
            sounds = originals.recorded.embeddings[name]
            scores[f"fad_{name}"] = frechet_audio_distance(frames, sounds)
            scores[f"fad_round_trip_{name}"] = frechet_audio_distance(trips, sounds)
        scores[f"fad_resynthesised_{name}"] = frechet_audio_distance(frames, trips)
        scores[f"fad_frames_{name}"] = sum(map(len, frames))
    return scores


# Use of the latents


@torch.no_grad()
def usage(model: Dsae, clips: LabelledBatch) -> dict[str, Any]:
    """Active units; KL of v to N(0, I) and of z to its prior, in total and by dimension, in nats.

    That of z is per frame, against the prior driven by a sample.
    """
    of_v = kl_standard(model.global_encoder(clips.x, clips.lengths)).mean(0).tolist()
    of_z = local_kl(model, clips).tolist()
    units = active_units(model, clips.x, clips.lengths)
    return {name: int(n) for name, n in units.items()} | {
        "kl_v": round(sum(of_v), 4),
        "kl_v_dimensions": [round(nats, 4) for nats in of_v],
        "kl_z": round(sum(of_z), 4),
        "kl_z_dimensions": [round(nats, 4) for nats in of_z],
    }


@torch.no_grad()
def local_kl(model: Dsae, clips: LabelledBatch) -> np.ndarray:
    """KL(q(z_t | x) || p(z_t | z_<t)) by dimension, averaged over all frames: [Z]."""
    total: np.ndarray | float = 0.0
    frames = 0.0
    for start in range(0, len(clips.x), CHUNK):
        some = clips.take(np.arange(start, min(start + CHUNK, len(clips.x))))
        v = model.global_encoder(some.x, some.lengths).mean
        q_z = model.local_encoder(some.x, v, some.lengths)
        nats = kl(q_z, model.prior(q_z.sample()))  # [B, T, Z]
        if some.lengths is not None:
            nats = nats * frame_mask(some.lengths, nats.shape[1])[..., None]
            frames += float(some.lengths.sum())
        else:
            frames += nats.shape[0] * nats.shape[1]
        total = total + nats.sum((0, 1)).double().cpu().numpy()
    return np.asarray(total) / frames


@torch.no_grad()
def active_units(model: Dsae, x: Tensor, lengths: Tensor | None) -> dict[str, float]:
    """The number of dimensions of v and z in use, for log-mels x [N, T, M].

    v: mean KL to N(0, I) above a small threshold. z: variance of the means over all frames above
    0.01, the usual count of active units.
    """
    q_v, q_z = model.encode(x, lengths)
    of_v = kl_standard(q_v).mean(0)
    spread = q_z.mean.flatten(0, 1).var(0)
    return {
        "active_v": float((of_v > ACTIVE_NATS).sum()),
        "active_z": float((spread > 0.01).sum()),
    }
