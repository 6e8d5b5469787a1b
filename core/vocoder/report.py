"""Scores vocoders and Griffin-Lim on the same clips, prints them and records them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from core.audio.invert import to_waveform
from core.checkpoints.card import record_scores
from core.checkpoints.tables import aligned, side_by_side
from core.data.store import FeatureStore
from core.errors import RavelError
from core.registry import EvaluationOptions, Say
from core.vocoder import evaluate as measures
from core.vocoder.card import MEANINGS
from core.vocoder.evaluate import Pairs
from core.vocoder.vocode import load

ROW = "vocoder"
GRIFFIN_LIM = {
    "griffin-lim": partial(to_waveform, route="live"),
    "griffin-lim, paper": partial(to_waveform, route="paper"),
}


SwappedClips = Callable[[str, FeatureStore, int], tuple[list[torch.Tensor], np.ndarray, str]]


def evaluate(
    names: Sequence[str], options: EvaluationOptions, say: Say, swapped_clips: SwappedClips
) -> None:
    """Score vocoders as `options` says. Raises RavelError for options that do not apply to them.

    `swapped_clips` takes a disentangling model's name, a store and a count, and returns log-mels of
    swaps, the rows of the store that hold their true sound, and the model's name.
    """
    if options.real or options.duets or not options.data:
        raise RavelError(
            f"{names[0]} is a vocoder: score it on a store with audio, with --data STORE."
        )
    if not options.swapped:
        return on_store(names, options.data, say, options.melodies)
    pairs, where = swapped_pairs(
        options.swapped, options.data, enough(options.melodies), swapped_clips
    )
    on_pairs(names, pairs, where, say)


def swapped_pairs(
    name: str, path: str, count: int, swapped_clips: SwappedClips
) -> tuple[Pairs, str]:
    """Log-mels of a disentangling model's swaps with their true sound, and a name for them.

    Raises RavelError for a store without sound or without true renderings of swaps.
    """
    store = FeatureStore.open(path)
    if store.audio is None:
        raise RavelError(f"{path} holds log-mels only: build it again with its audio.")
    log_mels, rows, model = swapped_clips(name, store, count)
    waves = measures.true_sound(store, rows).waves
    return Pairs(log_mels, waves), f"{store.path.name}, swapped by {model}"


def on_store(names: Sequence[str], path: str, say: Say, clips: int = 100) -> None:
    """Score vocoders and both forms of Griffin-Lim on validation clips of a store with audio.

    The clips' log-mels are turned into sound and compared with the clips themselves. The scores go
    into each metrics.json and card. Raises RavelError for a store without audio or such clips.
    """
    store = FeatureStore.open(path)
    if store.audio is None:
        raise RavelError(f"{path} holds log-mels only: score vocoders on a store with its audio.")
    pairs = measures.held_out(store, enough(clips))
    on_pairs(names, pairs, store.path.name, say)


def on_pairs(names: Sequence[str], pairs: Pairs, where: str, say: Say) -> None:
    """The same for any log-mels with their true sound; `where` names them.

    Raises RavelError for fewer than two.
    """
    if len(pairs.waves) < 2:
        raise RavelError(f"{where} has {len(pairs.waves)} clips: two or more are needed.")
    torch.set_num_threads(1)  # so that timings are comparable
    vocoders = [load(name) for name in dict.fromkeys(names)]
    baselines = measures.compare(pairs, GRIFFIN_LIM)
    for vocoder in vocoders:
        rows = measures.compare(pairs, {ROW: vocoder.to_waveform}) | baselines
        record_scores(vocoder.checkpoint, where, {"clips": len(pairs.waves)} | rows)
        say(f"\n{vocoder.name} on {where}: {len(pairs.waves)} clips, value [95 % interval]")
        say(aligned(side_by_side(rows, MEANINGS, corner="")))


def enough(clips: int) -> int:
    """The number of clips. Raises RavelError for fewer than two."""
    if clips < 2:
        raise RavelError(f"--melodies is {clips}: vocoders are scored on two clips or more.")
    return clips
