"""An encoder that was never trained, and a small corpus: real files, random weights."""

from pathlib import Path

from core.checkpoints import checkpoint


def build(folder: Path, name: str = "scenes-encoder") -> Path:
    """A folder with a small encoder in it; returns it."""
    import torch

    from core import registry
    from core.contrastive.config import ContrastiveConfig
    from core.contrastive.model import Contrastive

    values = registry.preset("contrastive", "tiny")
    model = {**values.get("model", {}), "encoder": "small", "width": 8, "embedding": 16}
    config = ContrastiveConfig.parse({**values, "model": {**model, "head": 16}})
    torch.manual_seed(0)
    network = Contrastive(config.model)
    checkpoint.write(folder / name, config.model_dump(), network.state_dict())
    return folder


def corpus(data: Path, examples: Path) -> Path:
    """A store of two-second segments of the bundled scenes in `data`; returns `data`."""
    from core.data import folder

    folder.build(examples / "scenes", data / "scenes", seconds=2.0, workers=1, progress=False)
    return data
