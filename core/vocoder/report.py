"""Vocoders and Griffin-Lim on the same clips, printed and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from core.audio.invert import to_waveform
from core.checkpoints.card import record_scores, shown
from core.data.store import FeatureStore
from core.errors import RavelError
from core.registry import EvaluationOptions, Say
from core.vocoder import evaluate as measures
from core.vocoder.card import MEANINGS
from core.vocoder.evaluate import Pairs
from core.vocoder.vocode import Vocoder, load

ROW = "vocoder"
GRIFFIN_LIM = {
    "griffin-lim": partial(to_waveform, route="live"),
    "griffin-lim, paper": partial(to_waveform, route="paper"),
}


SwappedClips = Callable[[str, FeatureStore, int], tuple[list[torch.Tensor], np.ndarray, str]]


def evaluate(
    names: Sequence[str], options: EvaluationOptions, say: Say, swapped_clips: SwappedClips
) -> None:
    """Score vocoders as `options` says. Raises RavelError for what they cannot be scored on.

    `swapped_clips` gives, by a disentangling model's name, a store and a count: log-mels of swaps,
    the rows of the store that hold their true sound, and what to call the model.
    """
    if options.real or options.duets or not options.data:
        raise RavelError(f"{names[0]} is a vocoder: score it on clips with sound, by --data STORE.")
    if not options.swapped:
        return on_store(names, options.data, say, options.melodies)
    pairs, where = swapped_pairs(
        options.swapped, options.data, enough(options.melodies), swapped_clips
    )
    on_pairs(names, pairs, where, say)


def swapped_pairs(
    name: str, path: str, count: int, swapped_clips: SwappedClips
) -> tuple[Pairs, str]:
    """Log-mels that a disentangling model swapped, with their true sound; and what to call them.

    Raises RavelError for a store without sound or without true renderings of swaps.
    """
    store = FeatureStore.open(path)
    if store.audio is None:
        raise RavelError(f"{path} holds log-mels only: build it again with its audio.")
    log_mels, rows, model = swapped_clips(name, store, count)
    waves = measures.true_sound(store, rows).waves
    return Pairs(log_mels, waves), f"{store.path.name}, swapped by {model}"


def on_store(names: Sequence[str], path: str, say: Say, clips: int = 100) -> None:
    """Score vocoders, and Griffin-Lim both ways, on validation clips of a store with audio.

    Their log-mels are made sound, and that is compared with the clips themselves. Kept in each
    one's metrics.json and card. Raises RavelError for a store without sound or such clips.
    """
    store = FeatureStore.open(path)
    if store.audio is None:
        raise RavelError(f"{path} holds log-mels only: score vocoders on a store with its audio.")
    pairs = measures.held_out(store, enough(clips))
    on_pairs(names, pairs, store.path.name, say)


def on_pairs(names: Sequence[str], pairs: Pairs, where: str, say: Say) -> None:
    """The same of any log-mels with the sound that they should become; `where` names them.

    Raises RavelError for fewer than two.
    """
    if len(pairs.waves) < 2:
        raise RavelError(f"{where} has {len(pairs.waves)} clips to play: two or more are needed.")
    torch.set_num_threads(1)  # what is timed is timed alike everywhere
    vocoders = [load(name) for name in dict.fromkeys(names)]
    known = measures.compare(pairs, GRIFFIN_LIM)
    for vocoder in vocoders:
        rows = measures.compare(pairs, {ROW: vocoder.to_waveform}) | known
        _keep(vocoder, where, {"clips": len(pairs.waves)} | rows)
        say(f"\n{vocoder.name} on {where}: {len(pairs.waves)} clips, value [95 % interval]")
        say(table(rows))


def enough(clips: int) -> int:
    """How many clips are played. Raises RavelError for fewer than two."""
    if clips < 2:
        raise RavelError(f"--melodies is {clips}: vocoders are scored on two clips or more.")
    return clips


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Rows of scores as text: figures down, ways back to sound across."""
    names = dict.fromkeys(name for row in rows.values() for name in row)
    wide = max(len(MEANINGS.get(name, name)) for name in names)
    lines = [f"  {'':<{wide}} " + "".join(f"{row:<26}" for row in rows)]
    for name in names:
        cells = "".join(f"{shown(row.get(name, '')):<26}" for row in rows.values())
        lines.append(f"  {MEANINGS.get(name, name):<{wide}} {cells}".rstrip())
    return "\n".join(lines)


def _keep(vocoder: Vocoder, where: str, scores: dict[str, Any]) -> None:
    record_scores(vocoder.checkpoint, where, scores)
