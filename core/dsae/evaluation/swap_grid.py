"""Every melody by every instrument: how far a swap has carried the instrument."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from core.audio.mel import log_mel
from core.dsae.latents import Disentangler, Latents

SAME = 1.0  # posterior standard deviations; closer than that the model does not tell two apart


def distance(source: Latents, target: Latents) -> float:
    """How far apart two v lie, in posterior standard deviations: |(v_t - v_s) / s|.

    s^2, for each dimension, is the mean of the two posterior variances. A collapsed dimension,
    whose posterior is the prior, adds next to nothing.
    """
    return float(((target.v - source.v) / _spread(source, target)).norm())


def moved(heard: Tensor, source: Latents, target: Latents) -> float:
    """Where `heard`, a v [V], lies between the source's v (0) and the target's (1).

    The place of its foot on the line between them, all divided by s, see `distance`:
    ((w - v_s) / s) . ((v_t - v_s) / s) / |(v_t - v_s) / s|^2. Below 0 and above 1 it lies beyond.
    NaN where the two are less than SAME apart: the line has no direction to speak of.
    """
    spread = _spread(source, target)
    line = (target.v - source.v) / spread
    if float(line.norm()) < SAME:
        return float("nan")
    return float(((heard - source.v) / spread) @ line / (line @ line))


def moved_sound(model: Disentangler, wave: np.ndarray, source: Latents, target: Latents) -> float:
    """`moved` of a sound [S] at 16 kHz: its v is what the model itself hears in it."""
    return moved(model.encode(log_mel(wave)).v, source, target)


def average(values: Sequence[float]) -> tuple[float, int]:
    """The mean of those values that are known, and how many they are; NaN of none."""
    known = [value for value in values if value == value]
    return (float(np.mean(known)) if known else float("nan")), len(known)


def _spread(source: Latents, target: Latents) -> Tensor:
    return ((source.v_logvar.exp() + target.v_logvar.exp()) / 2).sqrt()
