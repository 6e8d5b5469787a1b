"""What is trained to prove a device: a small corpus, and every system in several forms."""

from pathlib import Path
from typing import Any

import numpy as np

from core import registry
from core.audio.clip import SAMPLE_RATE
from core.audio.mel import log_mel
from core.checkpoints import checkpoint
from core.data.store import Chunk, FeatureStore, StoreWriter, to_pcm
from core.training.config import RunConfig, merge

STEPS = {"steps": 6, "batch_size": 4, "validate_every": 6, "checkpoint_every": 6, "log_every": 1}
TRAINING = STEPS | {"warmup_steps": 1, "precision": "fp32", "patience": None, "snapshots": ()}
TWO_STAGES = {"stage1_steps": 2}
PLAYERS = registry.preset("dsae", "players")
TINY_SEPARATOR: dict[str, Any] = {"repeats": 1, "blocks": 3, "basis": 32, "hidden": 24}
TINY_SEPARATOR |= {"window": 256, "hop": 128, "bottleneck": 16}
STFT = {"transform": "stft", "channels": 3}
# By name: the system, and changes to its defaults. START is a separator's checkpoint.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "ts-dsae": ("dsae", {"model": {"hidden": 16, "decorrelate": True}, "objective": TWO_STAGES}),
    "ts-dsae, recurrent": (
        "dsae",
        {
            "model": {"hidden": 8, "posterior": "full", "decoder": "recurrent"},
            "objective": TWO_STAGES,
            "data": {"crop": 12},
        },
    ),
    "ts-dsae, convolutional": (
        "dsae",
        {"model": {"hidden": 16, "decoder": "convolutional"}, "objective": TWO_STAGES},
    ),
    "players": (
        "dsae",
        {
            "model": {**PLAYERS["model"], "hidden": 16, "adversary": True},
            "objective": {
                **PLAYERS["objective"],
                "adversary": 0.1,
                "prior_steps": 2,
                "stage1_steps": 2,
            },
            "data": {"crop": 20, "other_crop": 24},
        },
    ),
    "mixit": (
        "separation",
        {
            "model": {**TINY_SEPARATOR, "channels": 4},
            "objective": {"sparsity": 1.0, "covariance": 1.0},
            "data": {"seconds": 0.3},
        },
    ),
    "pit, stft": (
        "separation",
        {
            "model": {**TINY_SEPARATOR, **STFT},
            "objective": {"method": "pit"},
            "data": {"seconds": 0.3},
        },
    ),
    "self-remixing": (
        "separation",
        {
            "model": TINY_SEPARATOR,
            "objective": {"method": "self-remixing", "start": "START", "teacher_every": 2},
            "data": {"seconds": 0.3},
        },
    ),
    "contrastive": (
        "contrastive",
        {
            "model": {"encoder": "small", "width": 4, "embedding": 8, "head": 8, "projection": 8},
            "views": {"separators": ("START", "random-filter", "random-equaliser"), "frames": 32},
        },
    ),
    "vocoder": (
        "vocoder",
        {
            "model": {"width": 8, "hidden": 8, "blocks": 1},
            "data": {"crop": 20},
            "objective": {"noise_share": 0.5},
        },
    ),
}


def config(name: str, store: Path, start: Path, **training: Any) -> RunConfig:
    """A case's config; `start` is the folder of a separator."""
    system, changes = CASES[name]
    values = merge(changes, {"system": system, "data.store": str(store), "training": TRAINING})
    values = merge(values, {"training": training})
    if system == "separation" and "start" in values.get("objective", {}):
        values = merge(values, {"objective.start": str(start)})
    if system == "contrastive":
        named = [str(start) if n == "START" else n for n in values["views"]["separators"]]
        values = merge(values, {"views.separators": named})
    return registry.parse(values)


def corpus(folder: Path, clips: int = 14) -> FeatureStore:
    """Tones of two instruments and several lengths, the last four held out."""
    writer = StoreWriter(folder, kind="tones", settings={}, chunks=1)
    rng = np.random.default_rng(0)
    rows, waves = [], []
    for number in range(clips):
        time = np.arange(round((0.6 - 0.08 * (number % 3)) * SAMPLE_RATE)) / SAMPLE_RATE
        pitch, bright = 220 * 2 ** (number / 12), 1 + 4 * (number % 2)
        wave = sum(np.sin(2 * np.pi * pitch * h * time) / h for h in range(1, bright + 1))
        waves.append((0.2 * wave + 0.001 * rng.standard_normal(len(time))).astype(np.float32))
        split = "train" if number < clips - 4 else "validation"
        name = "ab"[number % 2]
        labels = {"instrument": name, "label": name, "player": str(number % 4)}
        rows.append({"name": f"tone-{number}", "split": split, **labels})
    mels = [log_mel(wave).numpy() for wave in waves]
    writer.write(0, Chunk(rows, mels, [to_pcm(wave) for wave in waves]))
    return writer.finish()


def separator(folder: Path) -> Path:
    """A separator of random weights, which remixing starts from and views are made by."""
    made = registry.parse({"system": "separation", "model": TINY_SEPARATOR})
    weights = registry.network(made).state_dict()
    return checkpoint.write(folder, made.model_dump(), weights).path
