"""The HEAR common API (Turian et al., 2022), by which existing evaluators score an encoder.

hear-validator core.hear --model checkpoints/scenes-encoder
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.audio.clip import SAMPLE_RATE
from core.audio.scene_mel import FRONT_END
from core.contrastive.embed import Embedder, trained
from core.errors import RavelError

DEFAULT = "scenes-encoder"
HOP_FRAMES = 5  # 50 ms, as HEAR asks for


class Model(nn.Module):
    """An encoder with the attributes that HEAR reads."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.embedder, self.encoder = embedder, embedder.encoder  # a submodule, to be moved
        self.sample_rate: int = SAMPLE_RATE
        self.scene_embedding_size: int = embedder.size
        self.timestamp_embedding_size: int = embedder.size


def load_model(model_file_path: str = DEFAULT) -> Model:
    """A model by the name, folder, weights file or Hub id of a checkpoint. Raises RavelError."""
    path = Path(model_file_path or DEFAULT)
    return Model(trained(path.parent if path.is_file() else str(path)))


def get_scene_embeddings(audio: Tensor, model: Model) -> Tensor:
    """One embedding [n_sounds, D] of each sound of `audio` [n_sounds, n_samples] in [-1, 1]."""
    return model.embedder.embed_many(_levelled(audio)).to(model.embedder.device)


def get_timestamp_embeddings(audio: Tensor, model: Model) -> tuple[Tensor, Tensor]:
    """Embeddings [n_sounds, T, D] every 50 ms of each sound, and their times [n_sounds, T] in ms.

    Each is of the patch around its time; beyond the edges there is silence.
    """
    step, patch = HOP_FRAMES * FRONT_END.hop, model.embedder.patch
    whole = (patch - 1) * FRONT_END.hop + FRONT_END.n_fft
    count = audio.shape[-1] // step + 1
    before, size = whole // 2, (count - 1) * step + whole
    after = size - before - audio.shape[-1]
    found = [
        model.embedder.timeline(F.pad(wave, (before, after)), step / SAMPLE_RATE).h
        for wave in _levelled(audio)
    ]
    times = torch.arange(count, dtype=torch.float32) * step * 1000 / SAMPLE_RATE
    device = model.embedder.device
    return torch.stack(found).to(device), times.expand(len(audio), -1).to(device)


def _levelled(audio: Tensor) -> Tensor:
    """Each sound at the level that the encoder was trained at, a peak of 1; silence stays."""
    if audio.dim() != 2 or not audio.numel():
        raise RavelError(
            f"HEAR's audio has the shape (n_sounds, n_samples), but {tuple(audio.shape)} was given."
        )
    peak = audio.detach().abs().amax(dim=1, keepdim=True)
    return audio.detach().float() / torch.where(peak > 0, peak, 1.0)
