"""The sounds that the demo searches by their embeddings: those that ship, and own channels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from core.audio.clip import SAMPLE_RATE, from_array, read
from core.contrastive.index import Index
from lab.bundled import rows, sources
from lab.demo import models
from lab.demo.examples import FOLDER, answers
from lab.demo.models import ENCODER, HEADROOM
from lab.demo.style import THUMBNAIL, png_bytes
from lab.nearness import in_words

SHEET = "library.png"  # all thumbnails, one below the other
EVERYDAY, MUSIC = "everyday", "music"
SAME = 1e-4  # below this distance a sound is the query itself


class Entry(NamedTuple):
    """A sound of the library, its licence, its author and its file."""

    name: str
    title: str
    label: str
    licence: str
    credit: str
    path: Path


class OwnChannel(NamedTuple):
    """A channel [S] of a visitor's own mixture."""

    title: str
    wave: np.ndarray


class Hit(NamedTuple):
    """A search result. `distance`: cosine distance; `near`: the same in words."""

    name: str
    title: str
    label: str
    distance: float
    near: str
    licence: str
    credit: str
    wave: np.ndarray
    picture: bytes


@cache
def entries() -> tuple[Entry, ...]:
    """All sounds that ship."""
    bundled = [
        Entry(name, row["title"], row["what"], row["licence"], _credit(row), Path(row["path"]))
        for name, row in sources().items()
    ]
    folder = FOLDER / "library"
    more = [
        Entry(Path(row["file"]).stem, row["title"], row["label"], row["licence"], _credit(row),
              folder / row["file"])
        for row in rows(folder / "metadata.csv")
    ]  # fmt: skip
    return (*bundled, *more)


def nearest(
    query: np.ndarray, count: int, own: Sequence[OwnChannel] = (), without: str | None = None
) -> list[Hit]:
    """The sounds nearest to an embedding [D], with `own`, without the entry named `without`."""
    library = _index()
    extra = [models.embed(ENCODER, channel.wave) for channel in own]
    index = Index.of(np.vstack([library.h, *extra])) if extra else library
    names = [entry.name for entry in entries()]
    excluded = [names.index(without)] if without in names else []
    found = index.nearest(query, count + len(own) + 1, without=excluded)
    hits = []
    for row, distance in zip(*map(np.ndarray.tolist, found), strict=True):
        if distance < SAME:
            continue  # the query itself
        near = in_words(library.share_nearer(distance))
        if row < len(library):
            hits.append(_entry_hit(row, distance, near))
        else:
            hits.append(_own_hit(own[row - len(library)], distance, near))
    return hits[:count]


def _entry_hit(row: int, distance: float, near: str) -> Hit:
    entry = entries()[row]
    return Hit(
        entry.name, entry.title, entry.label, distance, near, entry.licence, entry.credit,
        HEADROOM * read(entry.path).wave, _thumbnails()[row],
    )  # fmt: skip


def _own_hit(own: OwnChannel, distance: float, near: str) -> Hit:
    wave = from_array(own.wave, SAMPLE_RATE, name=own.title).wave
    return Hit(
        own.title, own.title, "", distance, near, "", "From your own mixture",
        HEADROOM * wave, models.thumbnail(wave),
    )  # fmt: skip


def kind_of(wave: np.ndarray) -> str:
    """EVERYDAY or MUSIC: the kind of the library's sound that is nearest to a sound [S]."""
    row = int(_index().nearest(models.embed(ENCODER, wave), 1)[0][0])
    return kind(entries()[row])


def kind(entry: Entry) -> str:
    """EVERYDAY or MUSIC."""
    return EVERYDAY if "ESC-10" in entry.credit else MUSIC


@cache
def places() -> np.ndarray:
    """The library's embeddings on their two principal axes, [N, 2] from 0 to 1.

    By rank along each axis, so that no two lie on one another on a small screen.
    """
    h = np.asarray(_index().h, dtype=float)
    _, _, axes = np.linalg.svd(h - h.mean(0), full_matrices=False)
    ranks = ((h - h.mean(0)) @ axes[:2].T).argsort(0).argsort(0)
    return ranks / max(len(h) - 1, 1)


def embed() -> np.ndarray:
    """Embeddings [N, D] of the library, computed."""
    return np.stack([models.embed(ENCODER, read(entry.path).wave) for entry in entries()])


def draw_sheet() -> bytes:
    """The sheet of thumbnails, a PNG."""
    sheet = Image.new("RGB", (THUMBNAIL[0], THUMBNAIL[1] * len(entries())))
    for row, entry in enumerate(entries()):
        png = models.thumbnail(read(entry.path).wave)
        sheet.paste(Image.open(io.BytesIO(png)).convert("RGB"), (0, row * THUMBNAIL[1]))
    return png_bytes(sheet.quantize(24))


@cache
def _index() -> Index:
    shipped = answers.library_embeddings()
    return Index.of(embed() if shipped is None or len(shipped) != len(entries()) else shipped)


@cache
def _thumbnails() -> list[bytes]:
    width, height = THUMBNAIL
    with Image.open(FOLDER / SHEET) as file:
        sheet = file.convert("RGB")
    tops = range(0, sheet.height, height)
    return [png_bytes(sheet.crop((0, top, width, top + height)).quantize(16)) for top in tops]


def _credit(row: dict[str, str]) -> str:
    if "set" not in row or row["author"] in row["set"]:
        return row.get("set") or row["author"]
    return f"{row['author']}; {row['set']}"
