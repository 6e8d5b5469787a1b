"""Small scenes: whistles and rushes of noise, which differ as a bird and the wind do."""

import numpy as np
import pytest
import soundfile

RATE = 16_000


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
    out = tmp_path_factory.mktemp("stores") / "scenes"
    return folder.build(home, out, seconds=3.0, validation_fold="4", workers=1, progress=False).path


@pytest.fixture(scope="session")
def trained(scenes, tmp_path_factory):
    """A tiny separator trained for seconds on the scenes, by the engine: its run."""
    from core import systems
    from core.training.config import merge
    from core.training.engine import train
    from core.training.run import Run

    changes = {"data.store": str(scenes), "training.steps": 160, "training.snapshots": "0 40"}
    changes |= {"training.validate_every": 80, "training.checkpoint_every": 80}
    config = systems.parse(
        {**merge(systems.preset("separation", "tiny"), changes), "system": "separation"}
    )
    run = Run.create(tmp_path_factory.mktemp("runs") / "tiny", config.model_dump())
    train(systems.task(config), run, progress=False)
    return run


@pytest.fixture(scope="session")
def separator(trained, tmp_path_factory):
    """The checkpoint of that run, with its snapshots, in half precision."""
    from core import systems

    out = tmp_path_factory.mktemp("checkpoints") / "tiny-separator"
    return systems.export_run(trained.path, out, title="Tiny", half=True).path
