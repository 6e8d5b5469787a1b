"""What the demo searches: the sounds that ship, by their embeddings, and a visitor's channels."""

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
from lab.demo import models as engine
from lab.demo.examples import FOLDER, answers
from lab.demo.models import ENCODER, HEADROOM
from lab.demo.style import THUMBNAIL, _png
from lab.nearness import in_words

SHEET = "library.png"  # all small pictures, one below the other
SAME = 1e-4  # a distance at which a sound is the query itself


class Entry(NamedTuple):
    """A sound of the library: what it is, whose it is, and where."""

    name: str
    title: str
    label: str
    licence: str
    credit: str
    path: Path


class Own(NamedTuple):
    """A channel of what a visitor took apart: its samples [S]."""

    title: str
    wave: np.ndarray


class Hit(NamedTuple):
    """A sound that was found. `distance`: cosine; `near`: the same in words."""

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
    query: np.ndarray, count: int, own: Sequence[Own] = (), without: str | None = None
) -> list[Hit]:
    """The sounds nearest to an embedding [D], `own` among them; not the entry named `without`."""
    index = _index()
    extra = [engine.embed(ENCODER, channel.wave) for channel in own]
    whole = Index.of(np.vstack([index.h, *extra])) if extra else index
    names = [entry.name for entry in entries()]
    left_out = [names.index(without)] if without in names else []
    found = whole.nearest(query, count + len(own) + 1, without=left_out)
    hits = []
    for row, distance in zip(*map(np.ndarray.tolist, found), strict=True):
        if distance < SAME:
            continue  # the query itself
        near = in_words(index.share_nearer(distance))
        mine = own[row - len(index)] if row >= len(index) else None
        hits.append(_own_hit(mine, distance, near) if mine else _hit(row, distance, near))
    return hits[:count]


def _hit(row: int, distance: float, near: str) -> Hit:
    entry = entries()[row]
    return Hit(
        entry.name, entry.title, entry.label, distance, near, entry.licence, entry.credit,
        HEADROOM * read(entry.path).wave, _pictures()[row],
    )  # fmt: skip


def _own_hit(own: Own, distance: float, near: str) -> Hit:
    full = from_array(own.wave, SAMPLE_RATE, name=own.title).wave
    about = "From what you took apart"
    return Hit(
        own.title, own.title, "", distance, near, "", about, HEADROOM * full, engine.small(full)
    )


def embed() -> np.ndarray:
    """Embeddings [N, D] of the library, made afresh."""
    return np.stack([engine.embed(ENCODER, read(entry.path).wave) for entry in entries()])


def draw() -> bytes:
    """The sheet of small pictures, a PNG."""
    sheet = Image.new("RGB", (THUMBNAIL[0], THUMBNAIL[1] * len(entries())))
    for row, entry in enumerate(entries()):
        png = engine.small(read(entry.path).wave)
        sheet.paste(Image.open(io.BytesIO(png)).convert("RGB"), (0, row * THUMBNAIL[1]))
    return _png(sheet.quantize(24))


@cache
def _index() -> Index:
    shipped = answers.embedded()
    return Index.of(embed() if shipped is None or len(shipped) != len(entries()) else shipped)


@cache
def _pictures() -> list[bytes]:
    width, height = THUMBNAIL
    with Image.open(FOLDER / SHEET) as sheet:
        sheet = sheet.convert("RGB")
    tops = range(0, sheet.height, height)
    return [_png(sheet.crop((0, top, width, top + height)).quantize(16)) for top in tops]


def _credit(row: dict[str, str]) -> str:
    if "set" not in row or row["author"] in row["set"]:
        return row.get("set") or row["author"]
    return f"{row['author']}; {row['set']}"
