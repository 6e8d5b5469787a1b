"""What a system's face makes of a checkpoint: its network for inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from torch import nn

    from core.checkpoints.checkpoint import Checkpoint

Network = TypeVar("Network", bound="nn.Module")
Config = TypeVar("Config")


class Loaded(Generic[Network, Config]):
    """A trained network without gradients and noise, on the device that it is on; with the config
    and the checkpoint that it is of."""

    def __init__(self, model: Network, config: Config, checkpoint: Checkpoint) -> None:
        model.eval().requires_grad_(False)
        self.model, self.config, self.checkpoint = model, config, checkpoint
        self.device = next(model.parameters()).device

    @property
    def name(self) -> str:
        """The checkpoint's name, with the step if it is a snapshot."""
        return self.checkpoint.name
