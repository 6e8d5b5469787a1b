"""What the networks of the disentangled sequential autoencoder family are made of.

Letters: B batch, T frames, D or H features.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Gaussian(NamedTuple):
    """A diagonal Gaussian by its mean and log-variance, both [..., D]."""

    mean: Tensor
    logvar: Tensor

    def sample(self) -> Tensor:
        """One reparameterised draw."""
        return self.mean + torch.exp(0.5 * self.logvar) * torch.randn_like(self.mean)

    def chunk(self, n: int) -> list["Gaussian"]:
        """Split along the batch into n equal parts."""
        pairs = zip(self.mean.chunk(n), self.logvar.chunk(n), strict=True)
        return [Gaussian(*pair) for pair in pairs]


class GaussianHead(nn.Module):
    """Features [..., H] to a diagonal Gaussian over [..., D]."""

    def __init__(self, hidden: int, size: int) -> None:
        super().__init__()
        self.mean = nn.Linear(hidden, size)
        self.logvar = nn.Linear(hidden, size)

    def forward(self, h: Tensor) -> Gaussian:
        # One product for both halves; single precision, since the KLs take exponentials.
        weight = torch.cat([self.mean.weight, self.logvar.weight])
        bias = torch.cat([self.mean.bias, self.logvar.bias])
        return Gaussian(*F.linear(h, weight, bias).float().chunk(2, dim=-1))


def mlp(inputs: int, hidden: int) -> nn.Sequential:
    """Two tanh layers, applied to each frame."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())


def masked_mean(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Mean of x [B, T, D] over each clip's own frames: [B, D]."""
    if lengths is None:
        return x.mean(1)
    mask = frame_mask(lengths, x.shape[1])
    return (x * mask[..., None]).sum(1) / lengths[:, None]


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """lengths [B] to a mask [B, T], one where a frame belongs to its clip."""
    return (torch.arange(frames, device=lengths.device) < lengths[:, None]).float()


def cosines(orders: Tensor, mels: int) -> Tensor:
    """Functions of the discrete cosine transform over the mels, by their orders [K]: [K, M]."""
    band = (torch.arange(mels, device=orders.device) + 0.5) / mels
    return torch.cos(math.pi * orders[:, None] * band)
