"""The examples of the demo and their answers, which ship: they are there before any model is.

`python -m lab.demo.app --precompute` makes them. An answer is of one checkpoint and of the very
samples it was made from; of anything else there is none, and the models are asked.
"""

from __future__ import annotations

import json
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.audio.clip import Clip, read
from core.vocoder.play import route_digest
from lab.bundled import EXAMPLES, sources
from lab.demo import models as engine
from lab.demo.models import COLLAPSED, ENCODER, PARTS, SEPARATOR, SWAP, Heard

FOLDER = EXAMPLES / "space"
INDEX, EMBEDDINGS = "answers.json", "embeddings.npz"


class SwapExample(NamedTuple):
    """Two bundled clips by name, and the model that suits them."""

    title: str
    source: str
    target: str
    model: str = SWAP


class MixtureExample(NamedTuple):
    """A mixture of bundled clips, in a file of this folder, and the separator that suits it."""

    title: str
    file: str
    clips: tuple[str, ...]
    model: str = SEPARATOR


SWAPS = (
    SwapExample("Violin and trumpet", "violin-1", "trumpet-1"),
    SwapExample("Flute and saxophone", "flute-1", "saxophone-1"),
    SwapExample("Clarinet and violin", "clarinet-1", "violin-2"),
    SwapExample("Synthesised", "dmelodies-violin", "dmelodies-trumpet", "ts-dsae-dmelodies"),
)
MIXTURES = (
    MixtureExample("Dog in the rain", "dog-rain.flac", ("dog", "rain")),
    MixtureExample("Rooster and clock", "rooster-clock.flac", ("rooster", "clock")),
    MixtureExample("Baby, dog and waves", "baby-dog-sea.flac", ("baby", "dog", "sea")),
    MixtureExample(
        "Duet", "violin-trumpet.flac", ("violin-2", "trumpet-1"), "separator-duets"
    ),
)  # fmt: skip
QUERIES = {  # what to look for, by title
    "Rooster": "rooster",
    "Waves": "sea",
    "Ticking clock": "clock",
    "Trumpet": "trumpet-2",
    "Dog in the rain": "dog-rain.flac",
}


def file_of(name: str) -> Path:
    """The file of a bundled clip, or of a mixture."""
    return FOLDER / name if name.endswith(".flac") else Path(sources()[name]["path"])


def what(name: str) -> str:
    """What a bundled clip is, in a word."""
    return sources()[name]["what"]


class Answers:
    """What lies in a folder, read as it is asked for."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder

    @cached_property
    def index(self) -> dict[str, Any]:
        """Answers by what they are of; empty where none were made."""
        try:
            return json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    @property
    def ticks(self) -> list[tuple[str, float]]:
        """Frequencies to label in pictures."""
        known = self.index.get("ticks")
        return [tuple(tick) for tick in known] if known else engine.ticks()

    def swap(
        self, model: str, source: Clip, target: Clip, way: str | None = None
    ) -> dict[str, Heard] | None:
        """As `engine.swap` answers, if it ships."""
        found = self._found(key("swap", model, source, target, way=way))
        if found is None:
            return None
        waves = {"source": source.wave, "target": target.wave}
        return {part: self._heard(found[part], waves.get(part)) for part in PARTS}

    def separate(self, model: str, mixture: Clip) -> tuple[list[Heard], list[str]] | None:
        """As `engine.separate` answers, and what each channel holds, if it ships."""
        found = self._found(key("separate", model, mixture))
        if found is None:
            return None
        first, *others = found["heard"]
        heard = [self._heard(first, mixture.wave), *map(self._heard, others)]
        return heard, found["says"]

    def embed(self, sound: Clip) -> tuple[np.ndarray, bytes] | None:
        """The embedding of a sound and its picture, if they ship."""
        found = self._found(key("embed", ENCODER, sound))
        if found is None or self.embeddings is None:
            return None
        return self.embeddings["queries"][found["row"]], self._picture(found["heard"])

    def embedded(self) -> np.ndarray | None:
        """Embeddings [N, D] of the library, if they ship."""
        digest = engine.chosen("contrastive", ENCODER).digest
        fresh = self.index.get("library") == digest and self.embeddings is not None
        return self.embeddings["library"] if fresh else None

    @cached_property
    def embeddings(self) -> dict[str, np.ndarray] | None:
        """The arrays that ship."""
        try:
            with np.load(self.folder / EMBEDDINGS) as arrays:
                return dict(arrays)
        except (OSError, ValueError):
            return None

    def _found(self, name: str) -> Any:
        return self.index.get("answers", {}).get(name)

    def _heard(self, stem: str, wave: np.ndarray | None = None) -> Heard:
        if wave is None:
            wave = read(self.folder / f"{stem}.ogg", normalise=False).wave
        return Heard(wave, self._picture(stem))

    def _picture(self, stem: str) -> bytes:
        return (self.folder / f"{stem}.png").read_bytes()


def key(task: str, model: str, *clips: Clip, way: str | None = None) -> str:
    """What an answer is of: a task, the model's weights, samples; of a swap also how its log-mels
    are played. Raises RavelError."""
    system = {"swap": "dsae", "separate": "separation", "embed": "contrastive"}[task]
    facts = [task, _digest(system, model), *(clip.digest for clip in clips)]
    return "/".join([*facts, _played(way)] if task == "swap" else facts)


@cache
def _played(way: str | None) -> str:
    return route_digest(way)


@cache
def _digest(system: str, model: str) -> str:
    return engine.chosen(system, model).digest


answers = Answers()
COMPARED = COLLAPSED  # by every swap example, beside its own model
