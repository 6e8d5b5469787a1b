"""Two views of a clip: separated or not, a patch of each, and each patch augmented on its own.

Fonseca et al., WASPAA 2021, section 2. The separator processes whole clips; log-mels are computed
once for each clip and channel, and patches are cut from them. B batch, P processors (separators), M
channels, T frames of a clip, F frames of a patch, 64 bands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core.audio.mel import HOP
from core.audio.scene_mel import FRONT_END, scene_frames, scene_log_mel
from core.contrastive.config import ViewsConfig
from core.contrastive.sources import Kept, Source, cut
from core.data.joined import Rows
from core.data.store import PCM, FeatureStore
from core.errors import RavelError
from core.files import only_one, replace

if TYPE_CHECKING:
    from core.separation.separate import SeparationModel

QUIET = -45.0  # dB of `level`: a tone 60 dB below full scale; padding is below
TRIES = 4
EMPTY = 40.0  # dB below the mixture's patch at which a channel's patch counts as empty
BATCH = 8  # clips separated at a time


# Ahead of time: log-mels of clips and of their channels, kept in the store


def mixtures(store: FeatureStore, *, progress: bool = True) -> np.ndarray:
    """Log-mels float16 [N, 1, T, 64] of a store's clips, computed once and stored."""
    return _kept(store, "mixture", 1, lambda waves: waves[:, None], progress)


def channels(
    store: FeatureStore, separator: SeparationModel, *, progress: bool = True
) -> np.ndarray:
    """Log-mels float16 [N, M, T, 64] of the channels a separator makes of a store's clips.

    Computed once and stored under the separator's digest. Raises RavelError without audio.
    """
    name = f"{separator.name.replace('@', '-')}-{separator.checkpoint.digest}"
    return _kept(store, name, separator.channels, separator.batch, progress)


def _kept(
    store: FeatureStore, name: str, count: int, made: Callable[[Tensor], Tensor], progress: bool
) -> np.ndarray:
    if store.audio is None:
        raise RavelError(
            f"{store.path} holds log-mels only, but views are made from sound: build it again with "
            "its audio."
        )
    path = store.path / "views" / f"{name}.npy"
    shape = (len(store), count, scene_frames(store.audio.shape[1]), FRONT_END.bands)
    path.parent.mkdir(exist_ok=True)
    with only_one(path.with_suffix(".lock")):  # of several processes one makes it for all
        if path.exists():
            found = np.load(path, mmap_mode="r")
            if found.shape == shape:
                return found
        replace(path, lambda temporary: _fill(temporary, store, shape, made, name, progress))
    return np.load(path, mmap_mode="r")


def _fill(
    path: Path,
    store: FeatureStore,
    shape: tuple[int, ...],
    made: Callable[[Tensor], Tensor],
    name: str,
    progress: bool,
) -> None:
    assert store.audio is not None  # _kept has checked it
    rows = np.lib.format.open_memmap(path, "w+", np.float16, shape)
    starts = range(0, len(store), BATCH)
    for start in tqdm(starts, f"views by {name}", disable=None if progress else True):
        waves = torch.from_numpy(store.audio[start : start + BATCH].astype("float32") / PCM)
        rows[start : start + BATCH] = features(made(waves)).cpu().numpy()
    rows.flush()


def frames_of(store: FeatureStore) -> np.ndarray:
    """The number of frames [N] of sound in each clip's log-mel; the rest is padding."""
    return np.array([scene_frames(int(length - 1) * HOP) for length in store.lengths])


@torch.no_grad()
def features(waves: Tensor) -> Tensor:
    """The encoders' input for waves [..., S]: log-mels [..., T, 64] in half precision."""
    return scene_log_mel(waves, FRONT_END).half()


# On the fly: patches of views


class Views:
    """Pairs of augmented patches of clips, drawn anew at each call.

    `sources` are log-mels [N, M, T, 64]: first those of the mixtures (M = 1), then those of each
    processor's channels, or a Source that makes them when drawn. Those that are Rows are left on
    disk. `frames` [N] is the number of frames of sound in each clip.
    """

    def __init__(
        self,
        config: ViewsConfig,
        sources: Sequence[np.ndarray | Rows | Source],
        frames: np.ndarray,
        device: torch.device | str = "cpu",
    ) -> None:
        if config.pair != "mixture-mixture" and len(sources) < 2:
            raise RavelError("views.separators is empty: name a separator, or mix with mixtures.")
        mixtures = sources[0]
        assert isinstance(mixtures, np.ndarray | Rows)
        if mixtures.shape[2] < config.frames:
            raise RavelError(
                f"The clips have {mixtures.shape[2]} frames, fewer than the {config.frames} of a "
                "patch: lower views.frames, or build the store with longer segments."
            )
        self.config = config
        self.mixtures = Kept(mixtures, device).log_mels[0]  # [N, T, 64]
        self.processors: list[Source] = [
            Kept(source, device) if isinstance(source, np.ndarray | Rows) else source
            for source in sources[1:]
        ]
        self.frames = torch.from_numpy(frames).to(device).clamp(min=config.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def whole(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """The log-mels [n, T, 64] of some mixtures, and their frames [n]."""
        mixtures = self.mixtures[rows]
        made = torch.from_numpy(mixtures) if isinstance(mixtures, np.ndarray) else mixtures
        return made, self.frames[rows]

    def draw(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Two views [B, F, 64] of the clips `indices` [B], each with its own random numbers."""
        starts = self._starts(indices)
        size = self.config.frames
        whole = [cut(self.mixtures, indices, start, size) for start in starts]
        processor, pick = self._choices(len(indices))
        if self.config.pair == "channel-channel":
            whole[0] = self._channel(indices, starts[0], processor, pick, whole[0])
        if self.config.pair != "mixture-mixture":
            # Of two channels, the second is the next one after the first.
            turn = int(self.config.pair == "channel-channel")
            whole[1] = self._channel(indices, starts[1], processor, pick, whole[1], turn)
        if self.config.mix:
            whole = [self._mixed(patches) for patches in whole]
        return self._augmented(whole[0]), self._augmented(whole[1])

    def _choices(self, count: int) -> tuple[Tensor, Tensor]:
        """The OR rule: a random separator for each example, and its channel, in [0, 1)."""
        device = self.frames.device
        processor = torch.randint(max(1, len(self.processors)), (count,), device=device)
        return processor, torch.rand(count, device=device)

    def _starts(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Starts of the two patches: anywhere in the clip, the second near the first."""
        size = self.config.frames
        room = (self.frames[indices] - size).clamp(min=0)
        first = self._loud(indices, torch.zeros_like(room), room)
        most = self.config.proximity
        reach = room if most is None else torch.full_like(room, round(most * 100))
        low, high = (first - reach).clamp(min=0), torch.minimum(first + reach, room)
        return first, self._loud(indices, low, high)

    def _loud(self, indices: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """A random start between `low` and `high`, redrawn a few times if the patch is silent."""
        mixture, size = self.mixtures, self.config.frames
        start = _uniform(low, high)
        for _ in range(TRIES - 1):
            quiet = level(cut(mixture, indices, start, size)) < QUIET
            if not quiet.any():
                break
            start = torch.where(quiet, _uniform(low, high), start)
        return start

    def _channel(
        self,
        indices: Tensor,
        start: Tensor,
        processor: Tensor,
        pick: Tensor,
        mixture: Tensor,
        turn: int = 0,
    ) -> Tensor:
        """Patches [B, F, 64] of the chosen channel of each example's processor.

        An almost empty channel carries no information, so the loudest is used instead.
        """
        found = torch.empty_like(mixture)
        for number, source in enumerate(self.processors):
            mine = torch.nonzero(processor == number)[:, 0]
            if not len(mine):
                continue
            patches = source.patches(indices[mine], start[mine], self.config.frames)
            count, rows = len(patches), torch.arange(len(mine), device=mine.device)
            chosen = ((pick[mine] * count).long() + turn) % count
            levels = level(patches)  # [M, b]
            empty = levels[chosen, rows] < level(mixture[mine]) - EMPTY
            chosen = torch.where(empty, levels.argmax(dim=0), chosen)
            found[mine] = patches[chosen, rows]
        return found

    def _mixed(self, patches: Tensor) -> Tensor:
        """A share of the patches [B, F, 64], each with a patch of a random clip added."""
        count, device = len(patches), patches.device
        clips = torch.randint(len(self), (count,), device=device)
        room = (self.frames[clips] - self.config.frames).clamp(min=0)
        starts = self._loud(clips, torch.zeros_like(room), room)
        others = cut(self.mixtures, clips, starts, self.config.frames)
        below = self.config.mix_below * torch.rand(count, device=device)
        chosen = torch.rand(count, device=device) < self.config.mix
        return torch.where(chosen[:, None, None], added(patches, others, below), patches)

    def _augmented(self, patches: Tensor) -> Tensor:
        c = self.config
        if not c.specaugment:
            return patches
        patches = time_warp(patches, c.warp)
        patches = masked(patches, c.freq_masks, c.freq_width, dim=2)
        return masked(patches, c.time_masks, c.time_width, dim=1)


def level(patches: Tensor) -> Tensor:
    """The level of patches [..., F, 64] in dB, from the mean of the mel magnitudes."""
    magnitude = (patches.exp() - FRONT_END.epsilon).clamp(min=0).mean(dim=(-1, -2))
    return 20 * torch.log10(magnitude + 1e-12)


def added(patches: Tensor, others: Tensor, below: Tensor) -> Tensor:
    """Patches [B, F, 64] with others added that are `below` [B] dB quieter: their powers add up.

    The patch is the louder one, so that it stays what the views have in common (mix-back, Fonseca
    et al., ICASSP 2021). Silence is not added: it would be raised to noise.
    """
    epsilon = FRONT_END.epsilon
    own, other = ((x.exp() - epsilon).clamp(min=0) for x in (patches, others))
    gain = 10 ** ((level(patches) - below - level(others)) / 20)
    gain = torch.where(level(others) < QUIET, 0.0, gain)
    return (own.square() + (gain[:, None, None] * other).square()).sqrt().add(epsilon).log()


def time_warp(patches: Tensor, most: int) -> Tensor:
    """Time warping of SpecAugment on [B, F, 64]: a random frame moves by up to `most` frames.

    The parts before and after it are stretched linearly; each patch draws its own numbers.
    """
    batch, frames, _ = patches.shape
    most = min(most, (frames - 1) // 2)
    if not most:
        return patches
    device = patches.device
    centre = torch.randint(most, frames - most, (batch, 1), device=device).float()
    moved = centre + torch.randint(-most, most + 1, (batch, 1), device=device)
    moved = moved.clamp(1, frames - 2)
    at = torch.arange(frames, device=device, dtype=torch.float32)[None]
    before = at * centre / moved
    after = centre + (at - moved) * (frames - 1 - centre) / (frames - 1 - moved)
    source = torch.where(at < moved, before, after).clamp(0, frames - 1)  # [B, F]
    low = source.floor().long()
    high, weight = (low + 1).clamp(max=frames - 1), (source - low)[..., None]
    rows = torch.arange(batch, device=device)[:, None]
    return (1 - weight) * patches[rows, low] + weight * patches[rows, high]


def masked(patches: Tensor, count: int, most: int, *, dim: int) -> Tensor:
    """Masks of SpecAugment along frames (`dim` 1) or bands (2) of [B, F, 64].

    Each is 0 to `most` wide; each patch draws its own. Masked values become the patch's mean.
    """
    size = patches.shape[dim]
    fill = patches.mean(dim=(1, 2), keepdim=True)
    at = torch.arange(size, device=patches.device)
    for _ in range(count):
        width = torch.randint(min(most, size) + 1, (len(patches), 1), device=patches.device)
        start = _uniform(torch.zeros_like(width), size - width)
        hidden = (at >= start) & (at < start + width)  # [B, size]
        hidden = hidden[:, :, None] if dim == 1 else hidden[:, None, :]
        patches = torch.where(hidden, fill, patches)
    return patches


def _uniform(low: Tensor, high: Tensor) -> Tensor:
    """Random integers from `low` to `high` inclusive, elementwise."""
    return low + (torch.rand(low.shape, device=low.device) * (high - low + 1)).long()
