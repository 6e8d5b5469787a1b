"""The demo's examples and their precomputed answers, which ship: no model is needed to show them.

`python -m lab.demo.app --precompute` makes them. An answer belongs to one checkpoint and to exactly
the samples it was made from; for anything else there is none, and the models compute it.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.audio.clip import Clip, read
from core.vocoder.play import route_digest
from lab.bundled import EXAMPLES, sources
from lab.demo import models
from lab.demo.models import ENCODER, INPUTS, SEPARATOR, SWAP_MODEL, SWAPPED, Rendering

FOLDER = EXAMPLES / "space"
INDEX, EMBEDDINGS = "answers.json", "embeddings.npz"
SYSTEMS = {"swap": "dsae", "separate": "separation", "embed": "contrastive"}  # by task


class SwapExample(NamedTuple):
    """Two bundled clips by name, and the model that suits them."""

    title: str
    source: str
    target: str
    model: str = SWAP_MODEL

    def clips(self) -> tuple[Clip, Clip]:
        """Its source and its target."""
        return read_example(self.source, "swap"), read_example(self.target, "swap")


class MixtureExample(NamedTuple):
    """A mixture of bundled clips, in a file of FOLDER, and the separator that suits it."""

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
    MixtureExample("Duet", "violin-trumpet.flac", ("violin-2", "trumpet-1"), "separator-duets"),
)
QUERIES = {  # title: clip to search for
    "Rooster": "rooster",
    "Waves": "sea",
    "Ticking clock": "clock",
    "Trumpet": "trumpet-2",
    "Dog in the rain": "dog-rain.flac",
}


def path_of(name: str) -> Path:
    """The file of a bundled clip or of a mixture."""
    return FOLDER / name if name.endswith(".flac") else Path(sources()[name]["path"])


def read_example(name: str, task: str) -> Clip:
    """The part of a bundled clip or of a mixture that a task uses."""
    return models.read_input(path_of(name), "The example", 0.0, task)


def kind_of(name: str) -> str:
    """The instrument or the source of a bundled clip, in one word."""
    return sources()[name]["what"]


class Answers:
    """The answers in a folder, read when they are needed."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder

    @cached_property
    def index(self) -> dict[str, Any]:
        """INDEX; empty where no answers were made."""
        try:
            return json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    @property
    def ticks(self) -> list[tuple[str, float]]:
        """Labels and heights of frequencies in spectrograms."""
        saved = self.index.get("ticks")
        return [(label, height) for label, height in saved] if saved else models.ticks()

    def swap(
        self, model: str, source: Clip, target: Clip, route: str | None = None
    ) -> dict[str, Rendering] | None:
        """INPUTS and SWAPPED by name, as `models.swap` returns them; None if they do not ship."""
        stems = self._find(key("swap", model, source, target, route=route))
        if stems is None:
            return None
        waves = {"source": source.wave, "target": target.wave}
        return {part: self._rendering(stems[part], waves.get(part)) for part in (*INPUTS, *SWAPPED)}

    def separate(self, model: str, mixture: Clip) -> tuple[list[Rendering], list[str]] | None:
        """As `models.separate` returns, and each channel's contents; None if it does not ship."""
        found = self._find(key("separate", model, mixture))
        if found is None:
            return None
        whole, *channels = found["files"]
        renderings = [self._rendering(whole, mixture.wave), *map(self._rendering, channels)]
        return renderings, found["contents"]

    def embed(self, sound: Clip) -> tuple[np.ndarray, Rendering] | None:
        """The embedding [D] of a sound, and its picture; None if they do not ship."""
        found = self._find(key("embed", ENCODER, sound))
        if found is None or self.embeddings is None:
            return None
        return self.embeddings["queries"][found["row"]], self._rendering(found["file"], sound.wave)

    def library_embeddings(self) -> np.ndarray | None:
        """Embeddings [N, D] of the library; None if those of this encoder do not ship."""
        if self.embeddings is None:
            return None
        digest = models.shipped("contrastive", ENCODER).digest
        return self.embeddings["library"] if self.index.get("library") == digest else None

    @cached_property
    def embeddings(self) -> dict[str, np.ndarray] | None:
        """The arrays of EMBEDDINGS; None where they were not made."""
        try:
            with np.load(self.folder / EMBEDDINGS) as arrays:
                return dict(arrays)
        except (OSError, ValueError):
            return None

    def _find(self, name: str) -> Any:
        return self.index.get("answers", {}).get(name)

    def _rendering(self, stem: str, wave: np.ndarray | None = None) -> Rendering:
        if wave is None:
            wave = read(self.folder / f"{stem}.ogg", normalise=False).wave
        return Rendering(wave, (self.folder / f"{stem}.png").read_bytes())


def key(task: str, model: str, *clips: Clip, route: str | None = None) -> str:
    """The name of an answer: its task, the model's weights, the samples and, for a swap, the route
    from log-mels to sound. Raises RavelError."""
    digest = models.shipped(SYSTEMS[task], model).digest
    parts = [task, digest, *(clip.digest for clip in clips)]
    return "/".join([*parts, route_digest(route)] if task == "swap" else parts)


answers = Answers()
