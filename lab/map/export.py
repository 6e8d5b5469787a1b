"""Tables and files of the points on a map, for download."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.audio.clip import wav_bytes
from core.service import HEADROOM, corpora

if TYPE_CHECKING:
    import pandas as pd

    from core.maps.points import Points


def table(
    labels: Mapping[str, np.ndarray], places: np.ndarray, extra: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Labels, further columns, and places [P, 2 or 3] on the map; one row per point."""
    import pandas as pd

    return pd.DataFrame({**labels, **extra, **dict(zip("xyz", places.T, strict=False))})


def to_csv(frame: pd.DataFrame) -> bytes:
    """The table as CSV in UTF-8."""
    return frame.to_csv(index=False).encode()


def to_parquet(frame: pd.DataFrame, vectors: np.ndarray) -> bytes:
    """The table with the latents in a column `vector`, as embedding-atlas reads it."""
    buffer = io.BytesIO()
    frame.assign(vector=list(vectors)).to_parquet(buffer, index=False)
    return buffer.getvalue()


def to_npz(names: np.ndarray, encoded: Points, clips: np.ndarray) -> bytes:
    """Some clips' names and the arrays that their model made of them."""
    buffer = io.BytesIO()
    arrays: dict[str, np.ndarray] = {"name": names[clips].astype(str), **encoded.arrays(clips)}
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def to_zip(store: Path, rows: Sequence[int] | np.ndarray) -> bytes:
    """Clips as WAV files at their own level; resynthesised ones 6 dB lower, so they do not clip."""
    buffer, level = io.BytesIO(), 1.0 if corpora.open_store(store).has_audio else HEADROOM
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for row in rows:
            clip = corpora.clip(store, int(row))
            name = clip.name.replace("/", "-").replace("\\", "-").replace("..", "-")
            archive.writestr(f"{row:05d}-{name}.wav", wav_bytes(level * clip.wave))
    return buffer.getvalue()
