"""What the config.json of such an encoder says, beside `model.embedding`, the size of its output.

The section `external` holds a HearSource or a TableSource.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, RootModel

from core.checkpoints.checkpoint import Checkpoint
from core.errors import RavelError
from core.training.config import Settings, Size


class HearSource(Settings):
    """A module of the HEAR common API, and the files that it consisted of when it was checked."""

    kind: Literal["hear"] = "hear"
    module: str  # dotted name, or the path of a file or a package
    home: str = ""  # the folder to import it from, if it is not installed
    weights: str | None = None
    sample_rate: PositiveInt
    timestamps: bool  # whether it has embeddings along a sound
    version: str = ""  # of the distribution that it came with
    files: dict[str, str]  # SHA-256 by path: of its source files and its weights


class TableSource(Settings):
    """A table of embeddings, a copy of which lies beside config.json."""

    kind: Literal["table"] = "table"
    table: str  # the file that it was read from
    clips: PositiveInt


Source = HearSource | TableSource


class _Any(RootModel[Annotated[Source, Field(discriminator="kind")]]):
    pass


class _Model(Settings):
    embedding: Size


def config_of(source: Source, size: int) -> dict[str, Any]:
    """The config.json of an encoder with embeddings of this size."""
    return {
        "system": "contrastive",
        "model": {"embedding": size},
        "external": source.model_dump(),
    }


def parse(checkpoint: Checkpoint) -> tuple[Source, int]:
    """What the encoder is made of, and the size of its embeddings. Raises RavelError."""
    try:
        source = _Any.model_validate(checkpoint.external).root
        return source, _Model.model_validate(checkpoint.config.get("model")).embedding
    except ValueError as error:  # pydantic's is one
        said = " ".join(str(error).split())[:120]
        raise RavelError(
            f"{checkpoint.path / 'config.json'} is damaged ({said}): make the encoder again with "
            "python -m core encoder."
        ) from None


def hash_of(path: Path) -> str:
    """The SHA-256 of a file, however large. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
