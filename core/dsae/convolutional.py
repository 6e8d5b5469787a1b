"""Networks that see the frames around each: for real players, whose registers and rooms differ.

A global encoder that pools statistics over time, a local encoder with a quantiser, and a residual
decoder in which v scales and shifts the features (FiLM, Perez et al., AAAI 2018).

Letters: B batch, T frames, M mels, V size of the global latent, Z size of a local latent, H hidden.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.audio.mel import N_MELS
from core.dsae import equaliser
from core.dsae.config import ModelConfig
from core.dsae.layers import Gaussian, GaussianHead, frame_mask, masked_mean

BLOCKS = 3  # of the decoder
# About the mean and the deviation of music's log-mels: networks learn faster from standard scores.
CENTRE, SCALE = -1.0, 4.5


class TimeConvolution(nn.Module):
    """A convolution over time of [B, T, D] as one matrix product, with zeros around the clip."""

    def __init__(self, inputs: int, outputs: int, taps: int, stride: int = 1) -> None:
        super().__init__()
        self.taps, self.stride = taps, stride
        self.linear = nn.Linear(taps * inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] to [B, ceil(T / stride), H]."""
        around = self.taps // 2
        x = F.pad(x, (0, 0, around, around))
        # Faster than Conv1d on CPUs at these sizes, in single precision and in bfloat16.
        windows = x.unfold(1, self.taps, self.stride).transpose(2, 3)  # [B, T', taps, D]
        return self.linear(windows.flatten(2))


class PoolingEncoder(nn.Module):
    """q(v | x_1:T) from the mean and the deviation over time of two strided convolutions."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.first = TimeConvolution(N_MELS, config.hidden, taps=5, stride=2)
        self.second = TimeConvolution(config.hidden, config.hidden, taps=5, stride=2)
        self.head = GaussianHead(2 * config.hidden, config.v_size)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Gaussian:
        """x [B, T, M] and lengths [B] (none: all T) to q(v) over [B, V]."""
        h = (x - CENTRE) / SCALE
        if lengths is not None:
            h = h * frame_mask(lengths, x.shape[1])[..., None]
        for layer in (self.first, self.second):
            h = F.silu(layer(h))
            if lengths is not None:
                lengths = -(-lengths // 2)
                h = h * frame_mask(lengths, h.shape[1])[..., None]
        h = h.float()
        mean = masked_mean(h, lengths)
        variance = masked_mean((h - mean[:, None]).square(), lengths)
        return self.head(torch.cat([mean, (variance + 1e-4).sqrt()], dim=-1))


class ContextEncoder(nn.Module):
    """Features of q(z_t | x_t-2 .. x_t+2): taps 3, 1, 3. [B, T, M] to [B, T, H]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                TimeConvolution(N_MELS, config.hidden, taps=3),
                nn.Linear(config.hidden, config.hidden),
                TimeConvolution(config.hidden, config.hidden, taps=3),
            ]
        )

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """x [B, T, M] and lengths [B] (none: all T) to features [B, T, H]."""
        mask = None if lengths is None else frame_mask(lengths, x.shape[1])[..., None]
        x = (x - CENTRE) / SCALE
        for layer in self.layers:
            x = F.silu(layer(x if mask is None else x * mask))
        return x


class Quantiser(nn.Module):
    """Finite scalar quantisation (Mentzer et al., ICLR 2024): each dimension to `levels` values.

    The values are evenly spaced in [-1, 1]. Gradients pass the rounding as if it were not there.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.reach = (levels - 1) / 2

    def forward(self, x: Tensor) -> Gaussian:
        """Unbounded x [..., Z] to the nearest values, with the variance of the rounding error."""
        bounded = torch.tanh(x)
        # An even number of levels has none at zero: they lie half a step beside it.
        offset = 0.0 if float(self.reach).is_integer() else 0.5
        inner = bounded * self.reach
        rounded = ((inner + offset).round() - offset).clamp(-self.reach, self.reach) / self.reach
        values = bounded + (rounded - bounded).detach()
        step = 1 / self.reach
        return Gaussian(values, torch.full_like(values, math.log(step**2 / 12)))


class FilmBlock(nn.Module):
    """A residual layer on each frame, whose features v scales and shifts."""

    def __init__(self, hidden: int, v_size: int) -> None:
        super().__init__()
        self.inner = nn.Linear(hidden, hidden)
        self.film = nn.Linear(v_size, 2 * hidden)
        self.outer = nn.Linear(hidden, hidden)

    def forward(self, h: Tensor, v: Tensor) -> Tensor:
        """h [B, T, H] and v [B, V] to [B, T, H]."""
        scale, shift = self.film(v)[:, None].chunk(2, dim=-1)
        return h + self.outer(F.silu(self.inner(h) * (1 + scale) + shift))


class FilmDecoder(nn.Module):
    """The mean of p(x_t | z_t-2 .. z_t+2, v): a convolution of z, then residual FiLM blocks."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.of_z = TimeConvolution(config.z_size, config.hidden, taps=5)
        self.blocks = nn.ModuleList(
            [FilmBlock(config.hidden, config.v_size) for _ in range(BLOCKS)]
        )
        self.out = nn.Linear(config.hidden, N_MELS)
        self.v_size, self.floor = config.v_size, config.floor

    def forward(self, z: Tensor, v: Tensor, lengths: Tensor | None = None) -> Tensor:
        """z [B, T, Z] and v [B, V], or [B, V + E] with an equaliser, to a log-mel [B, T, M]."""
        v, coefficients = v.split([self.v_size, v.shape[1] - self.v_size], dim=1)
        if lengths is not None:
            z = z * frame_mask(lengths, z.shape[1])[..., None]
        h = self.of_z(z)
        for block in self.blocks:
            h = block(h, v)
        made = CENTRE + SCALE * self.out(F.silu(h)).float()
        if not coefficients.shape[1]:
            return made
        return equaliser.apply(made, coefficients.float(), self.floor)
