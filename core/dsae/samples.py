"""What a model makes of validation clips while it is trained: sounds and latents."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.audio.clip import write_wav
from core.audio.invert import to_waveform
from core.dsae import trail
from core.dsae.model import Dsae, masked_mean

HEADROOM = 0.5  # rebuilt sound may peak above the recordings, which peak at 1
NAMES = (  # by whose melody and whose instrument
    "1 source rebuilt",
    "2 target rebuilt",
    "3 source melody, target instrument",
    "4 target melody, source instrument",
)


@torch.no_grad()
def write_sounds(model: Dsae, x: Tensor, lengths: Tensor | None, folder: Path) -> None:
    """A WAV file for each of NAMES from two log-mels x [2, T, M], rebuilt and swapped with each
    other. Nothing random is used."""
    v, z = (posterior.mean for posterior in model.encode(x, lengths))
    melodies, instruments = [0, 1, 0, 1], [0, 1, 1, 0]
    of_melody = None if lengths is None else lengths[melodies]
    made = model.decoder(z[melodies], v[instruments], of_melody)
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        frames = made.shape[1] if of_melody is None else int(of_melody[number])
        wave = HEADROOM * to_waveform(made[number, :frames].float().cpu())
        write_wav(folder / f"{name}.wav", wave.numpy())


@torch.no_grad()
def write_latents(
    model: Dsae, x: Tensor, lengths: Tensor | None, labels: np.ndarray, folder: Path
) -> None:
    """The posterior means of v [N, V], of z averaged over time [N, Z], and labels [N] of log-mels
    x [N, T, M]."""
    q_v, q_z = model.encode(x, lengths)
    v, z = q_v.mean, masked_mean(q_z.mean, lengths)
    trail.write(folder, v.float().cpu().numpy(), z.float().cpu().numpy(), labels)
