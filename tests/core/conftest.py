"""A checkpoint that costs nothing to make, of random weights, and small stores.

Small scenes are whistles and rushes of noise, which differ as a bird and the wind do.
"""

import numpy as np
import pytest
import soundfile

from tests.conftest import built_once

RATE = 16_000


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """A checkpoint folder of a small, untrained model."""
    import torch

    from core.checkpoints import checkpoint
    from core.dsae.config import DsaeConfig
    from core.dsae.model import Dsae

    config = DsaeConfig.parse({"model": {"hidden": 16, "z_size": 8}})
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoints") / "untrained"
    return checkpoint.write(folder, config.model_dump(), Dsae(config.model).state_dict()).path


def whistle(rng, seconds=3.0):
    """A tone that glides, in pulses."""
    t = np.arange(round(seconds * RATE)) / RATE
    start, end = rng.uniform(400, 3_000, 2)
    phase = 2 * np.pi * np.cumsum(np.linspace(start, end, len(t))) / RATE
    return np.sin(phase) * (0.6 + 0.4 * np.sign(np.sin(2 * np.pi * rng.uniform(1, 4) * t)))


def rush(rng, seconds=3.0):
    """Noise that swells."""
    noise = rng.standard_normal(round(seconds * RATE))
    noise = np.convolve(noise, np.exp(-np.arange(40) / rng.uniform(1, 20)), "same")
    t = np.arange(len(noise)) / RATE
    return noise * (1 + 0.9 * np.sin(2 * np.pi * rng.uniform(0.3, 2) * t))


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """A store of 32 clips of 3 s in two classes, a quarter held out."""
    from core.data import folder

    home, rng = tmp_path_factory.mktemp("scenes"), np.random.default_rng(0)
    rows = ["file,label,fold"]
    for number in range(32):
        kind = (whistle, rush)[number % 2]
        wave = kind(rng)
        soundfile.write(home / f"{number}.wav", 0.5 * wave / np.abs(wave).max(), RATE)
        rows.append(f"{number}.wav,{kind.__name__},{1 + number // 8}")
    (home / "metadata.csv").write_text("\n".join(rows) + "\n")

    def build(out):
        folder.build(home, out, seconds=3.0, validation_fold="4", workers=1, progress=False)

    return built_once(tmp_path_factory, "scenes", build)
