"""A small store of real instruments with their sound, and a vocoder that was hardly trained."""

import numpy as np
import pytest
import soundfile
import torch

from core.audio.clip import read
from core.data import folder

FILES = ("violin-1", "violin-2", "trumpet-1", "trumpet-2", "clarinet-1", "flute-1")


@pytest.fixture(scope="session")
def instruments(examples, tmp_path_factory):
    """A store of 12 clips of 2 s, a third of them held out."""
    home = tmp_path_factory.mktemp("instruments")
    rows = ["file,instrument,split"]
    for number, name in enumerate(FILES):
        wave = read(examples / f"{name}.flac").wave
        for half in (0, 1):
            file = f"{name}-{half}.wav"
            soundfile.write(home / file, 0.9 * wave[half * 30_000 :][:32_000], 16_000)
            split = "validation" if number > 3 else "train"
            rows.append(f"{file},{name.split('-')[0]},{split}")
    (home / "metadata.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path_factory.mktemp("stores") / "instruments"
    return folder.build(home, out, seconds=2.0, workers=1, progress=False).path


def rebuild(name, store, rows, device):
    """What a model that blurs over time makes of some clips."""
    mels = store.log_mel[rows].astype(np.float32)
    return (mels + np.roll(mels, 1, axis=1)) / 2


@pytest.fixture(scope="session")
def values(instruments):
    """Settings of a small vocoder on that store."""
    return {
        "system": "vocoder",
        "model": {"width": 48, "hidden": 96, "blocks": 2},
        "objective": {"noise_share": 0.25},
        "data": {
            "store": str(instruments), "models": [f"blurred={instruments}"], "crop": 48,
            "rebuilt": 0.5,
        },
        "training": {
            "steps": 80, "batch_size": 4, "learning_rate": 3e-3, "warmup_steps": 5,
            "validate_every": 30, "checkpoint_every": 60, "log_every": 10, "snapshots": (60,),
        },
    }  # fmt: skip


@pytest.fixture(scope="session")
def trained(values, tmp_path_factory):
    """A run of it."""
    from core.training.engine import train
    from core.training.run import Run
    from core.vocoder.config import VocoderConfig
    from core.vocoder.task import VocoderTask

    torch.set_num_threads(1)
    config = VocoderConfig.parse(values)
    run = Run.create(tmp_path_factory.mktemp("runs") / "vocoder", config.model_dump())
    train(VocoderTask(config, rebuild), run, progress=False)
    return run


@pytest.fixture(scope="session")
def checkpoint(trained, tmp_path_factory):
    """Its checkpoint, in half precision."""
    from core.checkpoints import card

    out = tmp_path_factory.mktemp("checkpoints") / "small-vocoder"
    return card.export_run(trained.path, out, half=True)
