"""Separators that were never trained, with a snapshot each: real files, random weights."""

from pathlib import Path

from core.checkpoints import checkpoint

CHANNELS = {"separator-scenes": 2, "separator-duets": 4}


def build(folder: Path) -> Path:
    """A folder of two checkpoints, of two and of four channels; returns it."""
    import torch

    from core.separation.config import PRESETS, SeparationConfig
    from core.separation.model import Separator

    for name, channels in CHANNELS.items():
        values = {"model": PRESETS["tiny"]["model"] | {"channels": channels}}
        values["data"] = {"store": f"data/{name.removeprefix('separator-')}"}
        config = SeparationConfig.parse(values)
        torch.manual_seed(channels)
        early, late = (Separator(config.model).state_dict() for _ in range(2))
        checkpoint.write(folder / name, config.model_dump(), late, {0: early})
    return folder
