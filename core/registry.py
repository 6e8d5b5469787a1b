"""The systems: what the rest of Ravel may know of each of the models that it trains.

A system registers itself in its package's `__init__.py`; other code looks it up here:

    from core import registry
    registry.get("dsae").title
    registry.task(registry.parse(config))

Nothing else in Ravel asks which system it has. Code that needs torch is given as a dotted path such
as "core.dsae.model:Dsae" and imported on first use, so that pages and --help start quickly.

A system in a package of your own is registered by naming its module in the environment, here and in
every process that Ravel starts: RAVEL_SYSTEMS=mypackage.mysystem (several: separated by commas).
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from core.errors import RavelError

if TYPE_CHECKING:
    import torch

    from core.maps.points import SystemMaps
    from core.training.config import RunConfig
    from core.training.engine import Task

BUILT_IN = ("dsae", "separation", "contrastive", "vocoder")  # packages of core, in this order
VARIABLE = "RAVEL_SYSTEMS"

Say = Callable[[str], None]


class Chart(NamedTuple):
    """A chart of a run: its title, its curves ("train loss" or "validation criterion as label"),
    its help, and how it is drawn. With `variant`, only runs of that variant have it."""

    title: str
    curves: tuple[str, ...]
    help: str
    logarithmic: bool = False
    span: tuple[float, float] | None = None  # the least and the greatest value of the y axis
    variant: str = ""


class Figure(NamedTuple):
    """A figure in a run's headline: its label, its curve ("validation f1_pre"), its format, its
    help; `of`, the setting that holds its maximum."""

    label: str
    curve: str
    format: str
    help: str
    of: str = ""


class Page(NamedTuple):
    """The page of the lab, by its file's name, on which a model of a system is used, and the query
    parameter by which the page takes the model."""

    name: str
    label: str
    icon: str
    parameter: str = "model"


@dataclass(frozen=True)
class EvaluationOptions:
    """What checkpoints are scored on and how; `python -m core evaluate` has a flag for each."""

    data: str | None = None  # a feature store
    real: tuple[str, ...] = ()  # folders of real recordings
    duets: tuple[str, ...] = ()  # folders of real stems
    players: tuple[str, ...] = ()  # folders of recordings of several instruments each
    separator: str = "separator-duets"
    judge: tuple[str, ...] = ()  # what the independent classifier is trained on
    judge_sets: tuple[str, ...] = ()  # collections among `judge`, all where none is named
    judge_without: tuple[str, ...] = ()  # and those that are not used
    judge_check: tuple[str, ...] = ()  # folders of other recordings that it is asked about
    judge_own: bool = False  # of `players`: it learns from half of their recordings too
    notes: tuple[str, ...] = ()  # folders of real notes, which check the judge of `players`
    note_sets: tuple[str, ...] = ()
    tracker: str = "crepe"
    strengths: tuple[float, ...] = ()  # of the swaps of `players`, 1 being the target's v
    kept: str | None = None  # a folder for what is computed once for all models
    most: int | None = None
    melodies: int = 100
    draws: int = 50
    crepe: Literal["tiny", "full"] | None = None
    route: str | None = None
    fad: Literal["crepe", "vggish"] = "crepe"
    vggish: str | None = None
    mixed: tuple[int, ...] = ()  # numbers of sounds in scenes that encoders are scored on too
    supervised: bool = False
    alone: bool = False
    swapped: str | None = None


@dataclass(frozen=True)
class System:
    """One system. Values that end in `_path` are dotted paths, "package.module:attribute".

    network_path   called with config.model; returns the torch module whose tensors are saved
    load_path      called with a checkpoint's name and a device; returns the model ready for use
    task_path      called with the config; returns what `core.training.engine` trains
    evaluate_path  called with names, EvaluationOptions and `say`; scores checkpoints
    card_path      a module with MEANINGS, the scores in words, and about(config, name)
    maps_path      a module that lays out clips of a store on a map (see core.maps), or none
    """

    name: str
    title: str
    summary: str  # one sentence in Markdown: what such a model learns
    noun: str  # what one model is called where no variant names it
    purpose: str  # what its checkpoints are for: "swapping"
    config: type[RunConfig]
    presets: Mapping[str, Mapping[str, Any]]
    network_path: str
    load_path: str
    task_path: str
    evaluate_path: str
    card_path: str
    maps_path: str | None = None
    variant: str = ""  # the setting that tells its models apart: "objective.variant"
    charts: tuple[Chart, ...] = ()
    headline: tuple[Figure, ...] = ()
    page: Page | None = None
    default_scores: tuple[str, ...] = ()  # which scores of a grid are shown first
    needs_audio: bool = True  # whether it is trained on sound, rather than on log-mels alone
    fine_tuning: Mapping[str, Any] = field(
        default_factory=dict
    )  # settings for that, by dotted name
    # What other systems may be handed of this one, by name; and, for its task and its evaluation,
    # the names of what it is handed in turn, as keyword arguments.
    provides: Mapping[str, str] = field(default_factory=dict)
    task_needs: tuple[str, ...] = ()
    evaluate_needs: tuple[str, ...] = ()

    def variant_of(self, config: Mapping[str, Any]) -> str:
        """What the model of a config is called: ts-dsae, mixit, encoder."""
        section, _, name = self.variant.partition(".")
        values = config.get(section)
        found = values.get(name) if isinstance(values, Mapping) else None
        return str(found or self.noun)

    @property
    def load(self) -> Callable[..., Any]:
        """Loads a checkpoint of this system: load(name, device)."""
        return cast(Callable[..., Any], resolve(self.load_path))

    @property
    def card(self) -> Any:
        """The module that describes its checkpoints."""
        return resolve(self.card_path)

    @property
    def meanings(self) -> dict[str, str]:
        """The scores in metrics.json in words."""
        return dict(self.card.MEANINGS)

    @property
    def has_maps(self) -> bool:
        """Whether its models lay out clips on a map."""
        return self.maps_path is not None

    @property
    def maps(self) -> SystemMaps:
        """The module that makes its maps. Raises RavelError for a system without maps."""
        if self.maps_path is None:
            with_maps = either(name for name, system in systems().items() if system.maps_path)
            raise RavelError(f"{self.title} has no maps: choose a checkpoint of {with_maps}.")
        return resolve(self.maps_path)

    def evaluate(self, names: Sequence[str], options: EvaluationOptions, say: Say) -> None:
        """Score checkpoints, print tables, and keep the scores with each. Raises RavelError."""
        needs = {name: provided(name) for name in self.evaluate_needs}
        resolve(self.evaluate_path)(names, options, say, **needs)


_registered: dict[str, System] = {}


def register(system: System) -> System:
    """Make a system known under its name. Raises RavelError if another one has that name."""
    if _registered.setdefault(system.name, system) != system:
        raise RavelError(f"There are two systems called {system.name!r}: rename one of them.")
    return system


def systems() -> dict[str, System]:
    """All systems by name: those of Ravel, then those that RAVEL_SYSTEMS names."""
    for package in BUILT_IN:
        importlib.import_module(f"core.{package}")
    for module in os.environ.get(VARIABLE, "").replace(",", " ").split():
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise RavelError(f"{VARIABLE}={module} cannot be imported: {error}.") from error
    return {name: _registered[name] for name in dict.fromkeys([*BUILT_IN, *_registered])}


def get(name: str) -> System:
    """A system by its name. Raises RavelError with the names to choose from."""
    known = systems()
    if name not in known:
        raise RavelError(f"There is no system called {name!r}: choose {either(known)}.")
    return known[name]


def parse(values: Mapping[str, Any]) -> RunConfig:
    """The config of the system that `values["system"]` names, dsae by default.

    Raises RavelError naming the mistaken setting.
    """
    if not isinstance(values, Mapping):
        raise RavelError("These are no settings: expected names with values, as in config.json.")
    return get(str(values.get("system", "dsae"))).config.parse(values)


def preset(system: str, name: str) -> Mapping[str, Any]:
    """The values of a system's preset. Raises RavelError with the presets to choose from."""
    presets = get(system).presets
    if name not in presets:
        raise RavelError(
            f"There is no preset called {name!r} of {system}: choose {either(presets)}."
        )
    return presets[name]


def network(config: RunConfig) -> torch.nn.Module:
    """A freshly initialised network of a config."""
    return cast("torch.nn.Module", resolve(get(config.system).network_path)(config.model))


def task(config: RunConfig) -> Task:
    """What the engine trains for a config."""
    system = get(config.system)
    needs = {name: provided(name) for name in system.task_needs}
    return cast("Task", resolve(system.task_path)(config, **needs))


def provided(name: str) -> Any:
    """What one system hands to others under a name."""
    paths = [s.provides[name] for s in systems().values() if name in s.provides]
    if not paths:
        raise RavelError(f"No system provides {name!r}.")
    return resolve(paths[0])


@functools.cache
def resolve(path: str) -> Any:
    """Import what a dotted path names: "package.module:attribute", or a whole "package.module"."""
    module, _, attribute = path.partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def either(names: Iterable[str]) -> str:
    """Names to choose from, in words: a, b or c."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
