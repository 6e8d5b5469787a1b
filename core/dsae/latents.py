"""The public interface of TS-DSAE: clips to latents, latents to log-mels, and swaps.

model = load("ts-dsae-players")
violin, trumpet = read("violin.flac"), read("trumpet.flac")
melody_by_trumpet = model.swap(model.encode(violin), model.encode(trumpet))

Clips may have any length: v summarises all frames, and each frame has its z. Networks that see
single frames or their neighbours run piece by piece, so that minutes take the memory of seconds and
give the same result; recurrent networks run over the whole clip.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.audio.clip import HOP_SECONDS, SAMPLE_RATE, Clip
from core.audio.mel import N_MELS, frames_of, log_mel
from core.checkpoints import checkpoint as checkpoints
from core.checkpoints.loaded import Loaded
from core.dsae.config import DsaeConfig
from core.dsae.layers import Gaussian
from core.dsae.model import Dsae, GlobalEncoder
from core.errors import RavelError
from core.files import replace

What = Literal["global", "local"]
PIECE = 4096  # frames, 66 s, that are processed at a time
# Frames of context on each side, by form of q(z) and of the decoder; None: the whole clip.
CONTEXT = {
    "factorised": 0, "context": 2, "full": None,
    "framewise": 0, "convolutional": 16, "film": 2, "recurrent": None,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Latents:
    """A clip's posterior: means and log-variances of v, each [V], and of z, each [T, Z]."""

    v: Tensor
    v_logvar: Tensor
    z: Tensor
    z_logvar: Tensor

    def to_npz(self) -> bytes:
        """The four arrays as the bytes of an .npz file."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = self.arrays()
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()

    def arrays(self) -> dict[str, np.ndarray]:
        """The four arrays by name."""
        return {name: tensor.numpy() for name, tensor in vars(self).items()}


@dataclass(frozen=True, eq=False)
class Swap:
    """Log-mels [T, M] around one swap of two clips.

    `swapped` is the requested swap; `counterpart` is the opposite swap of the same clips.
    """

    source: Tensor
    target: Tensor
    source_reconstruction: Tensor
    target_reconstruction: Tensor
    swapped: Tensor
    counterpart: Tensor
    source_latents: Latents
    target_latents: Latents


class Disentangler(Loaded[Dsae, DsaeConfig]):
    """A trained model for inference: no gradients and no noise."""

    @property
    def v_size(self) -> int:
        """The size of the global latent, its equaliser included: V + E."""
        return self.config.model.v_size + self.config.model.equaliser

    @property
    def z_size(self) -> int:
        """Z, the size of a local latent."""
        return self.config.model.z_size

    @property
    def info(self) -> dict[str, Any]:
        """The system, variant, corpus and scores."""
        return {
            "system": self.config.system,
            "variant": self.config.objective.variant,
            "corpus": Path(self.config.data.store).name,
            "metrics": self.checkpoint.metrics,
        }

    @torch.inference_mode()
    def encode(self, clip: Clip | Tensor | np.ndarray) -> Latents:
        """A clip, or a log-mel [T, M], to its latents. Raises RavelError for another shape."""
        x = clip_log_mel(clip).clamp(min=self.config.model.floor)
        if len(x) <= PIECE:
            q_v, q_z = self.model.encode(x[None].to(self.device))
        else:
            q_v, q_z = self._encode_long(x)
        return Latents(*(part[0].cpu() for part in (*q_v, *q_z)))

    def _encode_long(self, x: Tensor) -> tuple[Gaussian, Gaussian]:
        """A log-mel [T, M] to q(v) over [1, V] and q(z) over [1, T, Z]."""
        if isinstance(self.model.global_encoder, GlobalEncoder):
            q_v = self._mean_of_pieces(x)
        else:  # its features take a quarter of the frames: they fit
            q_v = self.model.global_encoder(x[None].to(self.device))

        def local(part: Tensor) -> Tensor:
            return torch.stack(self.model.local_encoder(part[None].to(self.device), q_v.mean)).cpu()

        q_z = Gaussian(*_in_pieces(local, x, CONTEXT.get(self.config.model.posterior)))
        if self.config.model.equaliser:
            rebuilt = self._decode(q_v.mean, q_z.mean[0])
            q_v = self.model.equalised(x[None], rebuilt, Gaussian(q_v.mean.cpu(), q_v.logvar.cpu()))
        return q_v, q_z

    def _mean_of_pieces(self, x: Tensor) -> Gaussian:
        encoder = self.model.global_encoder
        assert isinstance(encoder, GlobalEncoder)  # the one whose summary is a mean over frames
        sums = [encoder.frames(part.to(self.device)).double().sum(0) for part in x.split(PIECE)]
        return encoder.head((torch.stack(sums).sum(0) / len(x)).float()[None])

    @torch.inference_mode()
    def decode(self, v: Tensor, z: Tensor) -> Tensor:
        """Global latent v [V] and local latents z [T, Z] to a log-mel [T, M]."""
        if v.shape != (self.v_size,) or z.dim() != 2 or z.shape[1] != self.z_size:
            raise RavelError(
                f"Latents of shapes v {tuple(v.shape)} and z {tuple(z.shape)} were given, but "
                f"{self.name} takes v ({self.v_size},) and z (frames, {self.z_size})."
            )
        return self._decode(v[None].to(self.device), z)[0]

    def _decode(self, v: Tensor, z: Tensor) -> Tensor:
        """v [1, V] and z [T, Z] to a log-mel [1, T, M] on the CPU."""

        def made(part: Tensor) -> Tensor:
            return self.model.decoder(part[None].to(self.device), v).cpu()

        return _in_pieces(made, z, CONTEXT.get(self.config.model.decoder))

    def swap(self, source: Latents, target: Latents) -> Tensor:
        """The source's melody with the target's global latent, as a log-mel [T, M]."""
        return self.decode(target.v, source.z)

    @torch.inference_mode()
    def sample(self, seconds: float = 4.0, seed: int = 0, v: Tensor | None = None) -> Latents:
        """A draw from the prior: z frame by frame, and v, if not given, from N(0, I)."""
        frames = frames_of(round(seconds * SAMPLE_RATE))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            # The equaliser has no prior: a sample is as the decoder makes it.
            size = self.config.model.v_size
            drawn = F.pad(torch.randn(size), (0, self.v_size - size)) if v is None else v
            z = self.model.prior.sample(1, frames)[0].cpu()
        # A sample has no posterior variance.
        certain = [torch.full_like(part, -torch.inf) for part in (drawn, z)]
        return Latents(drawn, certain[0], z, certain[1])


def _in_pieces(function: Callable[[Tensor], Tensor], x: Tensor, context: int | None) -> Tensor:
    """Apply `function`, x [T, D] to [..., T, E], PIECE frames at a time.

    `context` is the number of frames it sees on each side; None: it needs the whole clip.
    """
    if context is None or len(x) <= PIECE:
        return function(x)
    parts = []
    for first in range(0, len(x), PIECE):
        before, end = max(0, first - context), min(first + PIECE, len(x))
        made = function(x[before : end + context])
        parts.append(made[..., first - before : end - before, :])
    return torch.cat(parts, dim=-2)


def load(checkpoint: str | Path, device: str = "cpu") -> Disentangler:
    """A checkpoint by name or folder. Raises RavelError when missing, damaged or not of dsae."""
    model, config, found = checkpoints.load(checkpoint, "dsae")
    return Disentangler(model.to(device), config, found)


def clip_log_mel(clip: Clip | Tensor | np.ndarray) -> Tensor:
    """The log-mel [T, M] of a clip, or the log-mel itself, checked."""
    if isinstance(clip, Clip):
        return log_mel(torch.from_numpy(clip.wave))
    x = torch.as_tensor(clip, dtype=torch.float32)
    if x.dim() != 2 or x.shape[1] != N_MELS:
        raise RavelError(
            f"A log-mel of shape {tuple(x.shape)} was given, but (frames, {N_MELS}) is expected."
        )
    return x


def swap_clips(model: Disentangler, source: Clip, target: Clip, what: What = "global") -> Swap:
    """Swap two clips. `global`: source melody, target instrument; `local`: the opposite."""
    x, y = clip_log_mel(source), clip_log_mel(target)
    of_x, of_y = model.encode(x), model.encode(y)
    by_target, by_source = model.swap(of_x, of_y), model.swap(of_y, of_x)
    swapped, counterpart = (by_target, by_source) if what == "global" else (by_source, by_target)
    return Swap(
        source=x,
        target=y,
        source_reconstruction=model.decode(of_x.v, of_x.z),
        target_reconstruction=model.decode(of_y.v, of_y.z),
        swapped=swapped,
        counterpart=counterpart,
        source_latents=of_x,
        target_latents=of_y,
    )


def save_latents(path: str | Path, clips: dict[str, Latents]) -> None:
    """Write the latents of named clips into an .npz, with keys `NAME/v`, `NAME/z` and so on."""
    arrays: dict[str, Any] = {
        f"{name}/{k}": a for name, lat in clips.items() for k, a in lat.arrays().items()
    }

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)

    replace(Path(path), write)


def seconds_of(log_mel: Tensor) -> float:
    """The duration in seconds of the sound of a log-mel [T, M]."""
    return (log_mel.shape[0] - 1) * HOP_SECONDS
