"""Schedules of the learning rate."""

import math

from core.training.config import TrainingConfig


def learning_rate(config: TrainingConfig, step: int) -> float:
    """The learning rate of a step, counted from 0."""
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "exponential":
        return config.learning_rate * 0.5 ** (step / config.half_life)
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
