"""What a form for training asks: whether a corpus fits the settings, and how to fine-tune a model.

Nothing here needs torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core import registry
from core.checkpoints.checkpoint import Checkpoint
from core.errors import RavelError
from core.service import corpora
from core.service.corpora import LABEL_COLUMNS
from core.training.config import merge

if TYPE_CHECKING:
    from core.training.config import RunConfig

FINE_TUNING_STEPS = 2_000
STORES = 64  # whose facts are kept


class Facts(NamedTuple):
    """A store: its clips by split, its different labels by column, whether it has sound."""

    splits: dict[str, int]
    labels: dict[str, int]
    has_audio: bool

    @property
    def held_out(self) -> int:
        """Clips that are validated on only."""
        return self.splits.get("validation", 0)

    @property
    def trained(self) -> int:
        """Clips that may be trained on."""
        kept = ("validation", "counterfactual")
        return self.splits.get("train") or sum(
            count for name, count in self.splits.items() if name not in kept
        )


class Findings(NamedTuple):
    """What keeps a corpus from being trained on, and what is worth knowing; sentences."""

    problems: list[str]
    notes: list[str]


def facts(store: str | Path) -> Facts:
    """What is known of a store. Raises RavelError where there is none, or an unfinished one."""
    path = Path(store)
    file = path / "store.json"
    return _facts(path, corpora.changed(file), corpora.changed(path / "clips.csv"))


@lru_cache(maxsize=STORES)
def _facts(path: Path, *changed: int) -> Facts:
    try:
        about = json.loads((path / "store.json").read_text(encoding="utf-8"))
        finished, audio = bool(about["finished"]), bool(about.get("audio"))
        columns = corpora.columns(path) if finished else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise RavelError(
            f"{path} is no feature store: add a corpus here, or build one with 'python -m core "
            "data'."
        ) from None
    if not finished:
        raise RavelError(f"{path} is unfinished: wait, or run its command again to continue it.")
    names, counts = np.unique(columns["split"], return_counts=True)
    labels = {
        name: len(set(np.unique(values).tolist()) - {""})
        for name, values in columns.items()
        if name not in corpora.ABOUT
    }
    return Facts(dict(zip(names.tolist(), counts.tolist(), strict=True)), labels, audio)


def factor_for(config: RunConfig, found: Facts) -> str | None:
    """The label column that a model should be scored by on a store: the config's if the store has
    it, else the store's most informative one; None for a system without such a setting."""
    factor = getattr(config.data, "factor", None)
    if factor is None or found.labels.get(factor):
        return factor
    several = [name for name in LABEL_COLUMNS if found.labels.get(name, 0) > 1]
    return several[0] if several else factor


def check(config: RunConfig, found: Facts) -> Findings:
    """Whether a store can be trained on with these settings."""
    problems, notes = [], []
    clips, batch = found.trained, config.training.batch_size
    if registry.get(config.system).needs_audio and not found.has_audio:
        problems.append(
            "This corpus holds log-mels only, but this system is trained on sound: choose another "
            "corpus, or build it again with its audio."
        )
    if not clips:
        problems.append("This corpus has no clips to train on: choose another.")
    factor = getattr(config.data, "factor", None)
    usual = getattr(type(config).parse({}).data, "factor", None)
    if factor is not None and not found.labels.get(factor):
        if factor == usual or factor in found.labels:
            notes.append(
                f"It has no labels called `{factor}`. Training needs none; scores that compare "
                "labels are left out."
            )
        else:
            problems.append(
                f"This corpus has no label column called {factor!r}: set data.factor to "
                f"{registry.either(found.labels) if found.labels else usual}."
            )
    if clips and not found.held_out:
        notes.append("It holds out no clips, so every tenth is held out for validation.")
    if clips and batch > clips:
        notes.append(f"It has {clips:,} clips to train on, so each step takes all of them.")
    return Findings(problems, notes)


def fine_tuning(checkpoint: Checkpoint) -> dict[str, Any]:
    """The settings with which a checkpoint is trained on: shortly and gently. RavelError."""
    config: Mapping[str, Any] = checkpoint.config
    training = registry.parse(config).training
    changes = {
        "training.start_from": checkpoint.name,
        "training.steps": min(training.steps, FINE_TUNING_STEPS),
        "training.learning_rate": round(0.3 * training.learning_rate, 8),
        "training.schedule": "cosine",
        "training.warmup_steps": 50,
        "training.validate_every": 200,
        "training.checkpoint_every": 200,
        "training.patience": None,
        "training.snapshots": (),
        "training.device": "auto",
        "training.processes": 1,
    }
    return merge(config, changes | dict(registry.get(checkpoint.system).fine_tuning))
