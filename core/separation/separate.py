"""The public interface of separation: a mixture of any length to channels that sum to it.

model = load("separator-scenes")
channels = model.separate(read("street.wav", normalise=False))  # [M, samples]
quieter = remix(channels, [0.0, -12.0])  # the second channel 12 dB down
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from core.audio.clip import SAMPLE_RATE, Clip
from core.checkpoints import checkpoint as checkpoints
from core.checkpoints.loaded import Loaded
from core.data.mixtures import LEVEL, rms
from core.errors import RavelError
from core.separation.config import PRESETS, ModelConfig, SeparationConfig
from core.separation.model import Separator
from core.separation.objective import si_snr

WINDOW = 10.0  # seconds separated at a time
OVERLAP = 3.0  # seconds shared by two windows
FADE = 0.5  # seconds in the middle of the overlap: nearer to an edge the context is too short
FAINT = 1e-6  # RMS below which a window counts as silent


class Match(NamedTuple):
    """The references a channel holds, and how well.

    `si_snr` and `improvement` in dB, against the sum of those references; None if it holds none.
    """

    references: tuple[int, ...]
    si_snr: float | None
    improvement: float | None


class SeparationModel(Loaded[Separator, SeparationConfig]):
    """A trained separator for inference."""

    @property
    def channels(self) -> int:
        """M, the number of output channels."""
        return self.config.model.channels

    def separate(self, mixture: Clip | Tensor | np.ndarray) -> Tensor:
        """A mixture [S] at 16 kHz, of any length and level, to channels [M, S] that sum to it.

        Raises RavelError for another shape or samples that are not numbers.
        """
        return torch.cat(list(self.parts(mixture)), dim=1)

    def parts(self, mixture: Clip | Tensor | np.ndarray) -> Iterator[Tensor]:
        """The same piece by piece [M, n], in bounded memory for any length.

        Windows overlap. The channels of each window are reordered to match those of the previous
        one in the overlap, and crossfaded.
        """
        wave = _checked(mixture)
        size, overlap = round(WINDOW * SAMPLE_RATE), round(OVERLAP * SAMPLE_RATE)
        starts = _starts(len(wave), size, overlap)
        tail = torch.zeros(self.channels, 0)  # the previous window's output beyond what was yielded
        for start, following in itertools.zip_longest(starts, starts[1:]):
            made = self.batch(wave[None, start : start + size])[0].cpu()
            made = _joined(tail, made)
            kept = made.shape[1] if following is None else following - start
            yield made[:, :kept]
            tail = made[:, kept:]

    @torch.inference_mode()
    def batch(self, mixtures: Tensor) -> Tensor:
        """Mixtures [B, S] of any level to channels [B, M, S] at their true level, in one pass.

        For mixtures no longer than a window.
        """
        return _apart(self.model, mixtures.to(self.device, torch.float32))


def load(checkpoint: str | Path, device: str = "cpu") -> SeparationModel:
    """A separator by name, NAME@STEP or folder. Raises RavelError when missing or damaged."""
    model, config, found = checkpoints.load(checkpoint, "separation")
    return SeparationModel(model.to(device), config, found)


def untrained(
    config: ModelConfig, seed: int, device: torch.device | str = "cpu"
) -> Callable[[Tensor], Tensor]:
    """A separator of random weights by `seed`: mixtures [B, S] to channels [B, M, S]."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Separator(config).to(device).eval().requires_grad_(False)
    return torch.inference_mode()(partial(_apart, model))


def untrained_small(seed: int, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The same with the sizes of the preset `small`."""
    return untrained(SeparationConfig.parse(PRESETS["small"]).model, seed, device)


def _apart(model: Separator, mixtures: Tensor) -> Tensor:
    """Channels at their true level; the model runs on mixtures at its training level."""
    loudness = rms(mixtures)[:, None]
    gain = torch.where(loudness > FAINT, LEVEL / loudness.clamp(min=FAINT), 1.0)
    return model(gain * mixtures) / gain[..., None]


def separate_file(model: SeparationModel, mixture: Clip, out: str | Path) -> list[Path]:
    """Write each channel of a mixture as NAME-channel-1.wav, ... (32-bit float) into a folder.

    The files sum to the mixture. They appear together at the end, or not at all. Raises RavelError
    if the folder cannot be written.
    """
    folder = Path(out)
    names = [f"{mixture.name}-channel-{i}.wav" for i in range(1, model.channels + 1)]
    hidden = [folder / f".{name}.{os.getpid()}.tmp" for name in names]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as files:
            opened = [files.enter_context(_float_wav(path)) for path in hidden]
            for part in model.parts(mixture):
                for file, channel in zip(opened, part, strict=True):
                    file.write(channel.numpy())
        for path, name in zip(hidden, names, strict=True):
            os.replace(path, folder / name)
    except (OSError, soundfile.SoundFileError) as error:
        raise RavelError(f"The channels cannot be written into {folder}: {error}.") from None
    finally:
        for path in hidden:
            path.unlink(missing_ok=True)
    return [folder / name for name in names]


def _float_wav(path: Path) -> soundfile.SoundFile:
    return soundfile.SoundFile(path, "w", SAMPLE_RATE, channels=1, format="WAV", subtype="FLOAT")


def remix(channels: Tensor, decibels: Sequence[float | None]) -> Tensor:
    """Channels [M, S] at new levels, summed to [S]; None mutes a channel.

    With 0 dB for each, the result is the mixture. Raises RavelError for a wrong number of levels.
    """
    if len(decibels) != len(channels):
        raise RavelError(
            f"{len(decibels)} levels were given for {len(channels)} channels: give one for each."
        )
    gains = [0.0 if level is None else 10 ** (level / 20) for level in decibels]
    return torch.as_tensor(gains, dtype=channels.dtype) @ channels


def match(channels: Tensor, references: Tensor) -> list[Match]:
    """Which of the `references` [N, S] each of the channels [M, S] holds.

    With at least as many channels as references, each reference is assigned a channel of its own;
    with fewer, the references are grouped, no group empty, so as to fit the channels best.
    """
    mixture = references.sum(dim=0)
    m, n = len(channels), len(references)
    best, chosen = -np.inf, tuple[int, ...]()
    for places in itertools.product(range(m), repeat=n):
        if len(set(places)) == min(m, n):
            figures = [
                float(si_snr(channels[place], _sum(references, places, place)))
                for place in sorted(set(places))
            ]
            if sum(figures) > best:
                best, chosen = sum(figures), places
    found = []
    for place, channel in enumerate(channels):
        inside = tuple(i for i, other in enumerate(chosen) if other == place)
        if not inside:
            found.append(Match((), None, None))
            continue
        target = _sum(references, chosen, place)
        reached = float(si_snr(channel, target))
        found.append(Match(inside, reached, reached - float(si_snr(mixture, target))))
    return found


def order_of(channels: Tensor, others: Tensor) -> np.ndarray:
    """The order [M] of channels [M, S] that best matches `others` [M, S]."""
    similarity = others @ channels.T
    return linear_sum_assignment(similarity.numpy(), maximize=True)[1]


def _sum(references: Tensor, places: Sequence[int], place: int) -> Tensor:
    return references[[i for i, where in enumerate(places) if where == place]].sum(dim=0)


def _checked(mixture: Clip | Tensor | np.ndarray) -> Tensor:
    wave = torch.as_tensor(mixture.wave if isinstance(mixture, Clip) else mixture)
    if wave.dim() != 1 or not len(wave):
        raise RavelError(
            f"A mixture of shape {tuple(wave.shape)} was given: it must be mono, (samples,)."
        )
    if not torch.isfinite(wave).all():
        raise RavelError("The mixture has samples that are not numbers: save the file again.")
    return wave.float()


def _starts(samples: int, size: int, overlap: int) -> list[int]:
    """Starts of the windows; the last one is moved back so that all have the same length."""
    if samples <= size:
        return [0]
    starts = list(range(0, samples - size, size - overlap))
    return [*starts, samples - size]


def _joined(tail: Tensor, made: Tensor) -> Tensor:
    """The channels `made` [M, n], reordered to match `tail` [M, o] and crossfaded with it."""
    overlap = tail.shape[1]
    if not overlap:
        return made
    made = made[order_of(made[:, :overlap], tail)]
    fade = min(round(FADE * SAMPLE_RATE), overlap)
    position = (torch.arange(overlap) - (overlap - fade) / 2) / fade
    weight = torch.sin(torch.pi / 2 * position.clamp(0, 1)).square()  # plus its mirror image: 1
    made[:, :overlap] = (1 - weight) * tail + weight * made[:, :overlap]
    return made
