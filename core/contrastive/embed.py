"""The public interface of encoders: a sound of any length to an embedding.

model = load("scenes-encoder")
h = model.embed(read("street.wav"))  # [D]
h, times = model.timeline(read("street.wav"), hop_seconds=0.5)  # [T, D], [T]

`Encoder` is what Map, Find and `evaluate` ask of an encoder, whether Ravel trained it (`Embedder`)
or not (`core.contrastive.external`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.audio.clip import SAMPLE_RATE, Clip
from core.audio.scene_mel import FRONT_END, FrontEnd, scene_frames, scene_log_mel
from core.checkpoints import checkpoint as checkpoints
from core.checkpoints.checkpoint import Checkpoint
from core.checkpoints.loaded import Loaded
from core.contrastive import index
from core.contrastive.config import ContrastiveConfig
from core.contrastive.model import Cnn14, SmallEncoder
from core.contrastive.probe import starts_of
from core.errors import RavelError
from core.files import replace

if TYPE_CHECKING:
    from core.data.store import FeatureStore

BATCH = 64  # patches at a time: about a minute of sound

Waveform = Clip | Tensor | np.ndarray


class Timeline(NamedTuple):
    """Embeddings `h` [T, D] along a sound, and `times` [T], the middle of each patch in seconds."""

    h: Tensor
    times: Tensor


class Encoder(Protocol):
    """Any encoder, ready for use; `checkpoint.digest` changes with whatever its embeddings do."""

    checkpoint: Checkpoint

    @property
    def name(self) -> str:
        """The checkpoint's name."""

    @property
    def size(self) -> int:
        """D, the size of an embedding."""

    def embed(self, sound: Waveform) -> Tensor:
        """The embedding h [D] of a sound [S] at 16 kHz. Raises RavelError."""

    def embed_many(self, sounds: Iterable[Waveform]) -> Tensor:
        """Embeddings [N, D] of sounds. Raises RavelError."""

    def timeline(self, sound: Waveform, hop_seconds: float = 0.96) -> Timeline:
        """Embeddings along a sound [S]. Raises RavelError."""

    def clips(self, store: FeatureStore, rows: Iterable[int]) -> Tensor:
        """Embeddings [N, D] of clips of a store with audio. Raises RavelError."""


class Embedder(Loaded[Cnn14 | SmallEncoder, ContrastiveConfig]):
    """A trained encoder for inference, on mono sound at 16 kHz with a peak of about 1."""

    sample_rate: int = SAMPLE_RATE
    front_end: FrontEnd = FRONT_END

    @property
    def encoder(self) -> Cnn14 | SmallEncoder:
        """The network."""
        return self.model

    @property
    def size(self) -> int:
        """D, the size of an embedding."""
        return self.config.model.embedding

    @property
    def patch(self) -> int:
        """Frames of a patch, the encoder's input, 10 ms each."""
        return self.config.views.frames

    def embed(self, sound: Waveform) -> Tensor:
        """The embedding h [D] of a sound [S] of any length: the mean over patches end to end.

        A sound shorter than a patch is followed by silence. Raises RavelError for another shape or
        samples that are not numbers.
        """
        samples = checked(sound)
        total, count = torch.zeros(self.size), 0
        for h in self._patches(samples, starts_of(scene_frames(len(samples)), self.patch)):
            total, count = total + h.sum(dim=0), count + len(h)
        return total / count

    def embed_many(self, sounds: Iterable[Waveform]) -> Tensor:
        """Embeddings [N, D] of sounds, processed one at a time."""
        return torch.stack([self.embed(sound) for sound in sounds])

    def timeline(self, sound: Waveform, hop_seconds: float = 0.96) -> Timeline:
        """Embeddings of the patches inside a sound [S], one every `hop_seconds` to the next 10 ms.

        Raises RavelError for a hop below 10 ms, and as `embed` does.
        """
        samples, hop = checked(sound), hop_of(hop_seconds)
        starts = starts_of(scene_frames(len(samples)), self.patch, hop)
        h = torch.cat(list(self._patches(samples, starts)))
        middle = ((self.patch - 1) * FRONT_END.hop + FRONT_END.n_fft) / 2
        times = (torch.tensor(starts) * FRONT_END.hop + middle) / SAMPLE_RATE
        return Timeline(h, times)

    def clips(self, store: FeatureStore, rows: Iterable[int]) -> Tensor:
        """Embeddings [N, D] of clips of a store with audio."""
        return self.embed_many(index.wave(store, row) for row in rows)

    @torch.inference_mode()
    def _patches(self, samples: Tensor, starts: Sequence[int]) -> Iterator[Tensor]:
        """Embeddings [b, D] of the patches starting at these frames, in bounded memory."""
        for first in range(0, len(starts), BATCH):
            some = starts[first : first + BATCH]
            frames = some[-1] + self.patch - some[0]
            size = (frames - 1) * FRONT_END.hop + FRONT_END.n_fft
            piece = samples[some[0] * FRONT_END.hop :][:size].to(self.device)
            log_mel = scene_log_mel(F.pad(piece, (0, size - len(piece))))
            cut = [log_mel[start - some[0] :][: self.patch] for start in some]
            yield self.model(torch.stack(cut)).cpu()


def load(checkpoint: str | Path, device: str = "cpu") -> Encoder:
    """An encoder by name, NAME@STEP or folder, whether Ravel trained it or not.

    Raises RavelError when it is missing or damaged, was trained on another front end, or would
    import code and was not made here.
    """
    found = checkpoints.find(checkpoint)
    if found.external is None:
        return trained(checkpoint, device)
    from core.contrastive.external import folder

    return folder.load(found, device)


def trained(checkpoint: str | Path, device: str = "cpu") -> Embedder:
    """An encoder that Ravel trained. Raises RavelError as `load`, and for any other."""
    found = checkpoints.find(checkpoint)
    if found.external is not None:
        raise RavelError(f"Ravel did not train the encoder {found.name}: choose one that it did.")
    model, config, found = checkpoints.load(checkpoint, "contrastive")
    return Embedder(model.encoder.to(device), config, found)


def hop_of(seconds: float) -> int:
    """A hop in frames of 10 ms. Raises RavelError for one below that."""
    hop = round(seconds * SAMPLE_RATE / FRONT_END.hop) if seconds < 1e6 else 0
    if hop < 1:
        raise RavelError(f"A hop of {seconds:g} s is not possible: give 0.01 s or more.")
    return hop


def save_embeddings(
    path: str | Path, found: Mapping[str, Tensor], timelines: Mapping[str, Timeline] | None = None
) -> None:
    """Write named embeddings into one .npz: `names` [N], `h` [N, D]; of each timeline, if any,
    `NAME/h` [T, D] and `NAME/times` [T] in seconds."""
    h = torch.stack([*found.values()])
    arrays: dict[str, Any] = {"names": np.array(list(found)), "h": h.numpy()}
    for name, timeline in (timelines or {}).items():
        arrays |= {f"{name}/h": timeline.h.numpy(), f"{name}/times": timeline.times.numpy()}

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)

    replace(Path(path), write)


def checked(sound: Waveform) -> Tensor:
    """A sound [S] in single precision. Raises RavelError for another shape or no numbers."""
    samples = torch.as_tensor(sound.wave if isinstance(sound, Clip) else sound)
    if samples.dim() != 1 or not len(samples):
        raise RavelError(
            f"A sound of shape {tuple(samples.shape)} was given: it must be mono, (samples,)."
        )
    if not torch.isfinite(samples).all():
        raise RavelError("The sound has samples that are not numbers: save the file again.")
    return samples.float()
