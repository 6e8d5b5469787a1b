"""Scores of disentangling checkpoints on real duets, printed and kept."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from core.checkpoints.card import compared, record_scores
from core.dsae.card import MEANINGS
from core.dsae.evaluation import recordings
from core.dsae.evaluation.classifier import Classifier
from core.dsae.evaluation.report import read_learnt
from core.dsae.latents import load
from core.remix import evaluate
from core.remix.evaluate import Duet, matching_instrument
from core.separation import separate
from core.vocoder.play import check_route, play


def on_duets(
    names: Sequence[str],
    folders: Sequence[str],
    separator: str,
    learn_from: Sequence[str],
    most: int | None,
    say: Callable[[str], None],
    route: str | None = None,
) -> None:
    """Let checkpoints exchange the instruments of real duets, judge it, and keep the scores.

    `folders` hold the stems (see `evaluate.read_duets`); the judges learn from `learn_from`, audio
    folders and stores of other players; `route` is the way from log-mels to sound, by default the
    usual one. Raises RavelError for folders without duets and models that know no instruments.
    """
    route = check_route(route)
    models, apart = [load(name) for name in names], separate.load(separator)
    chosen = evaluate.read_duets(folders, most)
    real, rendered = read_learnt(learn_from)
    learnt = (real[0] + rendered[0], real[1] + rendered[1])
    chosen = [_renamed(duet, np.unique(learnt[1]).tolist()) for duet in chosen]
    say(f"separating {len(chosen)} duets by {apart.name}")
    duets = evaluate.Duets(chosen, apart)
    among = np.unique(duets.originals.instrument).tolist()
    judge = partial(Classifier(*learnt).predict, among=among)
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        say(f"remixing by {model.name}")
        own = recordings.own_encoder(model, learnt, among)
        predictors = {"own_encoder": own, "judge": judge}
        scores = evaluate.score(model, duets, predictors, partial(play, route=route))
        found[model.name] = {"separator": apart.name, "route": route, **scores}
        record_scores(model.checkpoint, "real duets", found[model.name])
    say(f"\nreal duets of {', '.join(among)}\n{compared(found, MEANINGS)}")


def _renamed(duet: Duet, names: list[str]) -> Duet:
    """A duet whose instruments are called as the judges call them."""
    stems = tuple(
        replace(
            clip,
            labels={
                **clip.labels,
                "instrument": matching_instrument(clip.labels["instrument"], names),
            },
        )
        for clip in duet.stems
    )
    return Duet(stems, duet.piece)
