"""The checkpoint's folder of an encoder that Ravel did not train: how it is made, and loaded.

A folder of a HEAR module makes Ravel import that module. So it is loaded only where `make` wrote it
for this user on this machine (`core.checkpoints.trust`), and while each file of the module and its
weights is the one that was checked. A table holds no code and is loaded from any folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from core.checkpoints import checkpoint as checkpoints
from core.checkpoints import trust
from core.checkpoints.card import BEGIN, END
from core.checkpoints.checkpoint import Checkpoint
from core.contrastive.embed import Encoder
from core.contrastive.external import hear, module, table
from core.contrastive.external.source import HearSource, Source, TableSource, config_of, parse
from core.errors import RavelError
from core.files import replace, write_json

AGAIN = "make the encoder again with python -m core encoder"


def load(checkpoint: Checkpoint, device: str = "cpu") -> Encoder:
    """The encoder of a folder that `make` wrote. Raises RavelError, also where it would import code
    and was not made here, or the code or its weights have changed."""
    source, size = parse(checkpoint)
    if isinstance(source, TableSource):
        return _load_table(checkpoint, size)
    if checkpoint.source or not trust.is_trusted(checkpoint.path):
        raise RavelError(
            f"{checkpoint.path} asks Ravel to import code ({source.module!r}), but was not made "
            "here, or was moved or changed since; if you want that code to run, "
            f"{AGAIN}."
        )
    if other := module.changed(source.files):
        raise RavelError(
            f"{checkpoint.name} was made with another {other[0]}: {AGAIN}, so that its embeddings "
            "are computed anew."
        )
    loaded = module.import_module(source.module, source.home)
    made = hear.HearEncoder(checkpoint, loaded, source.weights, device)
    if (made.size, made.sample_rate) != (size, source.sample_rate):
        raise RavelError(
            f"{checkpoint.name} now has embeddings of {made.size} numbers at {made.sample_rate} Hz "
            f"in place of {size} at {source.sample_rate} Hz: {AGAIN}."
        )
    return made


def make_hear(
    out: Path, name: str, weights: str | None, say: Callable[[str], None] = print
) -> Checkpoint:
    """Check a HEAR module by embedding sounds, and write its folder. Raises RavelError."""
    _check_place(out)
    path, given = module.path_of(name), hear.absolute(weights)
    spelt = name if path is None else str(path.parent if path.name == "__init__.py" else path)
    loaded = module.import_module(spelt)
    made = hear.HearEncoder(Checkpoint(out), loaded, given)
    hear.check(made, say)
    files = module.files_of(loaded, spelt)
    source = HearSource(
        module=spelt,
        home=module.home_of(loaded, spelt),
        weights=given,
        sample_rate=made.sample_rate,
        timestamps=callable(getattr(loaded, hear.TIMESTAMPS, None)),
        version=module.version_of(spelt),
        files=files | ({given: module.hash_of(Path(given))} if given else {}),
    )
    found = _write(out, source, made.size, {})
    trust.trust(out)
    return found


def make_table(
    out: Path, path: Path, names: str | None = None, values: str | None = None
) -> Checkpoint:
    """Check a table of embeddings, and copy it into a folder. Raises RavelError."""
    _check_place(out)
    rows = table.read(path, names, values)
    source = TableSource(table=path.name, clips=len(rows.names))
    return _write(out, source, rows.h.shape[1], rows.tensors())


def covered(checkpoint: Checkpoint, names: list[str]) -> int:
    """How many of some clips a table has, by their names alone. Raises RavelError."""
    _, size = parse(checkpoint)
    places = table.places(_load_table(checkpoint, size).rows.names)
    return sum(name in places or name.rpartition("-")[0] in places for name in names)


def _load_table(checkpoint: Checkpoint, size: int) -> table.Table:
    try:
        return table.Table(checkpoint, table.Rows.of(checkpoint.weights(), size))
    except (KeyError, ValueError) as error:
        if isinstance(error, RavelError):
            raise
        raise RavelError(f"The table in {checkpoint.path} is damaged ({error}): {AGAIN}.") from None


def _check_place(out: Path) -> None:
    """Raise RavelError unless `out` is new, or holds an encoder that Ravel did not train."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        try:
            known = Checkpoint(out).external is not None
        except RavelError:
            known = False
        if not known:
            raise RavelError(f"{out} holds something else: choose another name.")
    if not out.absolute().parent.is_dir():
        raise RavelError(f"The folder {out.parent} does not exist: make it first.")


def _write(out: Path, source: Source, size: int, tensors: dict[str, torch.Tensor]) -> Checkpoint:
    """A folder in place of an earlier one; scores go where they are of another encoder."""
    before = Checkpoint(out).digest if out.is_dir() else ""
    try:
        if tensors:
            made = checkpoints.write(out, config_of(source, size), tensors)
        else:
            out.mkdir(parents=True, exist_ok=True)
            (out / "model.safetensors").unlink(missing_ok=True)
            write_json(out / "config.json", config_of(source, size))
            made = Checkpoint(out)
        if made.digest != before:
            (out / "metrics.json").unlink(missing_ok=True)
            text = _card(made.name, source, size)
            replace(out / "README.md", lambda path: path.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise RavelError(f"{out} cannot be written ({error.strerror}).") from error
    return made


def _card(name: str, source: Source, size: int) -> str:
    if isinstance(source, HearSource):
        of = f"`{source.module}`" + (f" ({source.version})" if source.version else "")
        weights = f", weights `{Path(source.weights).name}`" if source.weights else ""
        text = f"The HEAR module {of}{weights}, on sound at {source.sample_rate:,} Hz."
    else:
        text = f"Embeddings of {source.clips:,} clips, read from `{source.table}`."
    return f"""# {name}

An encoder that Ravel did not train. {text}
An embedding `h` has {size} dimensions.

## Scores

{BEGIN}
{END}
"""
