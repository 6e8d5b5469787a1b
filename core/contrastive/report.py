"""Scores encoders and baselines on the same held-out clips, prints them and records them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core.checkpoints.card import record_scores
from core.checkpoints.checkpoint import Checkpoint
from core.checkpoints.tables import aligned, format_score
from core.contrastive import baselines, mixed, views
from core.contrastive import evaluate as measures
from core.contrastive.card import MEANINGS
from core.contrastive.config import MOST_SOUNDS
from core.contrastive.embed import Embedder, Encoder, load
from core.data.store import FeatureStore
from core.errors import RavelError
from core.registry import EvaluationOptions, Say
from core.training.distributed import pick_device

WHOLE = "whole clips"  # the row of an encoder that is asked for one embedding a clip
ORDER = ("encoder", WHOLE, "supervised", "untrained", "log-mel statistics")
LABEL = "label"  # the column of classes, where no encoder's config names another
TESTS = ("eval", "test", "validation")  # a test split is preferred to one used for selection
COLUMNS = ("accuracy", "map", "qbe_map", "knn_accuracy", "three_shot", "folds_accuracy")
OF_SCENES = tuple(
    f"{name}_of_{count}" for count in range(2, MOST_SOUNDS + 1) for name in ("map", "qbe_map")
)

Embed = Callable[["ClipSet"], measures.Embedded]


class ClipSet(NamedTuple):
    """The clips of a store: log-mels [N, T, 64], frames of sound in each, labels, and splits.

    `by` returns their embeddings [N, D] by an encoder, from their sound.
    """

    name: str
    log_mels: Tensor
    frames: Tensor
    labels: measures.Labels
    train: np.ndarray
    held_out: np.ndarray
    folds: np.ndarray | None
    by: Callable[[Encoder], Tensor]

    @property
    def counts(self) -> dict[str, Any]:
        """The sizes that the scores are based on, and the score by chance."""
        truth = self.labels.truth[self.held_out]
        _, chance = measures.query_by_example(np.ones((len(truth), 1)), truth)
        counts = {
            "clips": len(self.held_out),
            "training_clips": len(self.train),
            "classes": len(self.labels.names),
            "qbe_chance": round(float(chance.mean()), 4),
        }
        return counts if self.folds is None else {**counts, "folds": len(set(self.folds))}


def evaluate(names: Sequence[str], options: EvaluationOptions, say: Say) -> None:
    """Score encoders as `options` says. Raises RavelError for options that do not apply to them."""
    if options.real or options.duets or not options.data:
        raise RavelError(f"{names[0]} is an encoder: score it on clips, with --data STORE.")
    on_store(names, options.data, say, options.supervised, options.alone, options.mixed)


def on_store(
    names: Sequence[str],
    path: str,
    say: Say,
    supervised: bool = False,
    alone: bool = False,
    mixed_sounds: Sequence[int] = (),
) -> None:
    """Score encoders and baselines on a store's held-out clips; write metrics.json and the card.

    A shallow network, nearest neighbours and prototypes are fitted on its training clips. NAME@STEP
    gets a row beside NAME's. `supervised` also trains an encoder of the same size with the labels,
    which takes as long as a training run; `alone` leaves out all baselines. `mixed_sounds` are
    numbers of sounds: scenes of so many clips are scored too, with all their labels. An encoder
    that Ravel did not train embeds whole clips; those beside it get a row for that. Raises
    RavelError for a store without labels or without both splits.
    """
    device = pick_device("auto")
    models = [load(name, str(device)) for name in dict.fromkeys(names)]
    store = FeatureStore.open(path)
    factors = [model.config.data.factor for model in models if isinstance(model, Embedder)]
    clips = read_clips(store, factors[0] if factors else LABEL, device)
    beside = any(not isinstance(model, Embedder) for model in models)
    scenes = {count: _mixed(store, clips, count) for count in mixed_sounds}
    say(f"{clips.name}: " + ", ".join(f"{MEANINGS[k]} {v}" for k, v in clips.counts.items()))
    base = {} if alone else {"log-mel statistics": _scores(_statistics, clips, scenes)}
    for folder in dict.fromkeys(model.checkpoint.path for model in models):
        mine = [model for model in models if model.checkpoint.path == folder]
        embedders = {_row(model): _by_any(model) for model in mine}
        if isinstance(first := mine[0], Embedder):
            if beside and "encoder" in embedders:
                embedders[WHOLE] = partial(_whole, embedders["encoder"])
            if not alone:
                embedders |= _same_size(first, clips, supervised)
        rows = {name: _scores(embed, clips, scenes) for name, embed in embedders.items()} | base
        _keep(Checkpoint(folder), clips, rows)
        say(f"\n{folder.name} on {clips.name}, value [95 % interval]")
        say(table(rows))
        say(_training_note(first, clips))


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Rows of scores as text: encoders and baselines down, scores across."""
    found = [name for name in (*COLUMNS, *OF_SCENES) if any(name in row for row in rows.values())]
    cells = [[row, *(format_score(scores.get(c)) for c in found)] for row, scores in rows.items()]
    return aligned([["", *found], *cells])


def _row(model: Encoder) -> str:
    step = model.checkpoint.snapshot
    return "encoder" if step is None else f"step {step}"


def _mixed(store: FeatureStore, clips: ClipSet, count: int) -> ClipSet:
    found = mixed.scenes(
        store, clips.labels, clips.train, clips.held_out, count, clips.log_mels.device
    )
    return ClipSet(
        clips.name, *found[:5], folds=None, by=lambda model: model.embed_many(found.waves())
    )


def _scores(embed: Embed, clips: ClipSet, scenes: Mapping[int, ClipSet]) -> dict[str, Any]:
    found = _measured(embed, clips)
    for count, some in scenes.items():
        found |= {f"{name}_of_{count}": score for name, score in _measured(embed, some).items()}
    return found


def _measured(embed: Embed, clips: ClipSet) -> dict[str, Any]:
    return measures.measure(embed(clips), clips.labels, clips.train, clips.held_out, clips.folds)


def _by_any(model: Encoder) -> Embed:
    """A trained encoder embeds the patches of clips, any other one whole clips."""
    if isinstance(model, Embedder):
        return _by(model.encoder, model)

    return lambda clips: _one_each(clips.by(model).numpy())


def _whole(embed: Embed, clips: ClipSet) -> measures.Embedded:
    """One embedding a clip, the mean over its patches."""
    return _one_each(embed(clips).clips)


def _one_each(h: np.ndarray) -> measures.Embedded:
    return measures.Embedded(h, np.arange(len(h)))


def _by(encoder: torch.nn.Module, model: Embedder) -> Embed:
    return lambda clips: baselines.embedded(encoder, clips.log_mels, clips.frames, model.patch)


def _statistics(clips: ClipSet) -> measures.Embedded:
    log_mels, frames = clips.log_mels.cpu().numpy(), clips.frames.numpy()
    return baselines.log_mel_statistics(log_mels, frames, clips.train)


def _same_size(model: Embedder, clips: ClipSet, supervised: bool) -> dict[str, Embed]:
    """Encoders of the same size: untrained and, if requested, trained with labels."""
    c, config = clips, model.config
    encoder = baselines.untrained(config, c.log_mels, c.frames, c.train)
    found = {"untrained": _by(encoder, model)}
    if supervised:
        seen = config.views.model_copy(update={"pair": "mixture-mixture", "mix": 0.0})
        drawn = views.Views(
            seen, [c.log_mels[c.train][:, None].cpu().numpy()], c.frames[c.train].numpy(),
            c.log_mels.device,
        )  # fmt: skip
        targets = torch.from_numpy(c.labels.truth[c.train])
        encoder = baselines.supervised(config, drawn, targets, c.labels.single)
        found = {"supervised": _by(encoder.to(c.log_mels.device), model), **found}
    return found


def _training_note(model: Encoder, clips: ClipSet) -> str:
    """Which of the clips the encoder was trained on, as far as its config says."""
    if not isinstance(model, Embedder):
        return (
            f"{model.name} was not trained by Ravel, which cannot tell whether it knows the "
            "held-out clips. Each clip is embedded as a whole."
        )
    if Path(model.config.data.store).name != clips.name:
        return f"{model.name} was trained on {model.config.data.store}, without labels."
    text = f"{model.name} was trained on the training clips, without labels; not on held-out clips."
    if clips.folds is not None:
        text += " It saw all folds but the held-out one: accuracy is fairer than folds_accuracy."
    return text


def _keep(checkpoint: Checkpoint, clips: ClipSet, rows: dict[str, dict[str, Any]]) -> None:
    """Record rows, with earlier ones measured on the same number of clips, in a fixed order."""
    counts, kept = clips.counts, checkpoint.metrics.get(clips.name, {})
    if all(kept.get(name) == count for name, count in counts.items()):
        rows = {**{k: v for k, v in kept.items() if k not in counts}, **rows}
    steps = sorted((row for row in rows if row not in ORDER), key=lambda row: -int(row.split()[1]))
    order = [ORDER[0], *steps, *ORDER[1:]]
    rows = {row: rows[row] for row in order if row in rows}
    record_scores(checkpoint, clips.name, {**counts, **rows})


def read_clips(store: FeatureStore, factor: str, device: torch.device) -> ClipSet:
    """The labelled clips of a store. Raises RavelError for one without labels or both splits."""
    train = store.indices("train")
    held_out = next((rows for rows in map(store.indices, TESTS) if len(rows)), np.array([], int))
    if len(train) < 2 or len(held_out) < 2:
        raise RavelError(
            f"{store.path} has {len(train)} training and {len(held_out)} held-out clips, but a few "
            "of both are needed: build it with a validation split."
        )
    labels = measures.labels_of(store, factor)
    log_mels = torch.from_numpy(np.array(views.mixtures(store)[:, 0])).to(device)
    folds = store.labels.get("fold")
    if folds is not None and (len(set(folds)) < 2 or "" in folds):
        folds = None
    frames = torch.from_numpy(views.frames_of(store))
    parts = store.path.name, log_mels, frames, labels, train, held_out, folds
    return ClipSet(*parts, partial(_embed_clips, store))


def _embed_clips(store: FeatureStore, model: Encoder) -> Tensor:
    return model.clips(store, tqdm(range(len(store)), f"clips by {model.name}", disable=None))
