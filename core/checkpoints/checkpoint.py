"""A checkpoint is a folder: config.json, model.safetensors, metrics.json, README.md (the card)."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace as replace_field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from core import registry
from core.checkpoints import hub
from core.errors import RavelError
from core.files import replace, write_json

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, Any]  # by name
Module = TypeVar("Module", bound="torch.nn.Module")

SHIPPED = Path(__file__).parents[2] / "checkpoints"
DEFAULT_CHECKPOINT = "ts-dsae-players"  # the disentangling model that is used where none is named
_SNAPSHOT = re.compile(r"@\d+$")


class _Stamped(NamedTuple):
    """A file, when it was changed, and its size: the key of its digest."""

    path: Path
    changed: int  # ns
    size: int

    @classmethod
    def of(cls, path: Path) -> "_Stamped":
        found = path.stat()
        return cls(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=256)
def _digest(files: tuple[_Stamped, ...]) -> str:
    # Called many times in each rerun of a page: the files are read again once they change.
    content = b"".join(file.path.read_bytes() for file in files)
    return hashlib.sha256(content).hexdigest()[:16]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's folder, read on first use; or an early snapshot of the same run."""

    path: Path
    snapshot: int | None = None  # its step; None for the final weights
    source: str | None = None  # of a copy of the Hub's: OWNER/NAME and a revision

    @property
    def name(self) -> str:
        """The folder's name, and of a snapshot its step: separator-scenes@500."""
        name = re.sub(r"^.*?/|@.*", "", self.source) if self.source else self.path.name
        return name if self.snapshot is None else f"{name}@{self.snapshot}"

    @property
    def snapshots(self) -> list[int]:
        """The steps of the snapshots beside the final weights."""
        names = [file.stem for file in self.path.glob("step_*.safetensors")]
        numbers = [name.removeprefix("step_") for name in names]
        return sorted(int(number) for number in numbers if number.isdigit())

    @property
    def _weights(self) -> Path:
        stem = "model" if self.snapshot is None else f"step_{self.snapshot}"
        return self.path / f"{stem}.safetensors"

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config of its training. Raises RavelError when missing or damaged."""
        return self._json("config.json")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Its scores by corpus; empty before it is evaluated."""
        found = self._json("metrics.json") if (self.path / "metrics.json").exists() else {}
        if not all(isinstance(scores, dict) and _are_scores(scores) for scores in found.values()):
            raise RavelError(self._fault("has a damaged metrics.json"))
        return found

    @property
    def system(self) -> str:
        """The name of its system (see core.registry)."""
        return str(self.config.get("system", "unknown"))

    @property
    def external(self) -> Any:
        """What an encoder that Ravel did not train is made of (core.contrastive.external); None for
        a trained network."""
        return self.config.get("external")

    @property
    def title(self) -> str:
        """The first heading of its card, else its name."""
        try:
            card = (self.path / "README.md").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return self.name
        heads = (line[2:].strip() for line in card.splitlines() if line.startswith("# "))
        return next(filter(None, heads), self.name)

    @cached_property
    def digest(self) -> str:
        """A digest of config and weights, for caches."""
        files = [self.path / "config.json", self._weights]
        return _digest(tuple(_Stamped.of(file) for file in files if file.is_file()))

    def weights(self) -> dict[str, Any]:
        """The tensors by name. Raises RavelError when missing or damaged."""
        from safetensors.torch import load_file

        with self._reading():
            return load_file(self._weights)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The tensors' shapes by name; no tensor is read. Raises RavelError as `weights`."""
        from safetensors import safe_open

        with self._reading(), safe_open(self._weights, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118

    def model(self, make: Callable[[], Module]) -> Module:
        """The torch module that `make` makes, with the weights.

        Raises RavelError when they are missing or do not fit: before the module is made, so that a
        hostile config cannot claim memory.
        """
        if self.shapes() != shapes_of(make, self._fault("has a config.json that makes no model")):
            raise self._unfit()
        made = make()
        try:
            made.load_state_dict({name: tensor.float() for name, tensor in self.weights().items()})
        except RuntimeError:
            raise self._unfit() from None
        return made

    def _unfit(self) -> RavelError:
        return RavelError(
            f"The weights of the checkpoint {self.path} do not fit its config.json: "
            "restore the files or train the model again."
        )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn errors of the weights' file into RavelError."""
        from safetensors import SafetensorError

        name = self._weights.name
        try:
            yield
        except FileNotFoundError:
            raise RavelError(self._fault(f"has no {name}")) from None
        except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise RavelError(self._fault(f"has a damaged {name} ({reason})")) from None

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Replace the given sections of metrics.json. Raises RavelError for a copy of the Hub's."""
        self.check_ours()
        write_json(self.path / "metrics.json", {**self.metrics, **metrics})
        self.__dict__.pop("metrics", None)

    def check_ours(self) -> None:
        """Raise RavelError if this is a copy of the Hub's, which must not be written to."""
        if self.source:
            raise RavelError(
                f"{self.source} is on the Hub and cannot be changed here: make it a folder of your "
                f"own, python -m core hub pull {self.source} --out FOLDER."
            )

    def check_system(self, system: str) -> None:
        """Raise RavelError unless this is a checkpoint of `system`."""
        if self.system != system:
            purpose = registry.get(system).purpose
            raise RavelError(f"The checkpoint {self.name} is for {self.system}, not for {purpose}.")

    def _json(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RavelError(self._fault(f"has no {name}")) from None
        except (OSError, ValueError, RecursionError):
            raise RavelError(self._fault(f"has a damaged {name}")) from None
        if not isinstance(value, dict):
            raise RavelError(self._fault(f"has a damaged {name}"))
        return value

    def _fault(self, what: str) -> str:
        if self.source:
            return f"The checkpoint {self.source} {what}."
        return f"The checkpoint {self.path} {what}: restore the file or train the model again."


def shapes_of(make: Callable[[], Any], fault: str) -> dict[str, tuple[int, ...]]:
    """The shapes by name of a torch module's tensors, without allocating them.

    Raises RavelError, which begins with `fault`, when there is no such module.
    """
    import torch

    try:
        with torch.device("meta"):
            return {name: tuple(tensor.shape) for name, tensor in make().state_dict().items()}
    except (RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        raise RavelError(f"{fault} ({type(error).__name__}).") from None


def _are_scores(scores: Mapping[str, Any], rows: bool = True) -> bool:
    """Numbers, lists of numbers, intervals, words; and rows of them by name."""
    for value in scores.values():
        if isinstance(value, dict) and "value" in value:
            if not all(_is_number(value.get(name)) for name in ("value", "low", "high")):
                return False
        elif isinstance(value, dict):
            if not rows or not _are_scores(value, rows=False):
                return False
        elif isinstance(value, list) and not all(map(_is_number, value)):
            return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check(folder: Path, called: str) -> Checkpoint:
    """A folder as a checkpoint of Ravel's, whose weights fit its config.

    Raises RavelError otherwise. No tensor is allocated: a hostile config cannot claim memory.
    """
    found = Checkpoint(folder, source=called)
    try:
        if found.external is not None:
            raise RavelError("it needs code or a table, which stay on the machine that has them")
        config = registry.parse({"system": "none", **found.config})
        expected = shapes_of(lambda: registry.network(config), "its config makes no model")
        for step in (None, *found.snapshots):
            _check_weights(replace_field(found, snapshot=step), expected)
    except RavelError as error:
        raise hub.not_ours(called, str(error).rstrip(".")) from None
    return found


def _check_weights(found: Checkpoint, expected: dict[str, tuple[int, ...]]) -> None:
    name = found._weights.name
    try:
        shapes = found.shapes()
    except RavelError:
        raise RavelError(f"{name} is missing or damaged") from None
    if shapes != expected:
        raise RavelError(f"{name} does not fit config.json")


def find(name: str | Path) -> Checkpoint:
    """A checkpoint by its name among those that ship, by its folder, or by OWNER/NAME on the Hub,
    where OWNER/NAME@REVISION is a branch, tag or commit. Raises RavelError.

    NAME@STEP is a snapshot of it. Those on the Hub are downloaded; a Path never is.
    """
    whole, _, step = str(name).rpartition("@") if _SNAPSHOT.search(str(name)) else (name, "", "")
    for path in (SHIPPED / whole, Path(whole)):
        if _is_folder(path) and str(whole) not in ("", "."):
            return _at(Checkpoint(path), step)
    if isinstance(name, str) and (wanted := hub.parse(str(whole))):
        return _at(Checkpoint(hub.fetch(wanted, check), source=str(wanted)), step)
    names = ", ".join(checkpoint.name for checkpoint in list_checkpoints()) or "none yet"
    raise RavelError(
        f"There is no checkpoint called {str(name)!r}: give a folder, OWNER/NAME on the Hub, or "
        f"one of those that ship ({names})."
    )


def load(name: str | Path, system: str) -> tuple[Any, Any, Checkpoint]:
    """A system's checkpoint: the network with its weights, its config, and the checkpoint itself.

    Raises RavelError when it is missing, damaged or of another system.
    """
    found = find(name)
    found.check_system(system)
    config = registry.get(system).config.parse(found.config)
    return found.model(lambda: registry.network(config)), config, found


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long
        return False


def _at(found: Checkpoint, step: str) -> Checkpoint:
    """A checkpoint, or the snapshot of it that `step` names. Raises RavelError."""
    if step and int(step) not in found.snapshots:
        kept = ", ".join(map(str, found.snapshots)) or "none"
        raise RavelError(f"{found.name} has no snapshot of step {step}: it keeps {kept}.")
    return replace_field(found, snapshot=int(step)) if step else found


def list_checkpoints(system: str | None = None) -> list[Checkpoint]:
    """The checkpoints that ship, by name; only those of a system if one is named."""
    found = []
    for config in sorted(SHIPPED.glob("*/config.json")):
        checkpoint = Checkpoint(config.parent)
        try:
            if system in (None, checkpoint.system):
                found.append(checkpoint)
        except RavelError:  # a damaged one is not listed; loading it by name reports the damage
            continue
    return found


def write(
    path: str | Path,
    config: dict[str, Any],
    weights: Tensors,
    snapshots: Mapping[int, Tensors] | None = None,
    *,
    half: bool = False,
) -> Checkpoint:
    """Write config, weights, and snapshots by step into a folder, each file atomically.

    `half` stores floating point weights in half precision.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / "model.safetensors", weights, half)
    for step, tensors in (snapshots or {}).items():
        _save(folder / f"step_{step}.safetensors", tensors, half)
    write_json(folder / "config.json", config)
    return Checkpoint(folder)


def _save(path: Path, weights: Tensors, half: bool) -> None:
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    if half:
        tensors = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    replace(path, lambda temporary: save_file(tensors, temporary))
