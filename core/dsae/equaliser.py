"""An equaliser as part of the global latent: what a reconstruction lacks on average, per band.

A recording's own spectrum is more than a small v can carry. The mean difference between a clip and
its reconstruction from v and z is free of what was played, as both play the same; added to a swap,
it gives it the room, microphone and body of the clip that v comes from. It is computed in closed
form, by least squares over the bins that sound.

Letters: B batch, T frames, M mels, E cosines.
"""

import torch
from torch import Tensor

from core.dsae.layers import cosines, frame_mask

LOUD = 4.0  # frames that far below the loudest (17 dB in a log-mel) are left out: they are reverb
FEW = 20.0  # frames: a band that sounds less than that is corrected less


def basis(size: int, mels: int, device: torch.device) -> Tensor:
    """The first `size` functions of the discrete cosine transform: [E, M], mean square 1.

    So coefficients are gains in the unit of log-mels, 4.3 dB, about as large as v.
    """
    found = cosines(torch.arange(size, device=device), mels)
    return found / found.square().mean(1, keepdim=True).sqrt()


def fit(x: Tensor, rebuilt: Tensor, lengths: Tensor | None, floor: float, size: int) -> Tensor:
    """Coefficients [B, E] of log-mels x [B, T, M] and their reconstructions."""
    loudest = x.amax(2)  # [B, T]
    sounds = loudest > loudest.amax(1, keepdim=True) - LOUD
    if lengths is not None:
        sounds = sounds & (frame_mask(lengths, x.shape[1]) > 0)
    weight = sounds[..., None] * (x > floor + 1)
    mean = ((x - rebuilt) * weight).sum(1) / (weight.sum(1) + FEW)
    return mean @ basis(size, x.shape[2], x.device).T / x.shape[2]


def apply(x: Tensor, coefficients: Tensor, floor: float) -> Tensor:
    """Log-mels x [B, T, M] through equalisers [B, E]; what lies at the floor stays there."""
    gains = coefficients @ basis(coefficients.shape[1], x.shape[2], x.device)
    return x + (x - floor).clamp(0, 1) * gains[:, None]
