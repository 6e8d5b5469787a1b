"""What a model sounds like while it is trained: two clips rebuilt, and swapped with each other."""

from pathlib import Path

import torch
from torch import Tensor

from core.audio.clip import write_wav
from core.audio.invert import to_waveform
from core.dsae.model import Dsae

HEADROOM = 0.5  # rebuilt sound may peak above the recordings, which peak at 1
NAMES = (  # by whose melody and whose instrument
    "1 source rebuilt",
    "2 target rebuilt",
    "3 source melody, target instrument",
    "4 target melody, source instrument",
)


@torch.no_grad()
def write(model: Dsae, x: Tensor, lengths: Tensor | None, folder: Path) -> None:
    """A WAV file for each of NAMES from two log-mels x [2, T, M]. Nothing random is used."""
    v, z = (posterior.mean for posterior in model.encode(x, lengths))
    melodies, instruments = [0, 1, 0, 1], [0, 1, 1, 0]
    of_melody = None if lengths is None else lengths[melodies]
    made = model.decoder(z[melodies], v[instruments], of_melody)
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        frames = made.shape[1] if of_melody is None else int(of_melody[number])
        wave = HEADROOM * to_waveform(made[number, :frames].float().cpu())
        write_wav(folder / f"{name}.wav", wave.numpy())
