"""The public interface of the vocoder: log-mels to sound.

vocoder = load("vocoder")
wave = vocoder.to_waveform(log_mel)  # [T, 80] to [(T - 1) * 256]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.audio.invert import LOUDEST, check, refine
from core.checkpoints import checkpoint as checkpoints
from core.checkpoints.loaded import Loaded
from core.training.precision import has_bfloat16
from core.vocoder.config import ROUNDS, ModelConfig, VocoderConfig
from core.vocoder.model import VocoderNetwork


class Vocoder(Loaded[VocoderNetwork, VocoderConfig]):
    """A trained vocoder for inference; `rounds` of Griffin-Lim refine the network's output.

    On a CPU with bfloat16 instructions the network runs in bfloat16, more than twice as fast.
    """

    def __init__(
        self, model: VocoderNetwork, config: VocoderConfig, checkpoint: checkpoints.Checkpoint
    ) -> None:
        super().__init__(model, config, checkpoint)
        self.rounds = ROUNDS
        if self.device.type == "cpu" and has_bfloat16(self.device):
            model.shorten()

    @torch.inference_mode()
    def to_waveform(self, log_mel: Tensor | np.ndarray) -> Tensor:
        """Log-mels [..., T, 80] as waves float32 [..., (T - 1) * 256] at their own level.

        As `core.audio.invert.to_waveform`: deterministic, and the same alone or in a batch; NaN
        counts as silence. Raises RavelError for any other shape.
        """
        log_mel = torch.as_tensor(log_mel).float().to(self.device)
        check(log_mel)
        flat = log_mel.reshape(-1, *log_mel.shape[-2:])
        flat = flat.nan_to_num(nan=-torch.inf).clamp(max=LOUDEST)
        waves = [refine(self.model.waves(one), one, self.rounds) for one in flat.split(1)]
        return torch.cat(waves).reshape(*log_mel.shape[:-2], -1).cpu()


def load(checkpoint: str | Path, device: str | torch.device = "cpu") -> Vocoder:
    """A vocoder by name or folder. Raises RavelError when missing, damaged or another system's."""
    model, config, found = checkpoints.load(checkpoint, "vocoder")
    return Vocoder(model.to(device), config, found)


def network(config: ModelConfig) -> VocoderNetwork:
    """A freshly initialised network."""
    return VocoderNetwork(**config.model_dump())
