"""The systems by name: what whoever trains, scores or lists any of them needs to know of each.

What needs torch is imported when it is asked for, so that pages and --help stay quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from core.checkpoints.checkpoint import Checkpoint
from core.contrastive.config import PRESETS as CONTRASTIVE_PRESETS
from core.contrastive.config import ContrastiveConfig
from core.dsae.config import PRESETS as DSAE_PRESETS
from core.dsae.config import DsaeConfig
from core.errors import RavelError
from core.separation.config import PRESETS as SEPARATION_PRESETS
from core.separation.config import SeparationConfig
from core.training.run import Run
from core.vocoder.config import PRESETS as VOCODER_PRESETS
from core.vocoder.config import VocoderConfig

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from core.data.store import FeatureStore
    from core.training.engine import Task
    from core.vocoder.evaluate import Pairs

Config = DsaeConfig | SeparationConfig | ContrastiveConfig | VocoderConfig

SCHEMAS: dict[str, type[Config]] = {
    "dsae": DsaeConfig,
    "separation": SeparationConfig,
    "contrastive": ContrastiveConfig,
    "vocoder": VocoderConfig,
}
TITLES = {
    "dsae": "TS-DSAE and its baselines",
    "separation": "MixIT separator (TDCN++)",
    "contrastive": "Encoder of separated scenes",
    "vocoder": "Vocoder: log-mels to sound",
}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "dsae": DSAE_PRESETS,
    "separation": SEPARATION_PRESETS,
    "contrastive": CONTRASTIVE_PRESETS,
    "vocoder": VOCODER_PRESETS,
}


def parse(values: Mapping[str, Any]) -> Config:
    """The config of whichever system `values` are for. Raises RavelError naming a mistake."""
    if not isinstance(values, Mapping):
        raise RavelError("These are no settings: expected names with values, as in config.json.")
    return schema(str(values.get("system", "dsae"))).parse(values)


def schema(system: str) -> type[Config]:
    """A system's config class. Raises RavelError naming the systems there are."""
    if system not in SCHEMAS:
        raise RavelError(f"There is no system called {system!r}: choose {either(SCHEMAS)}.")
    return SCHEMAS[system]


def network(config: Config) -> torch.nn.Module:
    """The network of a config, whose tensors a checkpoint holds."""
    if config.system == "dsae":
        from core.dsae.model import Dsae

        return Dsae(config.model)
    if config.system == "separation":
        from core.separation.model import Separator

        return Separator(config.model)
    if config.system == "vocoder":
        from core.vocoder.model import VocoderNetwork

        return VocoderNetwork(**config.model.model_dump())
    from core.contrastive.model import Contrastive

    return Contrastive(config.model)


def either(names: Iterable[str]) -> str:
    """Names to choose from, in words."""
    *first, last = names
    return f"{', '.join(first)} or {last}"


def preset(system: str, name: str) -> dict[str, Any]:
    """Values of a system's preset. Raises RavelError naming the presets there are."""
    schema(system)
    if name not in PRESETS[system]:
        raise RavelError(
            f"There is no preset called {name!r} of {system}: choose {either(PRESETS[system])}."
        )
    return PRESETS[system][name]


def task(config: Config) -> Task:
    """What the engine trains for a config."""
    if config.system == "dsae":
        from core.dsae.task import DsaeTask

        return DsaeTask(config)
    if config.system == "separation":
        from core.separation.task import SeparationTask

        return SeparationTask(config)
    if config.system == "vocoder":
        from core.vocoder.task import VocoderTask

        return VocoderTask(config, _rebuilt)
    from core.contrastive.task import ContrastiveTask

    return ContrastiveTask(config, _channels, _untrained)


def _channels(store: FeatureStore, name: str, device: torch.device) -> np.ndarray:
    """The log-mels of a store's clips through a separator: what contrastive learning is handed."""
    from core.contrastive import views
    from core.separation.separate import load

    return views.channels(store, load(name, str(device)))


def _rebuilt(name: str, store: FeatureStore, rows: np.ndarray, device: torch.device) -> np.ndarray:
    """The log-mels of some clips as a disentangling model rebuilds them: what a vocoder is fed."""
    from core.dsae.latents import load
    from core.dsae.samples import rebuilt

    return rebuilt(load(name, str(device)).model, store, rows)


def _untrained(seed: int, device: torch.device) -> Callable[[Tensor], Tensor]:
    """A separator of random weights, of the small preset, at work on waves [B, S]."""
    from core.separation.config import SeparationConfig
    from core.separation.separate import untrained

    model = SeparationConfig.parse(preset("separation", "small")).model
    return untrained(model, seed, device)


def swapped_sounds(name: str, path: str, count: int) -> tuple[Pairs, str]:
    """What a disentangling model swapped, with the sound that it should be; and what to call it.

    Raises RavelError for a store without sound or without true renderings of swaps.
    """
    from core.data.store import FeatureStore
    from core.dsae.latents import load
    from core.dsae.samples import swapped
    from core.vocoder.evaluate import Pairs, true_sound

    store, model = FeatureStore.open(path), load(name)
    if store.audio is None:
        raise RavelError(f"{path} holds log-mels only: build it again with its audio.")
    log_mels, rows = swapped(model.model, store, model.config.data.factor, count)
    return Pairs(log_mels, true_sound(store, rows).waves), (
        f"{store.path.name}, swapped by {model.name}"
    )


def export_run(folder: str | Path, out: str | Path, **options: Any) -> Checkpoint:
    """A run's saved state as a checkpoint with its card: `title`, `state`, `notes`, `half`.

    Raises RavelError when there is no such run or state.
    """
    from core.checkpoints import card as cards

    run = Run.open(folder)
    config = parse(run.config)
    card = _card(config.system)
    about, meanings = card.about(config, Path(out).name), meanings_of(config.system)
    return cards.export_run(run, out, about=about, config=config, meanings=meanings, **options)


def refresh_front(checkpoint: Checkpoint) -> None:
    """Write a card's front matter anew. Raises RavelError when the config is damaged."""
    from core.checkpoints import card as cards

    config = parse(checkpoint.config)
    cards.refresh_front(checkpoint, _card(config.system).about(config, checkpoint.name))


def meanings_of(system: str) -> dict[str, str]:
    """What the figures in a system's metrics.json are, in words."""
    return dict(_card(system).MEANINGS)


def maps_of(system: str) -> ModuleType:
    """How a system's models lay out the clips of a store on a map: its `maps.py`, whose functions
    are called alike. Separators have none."""
    if system == "contrastive":
        from core.contrastive import maps
    else:
        from core.dsae import maps
    return maps


def _card(system: str) -> ModuleType:
    schema(system)
    if system == "dsae":
        from core.dsae import card
    elif system == "separation":
        from core.separation import card
    elif system == "vocoder":
        from core.vocoder import card
    else:
        from core.contrastive import card
    return card
