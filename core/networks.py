"""A config of any system, and the network that it makes: what a checkpoint's files have to fit.

A network, which needs torch, is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from core.contrastive.config import ContrastiveConfig
from core.dsae.config import DsaeConfig
from core.errors import RavelError
from core.separation.config import SeparationConfig
from core.vocoder.config import VocoderConfig

if TYPE_CHECKING:
    import torch

Config = DsaeConfig | SeparationConfig | ContrastiveConfig | VocoderConfig

SCHEMAS: dict[str, type[Config]] = {
    "dsae": DsaeConfig,
    "separation": SeparationConfig,
    "contrastive": ContrastiveConfig,
    "vocoder": VocoderConfig,
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
        from core.audio.vocoder import Vocoder

        return Vocoder(**config.model.model_dump())
    from core.contrastive.model import Contrastive

    return Contrastive(config.model)


def either(names: Iterable[str]) -> str:
    """Names to choose from, in words."""
    *first, last = names
    return f"{', '.join(first)} or {last}"
