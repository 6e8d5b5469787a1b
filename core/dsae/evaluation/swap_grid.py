"""How far a swap moves the instrument: the position of its v between source and target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from core.audio.mel import log_mel
from core.dsae.latents import Disentangler, Latents

SAME = 1.0  # posterior standard deviations; closer than this, the model cannot tell two apart


def distance(source: Latents, target: Latents) -> float:
    """The distance of two v in posterior standard deviations: |(v_t - v_s) / s|.

    s^2 is the mean of the two posterior variances, for each dimension. A collapsed dimension, whose
    posterior is the prior, adds almost nothing.
    """
    return float(((target.v - source.v) / _spread(source, target)).norm())


def moved(v: Tensor, source: Latents, target: Latents) -> float:
    """The position of a v [V] between the source's v (0) and the target's (1).

    Its projection onto the line between them, after division by s (see `distance`):
    ((v - v_s) / s) . ((v_t - v_s) / s) / |(v_t - v_s) / s|^2. It can be below 0 or above 1. NaN if
    the two are less than SAME apart, as the direction of the line is then mostly noise.
    """
    spread = _spread(source, target)
    line = (target.v - source.v) / spread
    if float(line.norm()) < SAME:
        return float("nan")
    return float(((v - source.v) / spread) @ line / (line @ line))


def moved_sound(model: Disentangler, wave: np.ndarray, source: Latents, target: Latents) -> float:
    """`moved` of a sound [S] at 16 kHz, whose v the model itself encodes."""
    return moved(model.encode(log_mel(wave)).v, source, target)


def average(values: Sequence[float]) -> tuple[float, int]:
    """The mean of the values that are not NaN, and their number; NaN if there are none."""
    numbers = [value for value in values if not np.isnan(value)]
    return (float(np.mean(numbers)) if numbers else float("nan")), len(numbers)


def _spread(source: Latents, target: Latents) -> Tensor:
    return ((source.v_logvar.exp() + target.v_logvar.exp()) / 2).sqrt()
