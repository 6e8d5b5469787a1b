"""Scores disentangling checkpoints on real duets, prints and records the scores."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from core.audio.clip import Clip
from core.checkpoints.card import record_scores
from core.checkpoints.tables import comparison
from core.dsae.card import MEANINGS
from core.dsae.evaluation import recordings
from core.dsae.evaluation.classifier import Classifier
from core.dsae.evaluation.report import read_training_clips
from core.dsae.latents import load
from core.remix import evaluate
from core.remix.evaluate import Duet, matching_instrument
from core.separation import separate
from core.vocoder.play import check_route, play


def on_duets(
    names: Sequence[str],
    folders: Sequence[str],
    separator: str,
    train_on: Sequence[str],
    most: int | None,
    say: Callable[[str], None],
    route: str | None = None,
) -> None:
    """Exchange the instruments of real duets with each checkpoint, score and record the result.

    `folders` hold the stems (see `evaluate.read_duets`); the classifier is trained on `train_on`,
    audio folders and stores of other players; `route` is the route from log-mels to sound, see
    core.vocoder.play. Raises RavelError for folders without duets and for models without an
    instrument table.
    """
    route = check_route(route)
    models, separation = [load(name) for name in names], separate.load(separator)
    chosen = evaluate.read_duets(folders, most)
    real, rendered = read_training_clips(train_on)
    clips, labels = real[0] + rendered[0], real[1] + rendered[1]
    chosen = [_renamed(duet, np.unique(labels).tolist()) for duet in chosen]
    say(f"separating {len(chosen)} duets by {separation.name}")
    duets = evaluate.Duets(chosen, separation)
    among = np.unique(duets.originals.instrument).tolist()
    judge = partial(Classifier(clips, labels).predict, among=among)
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        say(f"remixing by {model.name}")
        own = recordings.own_encoder(model, (clips, labels), among)
        classifiers: dict[str, recordings.Predictor] = {"own_encoder": own, "judge": judge}
        scores = evaluate.score(model, duets, classifiers, partial(play, route=route))
        found[model.name] = {"separator": separation.name, "route": route, **scores}
        record_scores(model.checkpoint, "real duets", found[model.name])
    say(f"\nreal duets of {', '.join(among)}\n{comparison(found, MEANINGS)}")


def _renamed(duet: Duet, names: list[str]) -> Duet:
    """A duet with the classifier's names of its instruments."""

    def rename(clip: Clip) -> Clip:
        name = matching_instrument(clip.labels["instrument"], names)
        return replace(clip, labels={**clip.labels, "instrument": name})

    first, second = duet.stems
    return Duet((rename(first), rename(second)), duet.piece)
