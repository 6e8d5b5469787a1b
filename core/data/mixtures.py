"""Mixtures drawn on the fly from the sound of a feature store, each with its truth.

A mixture is the sum of excerpts of different clips, each brought to a common level and then a few
dB up or down. Which clips, where in them and how loud are functions of a generator's seed alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.audio.clip import SAMPLE_RATE, Clip
from core.audio.mel import HOP
from core.data.joined import Rows
from core.data.store import PCM, FeatureStore
from core.errors import RavelError

LEVEL = 0.1  # the RMS that excerpts are brought to, -20 dB of full scale
SILENCE = 1e-3  # RMS below which an excerpt is taken elsewhere: many corpora pad with zeros
TRIES = 4


class Waves:
    """The sound of some clips of a store, as 16-bit samples until they are used."""

    def __init__(
        self,
        store: FeatureStore,
        indices: np.ndarray,
        device: torch.device | str = "cpu",
        *,
        mapped: bool = False,
    ) -> None:
        """`mapped`: leave the sound on disk, and give excerpts on the host, whatever the device."""
        if store.audio is None:
            raise RavelError(
                f"{store.path} holds log-mels only, but mixtures are made of sound: build it "
                "again with its audio."
            )
        self.device = torch.device("cpu" if mapped else device)
        self.audio, self.rows = store.audio, np.asarray(indices)
        self.read = Rows(store.audio, self.rows)
        size = self.audio.shape[1]
        self.resident: Tensor | None = None  # int16 [N, size], on a GPU
        if self.device.type == "cuda":
            self.resident = torch.from_numpy(self.audio[self.rows]).to(self.device)
        frames = torch.from_numpy(store.lengths[self.rows].astype("int64"))
        self.samples = (frames * HOP).clamp(max=size)  # of each clip

    def __len__(self) -> int:
        return len(self.rows)

    def excerpts(
        self, indices: Tensor, samples: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """Random excerpts [B, samples] of clips, not silent ones where the clip has others.

        A clip that is shorter is followed by silence.
        """
        indices = indices.cpu()
        room = (self.samples[indices] - samples).clamp(min=0)
        drawn = torch.rand(TRIES, len(indices), generator=generator)
        starts = (drawn * (room + 1)).long()  # [TRIES, B]
        found = self._cut(indices, starts[0], samples)
        for again in starts[1:]:
            quiet = rms(found) < SILENCE
            if not quiet.any():
                break
            other = self._cut(indices, again, samples)
            better = quiet & (rms(other) > rms(found))
            found = torch.where(better[:, None], other, found)
        return found

    def _cut(self, indices: Tensor, starts: Tensor, samples: int) -> Tensor:
        if self.resident is None:
            size = min(samples, self.audio.shape[1])
            pieces = self.read.spans(indices.numpy(), starts.numpy(), size)
            cut = torch.from_numpy(pieces).to(self.device)
        else:
            positions = starts[:, None] + torch.arange(min(samples, self.resident.shape[1]))
            cut = self.resident[indices[:, None].to(self.device), positions.to(self.device)]
        return F.pad(cut.float() / PCM, (0, samples - cut.shape[1]))


def rms(waves: Tensor) -> Tensor:
    """Root mean square [...] of waves [..., S]."""
    return waves.square().mean(dim=-1).sqrt()


def levelled(waves: Tensor, gains: Tensor) -> Tensor:
    """Waves [..., S] at LEVEL, then `gains` [...] dB up; what is almost silent stays so."""
    scale = LEVEL * 10 ** (gains / 20) / rms(waves).clamp(min=SILENCE)
    return scale[..., None] * waves


def partners(
    first: Tensor, count: int, sources: int, generator: torch.Generator | None = None
) -> Tensor:
    """Numbers [sources, B] of the clips to mix: `first` [B] and others of `count` at random.

    No clip is twice in a mixture. Raises RavelError when there are fewer clips than sources.
    """
    if count < sources:
        raise RavelError(
            f"Mixtures of {sources} sources need as many clips, but there are {count}."
        )
    first = first.cpu()
    steps = [torch.zeros(len(first), dtype=torch.long)]
    for _ in range(1, sources):  # distinct steps around the circle of clips
        step = 1 + torch.randint(count - len(steps), (len(first),), generator=generator)
        for earlier in torch.stack(steps[1:], 1).sort(dim=1).values.T if steps[1:] else ():
            step = step + (step >= earlier).long()
        steps.append(step)
    return (first + torch.stack(steps)) % count


def draw(
    waves: Waves,
    first: Tensor,
    *,
    samples: int,
    sources: int = 2,
    spread: float = 2.5,
    generator: torch.Generator | None = None,
) -> Tensor:
    """References [B, sources, samples]: excerpts of the clips `first` [B], and of others at random.

    Their sum over dimension 1 is the mixture. `spread`: dB by which levels go up or down. Raises
    RavelError when there are fewer clips than sources.
    """
    chosen = partners(first, len(waves), sources, generator)
    excerpts = torch.stack([waves.excerpts(row, samples, generator) for row in chosen], dim=1)
    gains = spread * (2 * torch.rand(excerpts.shape[:2], generator=generator) - 1)
    return levelled(excerpts, gains.to(excerpts.device))


def training_rows(store: FeatureStore, sources: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the clips to train on, and of those to validate on, as `FeatureStore` splits them.

    Where the clips held out are too few for a mixture of so many sources, validation takes all;
    training too, in a store of no more than two clips.
    """
    train, held_out = store.training_rows()
    both = np.union1d(train, held_out)
    if len(both) == 2 and len(held_out) < 2:
        train = both
    return train, held_out if len(held_out) >= sources else both


def held_out(
    store: FeatureStore,
    count: int,
    *,
    sources: int = 2,
    seconds: float = 4.0,
    spread: float = 2.5,
    factor: str | None = None,
    seed: int = 0,
) -> tuple[Tensor, np.ndarray]:
    """References [count, sources, S] of clips never trained on, and which clips [count, sources].

    With `factor`, a label column, the sources of a mixture differ in it where there are as many
    labels. Which clips are held out, and which are taken where those are too few, is decided by
    `training_rows`. The same seed gives the same mixtures everywhere. Raises RavelError when there
    are too few clips.
    """
    _, clips = training_rows(store, sources)
    waves = Waves(store, clips)
    column = store.labels.get(factor or "")
    labels = np.arange(len(clips)) if column is None else column[clips]
    if len(set(labels)) < sources:
        labels = np.arange(len(clips))
    labels = np.unique(labels, return_inverse=True)[1]  # numbers are sorted faster than texts
    rng = np.random.default_rng([seed, sources])
    chosen = np.stack([_different(rng, labels, sources, store) for _ in range(count)])
    generator = torch.Generator().manual_seed(seed)
    samples = round(seconds * SAMPLE_RATE)
    excerpts = [waves.excerpts(torch.from_numpy(row), samples, generator) for row in chosen]
    gains = spread * (2 * torch.rand(count, sources, generator=generator) - 1)
    return levelled(torch.stack(excerpts), gains), clips[chosen]


def _different(
    rng: np.random.Generator, labels: np.ndarray, sources: int, store: FeatureStore
) -> np.ndarray:
    order = rng.permutation(len(labels))
    _, firsts = np.unique(labels[order], return_index=True)
    if len(firsts) < sources:
        raise RavelError(
            f"{store.path} has {len(labels)} clips to mix, but a mixture of {sources} sources "
            "needs as many: add recordings."
        )
    return order[np.sort(firsts)[:sources]]


def of_clips(clips: Sequence[Clip], decibels: Sequence[float]) -> Tensor:
    """References [N, S] of a mixture of whole clips, each at LEVEL and then so many dB up.

    Shorter clips are followed by silence. If their sum would clip, all are turned down together.
    Raises RavelError unless there is a level for each.
    """
    if len(clips) != len(decibels) or not clips:
        raise RavelError(
            f"{len(clips)} clips and {len(decibels)} levels were given: give a level for each clip."
        )
    longest = max(len(clip.wave) for clip in clips)
    waves = [torch.from_numpy(np.pad(c.wave, (0, longest - len(c.wave)))) for c in clips]
    # The level is of a clip itself, not of the silence after it.
    loudness = torch.stack([rms(torch.from_numpy(clip.wave)) for clip in clips]).clamp(min=SILENCE)
    gains = LEVEL * 10 ** (torch.tensor(decibels, dtype=torch.float32) / 20) / loudness
    references = gains[:, None] * torch.stack(waves)
    return references / references.sum(dim=0).abs().max().clamp(min=1.0)
