"""Scores of checkpoints on a feature store and on real recordings, printed and kept."""

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core.audio import pitch
from core.audio.clip import CLIP_SECONDS, Clip
from core.audio.invert import to_waveform
from core.audio.mel import log_mel
from core.data.store import FeatureStore
from core.dsae import evaluate, judge
from core.dsae.latents import Disentangler, load
from core.dsae.task import Clips
from core.errors import RavelError

Say = Callable[[str], None]
VOICED = 0.5  # CREPE confidence from which a frame of the reference counts as pitched


# -- a feature store -----------------------------------------------------------------------------


def on_store(names: Sequence[str], path: str, say: Say) -> list[dict[str, Any]]:
    """Score checkpoints on a store's validation split; write each one's metrics.json."""
    store = FeatureStore.open(path)
    models = [load(name) for name in names]
    rows = []
    for model in models:
        say(f"{model.name} on {store.path.name}")
        scores = evaluate.score(model.model, store, model.config.data.factor)
        model.checkpoint.write_metrics({store.path.name: scores})
        for name, value in scores.items():
            say(f"  {evaluate.MEANINGS[name]:<58} {_shown(value)}")
        rows.append({"checkpoint": model.name, **scores})
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['value']:.3f}  [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


# -- real recordings -----------------------------------------------------------------------------


def on_recordings(
    names: Sequence[str],
    folders: Sequence[str],
    learn_from: Sequence[str],
    say: Say,
    labels: tuple[str, str] = ("violin", "trumpet"),
    pairs: int | None = None,
) -> list[dict[str, Any]]:
    """Swap every violin with every trumpet of real recordings, both ways, and judge the sound.

    Melody: raw pitch accuracy at 50 cents, CREPE tiny of the result against CREPE tiny of the
    recording whose melody it should have. Instrument: macro-F1 told by the model's own encoder, by
    a judge trained on the recordings and stores in `learn_from`, and by one trained on its
    recordings alone. Neither judge has heard the model or the recordings that are swapped.
    """
    clips = [clip for folder in folders for clip in recordings(folder, labels)]
    by_label = {label: [c for c in clips if c.labels["instrument"] == label] for label in labels}
    for label, found in by_label.items():
        if not found:
            raise RavelError(f"There is no {label} among the recordings in {', '.join(folders)}.")
    judges = train_judges(learn_from, labels)
    heard = Heard(say)
    rows = []
    for name in names:
        model = load(name)
        some = _pairs(by_label, labels, pairs)
        scores = {"pairs": len(some), **_judge_pairs(model, clips, some, judges, heard)}
        model.checkpoint.write_metrics({"recordings": scores})
        say(f"{model.name} on {len(some)} pairs of real recordings")
        for row, values in scores.items():
            if isinstance(values, dict):
                shown = "  ".join(f"{k} {_shown(v)}" for k, v in values.items())
                say(f"  {row:<16} {shown}")
        rows.append({"checkpoint": model.name, **scores})
    return rows


def _pairs(by_label, labels, count: int | None) -> list[tuple[Clip, Clip]]:
    everything = list(product(by_label[labels[0]], by_label[labels[1]]))
    if count is None or count >= len(everything):
        return everything
    chosen = np.random.default_rng(0).choice(len(everything), count, replace=False)
    return [everything[i] for i in sorted(chosen)]


def recordings(folder: str, labels: Sequence[str], seconds: float = CLIP_SECONDS) -> list[Clip]:
    """The first four seconds that sound of each recording of these instruments in a folder."""
    from core.data.folder import read_folder

    return [
        clip.segment(0.0, seconds)
        for clip in read_folder(folder, max_seconds=seconds)
        if clip.labels.get("instrument") in labels
    ]


class Heard:
    """Pitch by CREPE tiny, in batches, each sound tracked once."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.known: dict[str, Any] = {}
