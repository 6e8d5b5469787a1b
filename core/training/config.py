"""What may be set, in one schema for the command line, the lab and the checkpoint."""

import difflib
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from core.errors import RavelError

DEEPEST = 16  # sections within sections
LONGEST = 120  # characters of a mistaken value that a message quotes


class Settings(BaseModel):
    """Base of every config: frozen, unknown names refused, errors in words a person can act on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Validate plain (possibly textual) values, laid over the defaults of this very config.

        Raises RavelError naming the first mistake.
        """
        # A section that is given in part keeps the rest of this config's section, not of its type.
        sections = {
            name: field.default.model_dump()
            for name, field in cls.model_fields.items()
            if isinstance(field.default, BaseModel)
        }
        try:
            return cls.model_validate(merge(sections, values))
        except ValidationError as error:
            raise RavelError(_explain(cls, error)) from None


class RunConfig(Settings):
    """Base of every system's config: its name, `model`, `data` with at least a `store`, `training`,
    each with the type and the default of that system."""

    if TYPE_CHECKING:  # not here: pydantic would put these fields before the system's own
        system: str
        model: Any
        data: Any
        training: "TrainingConfig"

    def stage(self, step: int) -> str:
        """The name of the training stage that a step belongs to."""
        raise NotImplementedError

    def shortened(self, steps: int) -> dict[str, Any]:
        """Changes, by dotted name, that leave every stage with so many steps."""
        raise NotImplementedError


def _explain(schema: type[BaseModel], error: ValidationError) -> str:
    first = error.errors()[0]
    name = _short(".".join(str(part) for part in first["loc"]))
    if first["type"] == "extra_forbidden":
        names = list(flat_fields(schema))
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"the settings are {', '.join(names)}."
        return f"There is no setting called {name}: {hint}"
    if first["type"] == "missing":
        return f"The setting {name} is missing: give it a value."
    message = first["msg"].replace("Input should", "it should").removeprefix("Value error, ")
    return f"The setting {name} cannot be {_spelt(first['input'])}: {message}."


def _spelt(value: Any) -> str:
    try:
        return _short(repr(value))
    except (ValueError, RecursionError):  # a number of thousands of digits
        return "that"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def flat_fields(schema: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Every leaf setting by its dotted name, e.g. `training.steps`, with its pydantic field."""
    fields: dict[str, Any] = {}
    for name, field in schema.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            fields |= flat_fields(field.annotation, f"{prefix}{name}.")
        else:
            fields[f"{prefix}{name}"] = field
    return fields


def flat_values(config: Settings) -> dict[str, Any]:
    """The value of every leaf setting by its dotted name."""
    return {
        name: functools.reduce(getattr, name.split("."), config)
        for name in flat_fields(type(config))
    }


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it; a dotted key reaches into a section.

    Raises RavelError for sections within sections without end.
    """
    return _merged(base, changes, DEEPEST)


def _merged(base: Any, changes: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if not depth:
        raise RavelError(f"These settings are nested more than {DEEPEST} deep: expected sections.")
    known = base if isinstance(base, Mapping) else {}  # a section takes the place of a value
    merged = {
        k: _merged(v, {}, depth - 1) if isinstance(v, Mapping) else v for k, v in known.items()
    }
    for key, value in changes.items():
        head, _, rest = key.partition(".")
        if rest:
            merged[head] = _merged(merged.get(head), {rest: value}, depth - 1)
        elif isinstance(value, Mapping):
            merged[head] = _merged(merged.get(head), value, depth - 1)
        else:
            merged[head] = value
    return merged


def listed(value: Any) -> Any:
    """A list as it is typed, '0, 500, 5000' or '0 500 5000', for a BeforeValidator."""
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    return () if value is None else value


Size = Annotated[int, Field(ge=1, le=65_536)]  # of a part of a network
Steps = Annotated[tuple[NonNegativeInt, ...], BeforeValidator(listed)]


class TrainingConfig(Settings):
    """How a run is trained, whatever the task. The clock is optimisation steps."""

    steps: PositiveInt = Field(76_000, description="optimisation steps in all")
    batch_size: PositiveInt = Field(128, description="clips a step, over all processes")
    learning_rate: PositiveFloat = Field(1e-3, description="Adam's step size, at its peak")
    schedule: Literal["constant", "cosine", "exponential"] = Field(
        "constant",
        description="constant, a linear warm-up and a cosine down to zero, or an exponential decay",
    )
    warmup_steps: int = Field(0, ge=0, description="steps of linear warm-up (cosine schedule)")
    half_life: PositiveInt = Field(
        2_000_000, description="steps in which the rate halves (exponential schedule)"
    )
    amsgrad: bool = Field(False, description="Adam's AMSGrad variant")
    gradient_clip: PositiveFloat | None = Field(
        None, description="largest gradient norm, or none for no clipping"
    )
    precision: Literal["fp32", "bf16", "auto"] = Field(
        "fp32", description="bf16 uses autocast; auto does where the device has instructions for it"
    )
    validate_every: PositiveInt = Field(19, description="steps between validations")
    patience: PositiveInt | None = Field(
        300, description="validations without a new best before stopping early, or none"
    )
    checkpoint_every: PositiveInt = Field(500, description="steps between saved states")
    log_every: PositiveInt = Field(10, description="steps between training records")
    snapshots: Steps = Field((), description="steps whose weights are kept for good, or none")
    start_from: str | None = Field(
        None, description="checkpoint whose weights training starts from, or none for random ones"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="seed of weights, order and noise")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    processes: PositiveInt = Field(
        1, description="processes to train with, each on a GPU of its own; torchrun sets it itself"
    )
    threads: PositiveInt = Field(1, description="CPU threads a process computes with")
    in_memory: Literal["auto", "yes", "no"] = Field(
        "auto", description="keep clips on the device; auto does what half its free memory allows"
    )
    readers: int = Field(
        2, ge=0, le=64, description="processes that read ahead where clips stay on disk"
    )
    tensorboard: bool = Field(False, description="also write TensorBoard events")
