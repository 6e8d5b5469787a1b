"""Scores of checkpoints on a feature store and on real recordings, printed and kept."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.audio.clip import Clip
from core.audio.mel import log_mel
from core.data import folder
from core.data.store import FeatureStore
from core.dsae import evaluate, recordings
from core.dsae.card import refresh_scores
from core.dsae.judge import train_judge
from core.dsae.latents import load
from core.errors import RavelError

Say = Callable[[str], None]
LABELS = ("violin", "trumpet")
MOST_RENDERED = 400  # clips of each instrument that the judges take from a store

MEANINGS = evaluate.MEANINGS | {
    "melody": "melody kept (raw pitch accuracy, CREPE tiny, 50 cents)",
    "own_encoder": "instrument by the model's own encoder (macro-F1)",
    "judge": "instrument by a judge of real and rendered sound (macro-F1)",
    "real_judge": "instrument by a judge of real sound only (macro-F1)",
    "pairs": "swaps, every pair both ways",
}


def shown(value: Any) -> str:
    """A score with its interval, or a plain number."""
    if isinstance(value, dict):
        return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def on_store(names: Sequence[str], path: str, say: Say) -> None:
    """Score checkpoints on a store's validation split; write each one's metrics.json and card."""
    store = FeatureStore.open(path)
    for model in [load(name) for name in names]:
        scores = evaluate.score(model.model, store, model.config.data.factor)
        model.checkpoint.write_metrics({store.path.name: scores})
        refresh_scores(model.checkpoint)
        say(f"\n{model.name} on {store.path.name}")
        for name, value in scores.items():
            say(f"  {MEANINGS[name]:<58} {shown(value)}")


def on_recordings(
    names: Sequence[str],
    folders: Sequence[str],
    learn_from: Sequence[str],
    most: int | None,
    say: Say,
) -> None:
    """Swap every violin with every trumpet of real recordings, both ways, and judge the sound.

    The judges learn from `learn_from`, audio folders and stores; `most` limits the recordings of
    each instrument.
    """
    models = [load(name) for name in names]
    clips = read_recordings(folders, most)
    real, rendered = read_learnt(learn_from)
    say(
        f"{len(clips)} recordings to swap; the judges learn from {len(real[0])} recordings and "
        f"{len(rendered[0])} rendered clips of {' and '.join(LABELS)}"
    )
    originals = recordings.Originals(clips, LABELS)
    both = (real[0] + rendered[0], real[1] + rendered[1])
    judges = {
        "judge": train_judge([source for source in (real, rendered) if source[0]]).tell,
        "real_judge": train_judge([real]).tell,
    }
    for model in models:
        own = recordings.own_encoder(model, both)
        scores = recordings.judge_model(model, originals, {"own_encoder": own, **judges})
        kept = {"pairs": len(originals.pairs), **scores}
        model.checkpoint.write_metrics({"real recordings": kept})
        refresh_scores(model.checkpoint)
        say(f"\n{model.name}: {len(originals.pairs)} swaps of real recordings")
        for row, columns in scores.items():
            for name, value in columns.items():
                say(f"  {row:<15} {MEANINGS[name]:<62} {shown(value)}")


def read_recordings(folders: Sequence[str], most: int | None) -> list[Clip]:
    """The beginning of each violin and trumpet in audio folders, all cut to one length.

    At most four seconds of each recording, at most `most` recordings of each instrument.
    """
    files = [file for path in folders for file in folder.listing(path)]
    clips: list[Clip] = []
    for label in LABELS:
        of_label = [file for file in files if file.labels.get("instrument") == label]
        if not of_label:
            raise RavelError(
                f"There is no recording with the instrument '{label}' in {', '.join(folders)}: "
                "give folders whose metadata.csv has a column 'instrument'."
            )
        count = min(len(of_label), most or len(of_label))
        chosen = [of_label[i] for i in np.linspace(0, len(of_label) - 1, count).astype(int)]
        clips += [next(folder.segments(file)) for file in chosen]
    seconds = min(clip.seconds for clip in clips)
    return [clip.segment(0.0, seconds) for clip in clips]


def read_learnt(sources: Sequence[str]) -> tuple[recordings.Told, recordings.Told]:
    """What judges learn from: real recordings of audio folders, rendered clips of stores."""
    real: recordings.Told = ([], [])
    rendered: recordings.Told = ([], [])
    for source in sources:
        if (Path(source) / "store.json").exists():
            _add_rendered(FeatureStore.open(source), rendered)
        else:
            for clip in folder.recordings(source):
                if clip.labels.get("instrument") in LABELS:
                    real[0].append(log_mel(clip.wave))
                    real[1].append(clip.labels["instrument"])
    if len(set(real[1])) < len(LABELS):
        raise RavelError(
            "The judges need real violins and trumpets to learn from, other ones than those that "
            "are swapped: give --judge FOLDER."
        )
    return real, rendered


def _add_rendered(store: FeatureStore, rendered: recordings.Told) -> None:
    names = np.char.lower(store.labels["instrument"])
    source = store.labels.get("source", np.full(len(store), "rendered"))
    for label in LABELS:
        for i in np.flatnonzero((names == label) & (source == "rendered"))[:MOST_RENDERED]:
            rendered[0].append(
                torch.from_numpy(store.log_mel[i, : store.lengths[i]].astype("float32"))
            )
            rendered[1].append(label)
