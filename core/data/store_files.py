"""The files of a feature store, read and written one by one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.data.joined import encoded
from core.errors import RavelError
from core.files import replace

FORMAT = 1  # of a store that is one array
SHARDED = 2  # of one that is many


def read_info(path: Path) -> dict[str, Any] | None:
    """What store.json says; None where there is none. Raises RavelError for a damaged one."""
    try:
        info = json.loads((path / "store.json").read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RavelError(
            f"{path / 'store.json'} is damaged: delete {path} and build it again."
        ) from error
    if not isinstance(info, dict) or info.get("format") not in (FORMAT, SHARDED):
        raise RavelError(
            f"{path} is no feature store of this version: delete it and build it again."
        )
    return info


def write(path: Path, data: bytes) -> None:
    """Write a file, atomically."""
    replace(path, lambda temporary: temporary.write_bytes(data))


def json_bytes(value: Any) -> bytes:
    """A value as the text of a JSON file."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def npy_bytes(array: np.ndarray) -> bytes:
    """An array as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def csv_bytes(rows: Sequence[Mapping[str, str]]) -> bytes:
    """Rows of labels as a table; what a row does not have is left empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def read_npy(path: Path, mapped: bool = False) -> np.ndarray:
    """An array from a .npy file. Raises OSError, or ValueError for a damaged one."""
    try:
        return np.load(path, mmap_mode="r" if mapped else None)
    except OSError:
        raise
    except Exception as error:  # its header is parsed as Python, and fails as Python may
        raise ValueError(f"{path.name}: {error}") from None


def read_csv(path: Path) -> dict[str, np.ndarray]:
    """The columns [N] of a table. Raises OSError, IndexError and csv.Error."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    return {key: np.array([row[i] for row in rows]) for i, key in enumerate(header)}


def write_columns(folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
    """Label columns [N] as files that `Columns` maps, in a new folder."""
    folder.mkdir()
    for number, column in enumerate(columns.values()):
        for part, array in encoded(column).items():
            write(folder / f"{number}-{part}.npy", npy_bytes(array))
    write(folder / "names.json", json_bytes(list(columns)))


def read_columns(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """The files of label columns by name and part, for `Columns`."""
    names = json.loads((folder / "names.json").read_text("utf-8"))
    return {
        str(name): {
            part: read_npy(folder / f"{number}-{part}.npy", mapped=True)
            for part in ("codes", "starts", "text")
        }
        for number, name in enumerate(names)
    }
