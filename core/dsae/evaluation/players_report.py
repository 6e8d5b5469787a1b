"""Scores checkpoints on swaps of real players, prints and records the scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.checkpoints.card import record_scores
from core.checkpoints.tables import comparison
from core.dsae.card import MEANINGS
from core.dsae.evaluation.judged_swaps import JudgeSources
from core.dsae.evaluation.player_swaps import PlayerOptions, measure
from core.dsae.latents import load
from core.errors import RavelError
from core.registry import EvaluationOptions, Say


def on_players(names: Sequence[str], options: EvaluationOptions, say: Say) -> None:
    """Swap the recordings of each folder among its instruments and score the swaps.

    Prints a table for each folder; writes each checkpoint's metrics.json and card. Raises
    RavelError for folders that cannot be swapped or learnt from.
    """
    chosen = player_options(options)
    models = [load(name) for name in names]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for model in models:
        say(f"swapping players by {model.name}")
        for folder, scores in measure(model, chosen).items():
            about = {"tracker": chosen.tracker, **scores}
            found.setdefault(folder, {})[model.name] = about
            record_scores(model.checkpoint, f"players of {folder}", about)
    for folder, by_model in found.items():
        say(f"\nplayers of {folder}\n{comparison(by_model, MEANINGS)}")


def player_options(options: EvaluationOptions) -> PlayerOptions:
    """The part of an evaluation's options that concerns players."""
    if options.notes and not options.judge:
        raise RavelError(
            "--notes checks the judge on real notes, but there is none: give --judge FOLDER."
        )
    judge = JudgeSources(
        folders=options.judge,
        collections=options.judge_sets,
        leave_out=options.judge_without,
        notes=options.notes,
        note_collections=options.note_sets,
        elsewhere=options.judge_check,
        own=options.judge_own,
    )
    return PlayerOptions(
        folders=options.players,
        tracker=options.tracker,
        clips=options.most or PlayerOptions.clips,
        strengths=options.strengths,
        route=options.route,
        judge=judge if options.judge else None,
        cache=options.kept,
    )
