"""A corpus that costs nothing to make: tones of two timbres, as feature stores."""

from pathlib import Path

import numpy as np

from core.audio.mel import log_mel
from core.data.store import Chunk, FeatureStore, StoreWriter, to_pcm

PITCHES = (220, 247, 277, 294, 330, 370, 415, 440)


def tone(hertz: float, bright: bool, seconds: float = 1.0) -> np.ndarray:
    """A tone whose harmonics fall off slowly or fast, peak 0.5."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    falls = 1 if bright else 3
    wave = sum(np.sin(2 * np.pi * hertz * k * time) / k**falls for k in range(1, 9))
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def build(path: Path, *, audio: bool = True) -> FeatureStore:
    """16 clips of 1 s: 8 pitches, each 'bright' and 'dark', a quarter of them held out."""
    writer = StoreWriter(path, kind="tones", settings={"audio": audio}, chunks=1)
    rows, waves = [], []
    for bright in (True, False):
        for number, hertz in enumerate(PITCHES):
            timbre = "bright" if bright else "dark"
            split = "validation" if number >= 6 else "train"
            name = f"{timbre}-{hertz}"
            rows.append({"name": name, "split": split, "instrument": timbre, "hertz": str(hertz)})
            waves.append(tone(hertz, bright))
    mels = [log_mel(wave).numpy() for wave in waves]
    writer.write(0, Chunk(rows, mels, [to_pcm(wave) for wave in waves] if audio else None))
    return writer.finish()
