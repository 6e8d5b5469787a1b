"""A module of the HEAR common API (Turian et al., 2022) as an encoder.

Sounds at Ravel's 16 kHz are resampled to the module's own rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
import torch
from torch import Tensor, nn

from core.audio.clip import SAMPLE_RATE
from core.checkpoints.checkpoint import Checkpoint
from core.contrastive import index
from core.contrastive.embed import Timeline, Waveform, checked, hop_of
from core.contrastive.external.module import brief
from core.errors import RavelError

if TYPE_CHECKING:
    from core.data.store import FeatureStore

LOAD, SCENES, TIMESTAMPS = "load_model", "get_scene_embeddings", "get_timestamp_embeddings"
RATES = (4_000, 192_000)  # samples a second that a model may ask for
SAME = 1e-3  # of the length of an embedding, which may differ between two calls


class HearEncoder:
    """A loaded model with the module that it belongs to. Sounds are embedded one at a time."""

    def __init__(
        self, checkpoint: Checkpoint, module: ModuleType, weights: str | None, device: str = "cpu"
    ) -> None:
        self.checkpoint, self.module, self.device = checkpoint, module, torch.device(device)
        for name in (LOAD, SCENES):
            if not callable(getattr(module, name, None)):
                raise RavelError(
                    f"{module.__name__} has no function {name}, which the HEAR common API asks "
                    "for: give the module that has it."
                )
        hint = " with these weights" if weights else " without --weights"
        model = self._call(LOAD, hint, *([weights] if weights else []))
        self.model = model.to(self.device).eval() if isinstance(model, nn.Module) else model
        self.sample_rate = self._whole("sample_rate", *RATES)
        self.size = self._whole("scene_embedding_size", 1, 65_536)

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    def embed(self, sound: Waveform) -> Tensor:
        """The embedding h [D] of a whole sound [S]. Raises RavelError."""
        return self._rows(SCENES, self._input(sound), (1, self.size), "one row for a sound")[0]

    def embed_many(self, sounds: Iterable[Waveform]) -> Tensor:
        """Embeddings [N, D] of sounds, processed one at a time."""
        return torch.stack([self.embed(sound) for sound in sounds])

    def clips(self, store: FeatureStore, rows: Iterable[int]) -> Tensor:
        """Embeddings [N, D] of clips of a store with audio. Raises RavelError that names a clip."""
        return torch.stack([self._clip(store, row) for row in rows])

    def _clip(self, store: FeatureStore, row: int) -> Tensor:
        try:
            return self.embed(index.wave(store, row))
        except RavelError as error:
            raise RavelError(f"Clip {store.labels['name'][row]}: {error}") from error

    def timeline(self, sound: Waveform, hop_seconds: float = 0.96) -> Timeline:
        """Of the embeddings that the model has along a sound, those nearest to every `hop_seconds`.

        Raises RavelError for a hop below 10 ms, and a module without them.
        """
        hop_of(hop_seconds)
        if not callable(getattr(self.module, TIMESTAMPS, None)):
            raise RavelError(f"{self.name} has no embeddings along a sound ({TIMESTAMPS}).")
        samples = self._input(sound)
        given = self._call(TIMESTAMPS, _said(samples, self.sample_rate), samples, self.model)
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise RavelError(f"{self.name}: {TIMESTAMPS} should return embeddings and times.")
        h, times = (torch.as_tensor(part).detach().float().cpu() for part in given)
        if h.dim() != 3 or h.shape[:2] != times.shape or len(h) != 1 or not h.shape[1]:
            raise RavelError(
                f"{self.name}: {TIMESTAMPS} returned the shapes {tuple(h.shape)} and "
                f"{tuple(times.shape)} for one sound; expected (1, times, size) and (1, times)."
            )
        seconds = times[0] / 1000
        wanted = torch.arange(float(seconds[0]), float(seconds[-1]) + 1e-6, hop_seconds)
        nearest = (seconds[None] - wanted[:, None]).abs().argmin(dim=1).unique()
        return Timeline(h[0, nearest], seconds[nearest])

    def _input(self, sound: Waveform) -> Tensor:
        """HEAR's audio [1, S'] in [-1, 1] at the model's rate."""
        samples = checked(sound).numpy()
        if self.sample_rate != SAMPLE_RATE:
            samples = soxr.resample(samples, SAMPLE_RATE, self.sample_rate, quality="VHQ")
        samples = samples / max(1.0, float(np.abs(samples).max(initial=0)))
        return torch.from_numpy(np.array(samples, np.float32))[None].to(self.device)

    def _rows(self, function: str, audio: Tensor, shape: tuple[int, int], words: str) -> Tensor:
        """What a function of the module returns for `audio` [n, S'], checked."""
        said = _said(audio, self.sample_rate)
        given = self._call(function, said, audio, self.model)
        try:
            found = torch.as_tensor(given).detach().float().cpu()
        except (TypeError, ValueError, RuntimeError):
            kind = type(given).__name__
            raise RavelError(f"{self.name}: {function} returned a {kind}, not a tensor.") from None
        if tuple(found.shape) != shape:
            raise RavelError(
                f"{self.name}: {function} returned the shape {tuple(found.shape)}{said}; expected "
                f"{shape}, {words}."
            )
        if not torch.isfinite(found).all():
            raise RavelError(f"{self.name}: {function} returned numbers that are not finite{said}.")
        return found

    def _call(self, function: str, where: str, *arguments: Any) -> Any:
        try:
            with torch.no_grad():
                return getattr(self.module, function)(*arguments)
        except (Exception, SystemExit) as error:
            raise RavelError(f"{self.name}: {function} failed{where} ({brief(error)}).") from error

    def _whole(self, name: str, least: int, most: int) -> int:
        value = getattr(self.model, name, None)
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise RavelError(
                f"{self.name}: the model has no whole number {name}, which the HEAR common API "
                f"asks for; it is {value!r}."
            )
        if not least <= value <= most:
            raise RavelError(f"{self.name}: {name} is {value}, expected {least} to {most}.")
        return int(value)


def check(encoder: HearEncoder, say: Callable[[str], None]) -> None:
    """Embed real sounds, alone and two together, and look at the results. Raises RavelError."""
    rng = np.random.default_rng(0)
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tone = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    noise = rng.uniform(-1, 1, len(time)).astype(np.float32)
    first, second, again = (encoder.embed(sound) for sound in (tone, noise, tone))
    together = torch.cat([encoder._input(tone), encoder._input(noise)])
    encoder._rows(SCENES, together, (2, encoder.size), "one row for each of two sounds")
    if (first - again).norm() > SAME * first.norm():
        raise RavelError(
            f"{encoder.name} gives the same sound another embedding each time: it should be in "
            "evaluation mode, without dropout."
        )
    if torch.equal(first, second):
        raise RavelError(f"{encoder.name} gives a tone and noise the same embedding.")
    for words, sound in (("half a second", noise[: SAMPLE_RATE // 2]), ("silence", 0 * tone)):
        try:
            encoder.embed(sound)
        except RavelError as error:
            say(f"note: clips of {words} cannot be embedded: {error}")
    if callable(getattr(encoder.module, TIMESTAMPS, None)):
        last = float(encoder.timeline(noise, 0.01).times[-1])
        if not 1 < last < 3:  # of two; some give seconds where HEAR asks for milliseconds
            say(f"note: the times along a sound of 2 s end at {last:g} s, so do not rely on them")
    else:
        say(f"note: there are no embeddings along a sound, as the module has no {TIMESTAMPS}")


def _said(audio: Tensor, rate: int) -> str:
    sounds = "a sound" if len(audio) == 1 else f"{len(audio)} sounds"
    return f" for {sounds} of {audio.shape[1] / rate:.2f} s at {rate} Hz"


def absolute(weights: str | None) -> str | None:
    """The full path of a file of weights. Raises RavelError where there is none."""
    if weights is None:
        return None
    path = Path(weights).expanduser().resolve()
    if not path.is_file():
        raise RavelError(f"There is no file of weights {weights}.")
    return str(path)
