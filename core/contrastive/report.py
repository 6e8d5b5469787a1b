"""Encoders and baselines scored on the same held-out clips, printed and kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.checkpoints.card import record_scores
from core.checkpoints.checkpoint import Checkpoint
from core.contrastive import baselines, views
from core.contrastive import evaluate as measures
from core.contrastive.card import MEANINGS
from core.contrastive.embed import Embedder, load
from core.data.store import FeatureStore
from core.errors import RavelError
from core.registry import EvaluationOptions, Say
from core.training.distributed import pick_device

ORDER = ("encoder", "supervised", "untrained", "log-mel statistics")
TESTS = ("eval", "test", "validation")  # a part kept for tests goes before one to choose by
COLUMNS = ("accuracy", "map", "qbe_map", "knn_accuracy", "three_shot", "folds_accuracy")


class Corpus(NamedTuple):
    """The clips of a store: log-mels [N, T, 64], how much of each is sound, labels, the parts."""

    name: str
    log_mels: Tensor
    frames: Tensor
    labels: measures.Labels
    train: np.ndarray
    held_out: np.ndarray
    folds: np.ndarray | None

    @property
    def counts(self) -> dict[str, Any]:
        """What the figures are of, and what chance would give."""
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
    """Score encoders as `options` says. Raises RavelError for what they cannot be scored on."""
    if options.real or options.duets or not options.data:
        raise RavelError(f"{names[0]} makes embeddings: score it on clips, with --data STORE.")
    on_store(names, options.data, say, options.supervised, options.alone)


def on_store(
    names: Sequence[str], path: str, say: Say, supervised: bool = False, alone: bool = False
) -> None:
    """Score encoders and baselines on a store's held-out clips; keep it in metrics.json and card.

    A shallow network, neighbours and prototypes learn from its training clips. NAME@STEP is a row
    of its own beside NAME's. `supervised` also teaches an encoder of the same size by the labels,
    which takes as long as a training; `alone` leaves all baselines out. Raises RavelError for a
    store without labels or two splits.
    """
    device = pick_device("auto")
    models = [load(name, str(device)) for name in dict.fromkeys(names)]
    corpus = _corpus(FeatureStore.open(path), models[0].config.data.factor, device)
    say(f"{corpus.name}: " + ", ".join(f"{MEANINGS[k]} {v}" for k, v in corpus.counts.items()))
    base = {} if alone else {"log-mel statistics": _scores(_statistics(corpus), corpus)}
    for folder in dict.fromkeys(model.checkpoint.path for model in models):
        mine = [model for model in models if model.checkpoint.path == folder]
        rows = {_row(model): _scores(_by(model.encoder, model, corpus), corpus) for model in mine}
        if not alone:
            rows |= _same_size(mine[0], corpus, supervised) | base
        _keep(Checkpoint(folder), corpus, rows)
        say(f"\n{folder.name} on {corpus.name}, value [95 % interval]")
        say(table(rows))
        say(_heard(mine[0], corpus))


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Rows of scores as text: encoders and baselines down, metrics across."""
    width = max(map(len, rows)) + 2
    there = [name for name in COLUMNS if any(name in row for row in rows.values())]
    lines = [" " * width + "".join(f"{name:<22}" for name in there)]
    for row, scores in rows.items():
        cells = "".join(f"{_cell(scores.get(name)):<22}" for name in there)
        lines.append(f"{row:<{width}}{cells}")
    return "\n".join(line.rstrip() for line in lines)


def _cell(score: dict[str, float] | None) -> str:
    return "{value:.3f} [{low:.3f}, {high:.3f}]".format(**score) if score else ""


def _row(model: Embedder) -> str:
    step = model.checkpoint.snapshot
    return "encoder" if step is None else f"step {step}"


def _scores(embedded: measures.Embedded, corpus: Corpus) -> dict[str, Any]:
    c = corpus
    return measures.measure(embedded, c.labels, c.train, c.held_out, c.folds)


def _by(encoder: torch.nn.Module, model: Embedder, corpus: Corpus) -> measures.Embedded:
    return baselines.embedded(encoder, corpus.log_mels, corpus.frames, model.patch)


def _statistics(corpus: Corpus) -> measures.Embedded:
    log_mels, frames = corpus.log_mels.cpu().numpy(), corpus.frames.numpy()
    return baselines.log_mel_statistics(log_mels, frames, corpus.train)


def _same_size(model: Embedder, corpus: Corpus, supervised: bool) -> dict[str, Any]:
    """Rows of encoders of the same size: untrained, and taught by labels if that is asked for."""
    c, config = corpus, model.config
    encoder = baselines.untrained(config, c.log_mels, c.frames, c.train)
    rows = {"untrained": _scores(_by(encoder, model, c), c)}
    if supervised:
        seen = config.views.model_copy(update={"pair": "mixture-mixture"})
        drawn = views.Views(
            seen, [c.log_mels[c.train][:, None].cpu().numpy()], c.frames[c.train].numpy(),
            c.log_mels.device,
        )  # fmt: skip
        targets = torch.from_numpy(c.labels.truth[c.train])
        encoder = baselines.supervised(config, drawn, targets, c.labels.single)
        encoder = encoder.to(c.log_mels.device)
        rows = {"supervised": _scores(_by(encoder, model, c), c), **rows}
    return rows


def _heard(model: Embedder, corpus: Corpus) -> str:
    """Which of the clips the encoder itself learnt from, as far as its config tells."""
    if Path(model.config.data.store).name != corpus.name:
        return f"{model.name} learnt from {model.config.data.store}, without its labels."
    text = f"{model.name} heard the training clips, without their labels; never the held-out ones."
    if corpus.folds is not None:
        text += " By folds, all but the held-out one had been heard: accuracy is the fairer figure."
    return text


def _keep(checkpoint: Checkpoint, corpus: Corpus, rows: dict[str, dict[str, Any]]) -> None:
    """Lay rows over those that were measured on as many clips; in one order always."""
    counts, kept = corpus.counts, checkpoint.metrics.get(corpus.name, {})
    if all(kept.get(name) == count for name, count in counts.items()):
        rows = {**{k: v for k, v in kept.items() if k not in counts}, **rows}
    steps = sorted((row for row in rows if row not in ORDER), key=lambda row: -int(row.split()[1]))
    order = [ORDER[0], *steps, *ORDER[1:]]
    rows = {row: rows[row] for row in order if row in rows}
    record_scores(checkpoint, corpus.name, {**counts, **rows})


def _corpus(store: FeatureStore, factor: str, device: torch.device) -> Corpus:
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
    return Corpus(store.path.name, log_mels, frames, labels, train, held_out, folds)
