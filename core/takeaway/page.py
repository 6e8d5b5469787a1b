"""A map with sounds as one HTML file, which opens without a network and is bounded in size.

The file holds everything: its own script and style, and the sounds as MP3, which every browser
plays. A policy in the file forbids it to load anything else.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from core.audio.clip import SAMPLE_RATE
from core.errors import RavelError

MAX_BYTES = 5_000_000  # of the file
MAX_POINTS = 4000  # more take room from the sounds, and cannot be distinguished
NOTES = 6000  # bytes kept free for what is said of what was left out
QUALITY = 0.5  # of libsndfile's MP3: about 35 kbit/s at 16 kHz, 6 kB a second as text
GRID = 1000  # places are whole numbers up to this
LAST = ("", "other")  # groups in grey, at the end of the legend
HERE = Path(__file__).parent


class Layout(NamedTuple):
    """A map: `places` [P, 2]; a name and a group of each point [P]; what the groups are."""

    places: np.ndarray
    names: Sequence[str]
    groups: Sequence[str]
    column: str
    caption: str


class Sample(NamedTuple):
    """A clip with its sound [S] at 16 kHz, its `point` on the map, and facts about it by name."""

    point: int
    name: str
    facts: dict[str, str]
    wave: np.ndarray


class TakeAway(NamedTuple):
    """The finished file, and in a sentence each what was left out of it, and why."""

    html: bytes
    left_out: list[str]


@dataclass
class Writer:
    """The file while it is filled: each sound is added if it still fits into `max_bytes`.

    Raises RavelError where the map alone is larger.
    """

    title: str
    about: str
    layout: Layout
    max_bytes: int = MAX_BYTES
    left_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._data: dict[str, Any] = {"clips": [], "swaps": [], "leftOut": self.left_out}
        self._shown = _spread(len(self.layout.places), MAX_POINTS)
        if len(self._shown) < len(self.layout.places):
            self.left_out.append(
                f"{len(self.layout.places) - len(self._shown):,} of "
                f"{len(self.layout.places):,} points: {MAX_POINTS:,} are shown."
            )
        places = np.asarray(self.layout.places, dtype=float)[:, :2]
        low, high = places.min(0), places.max(0)
        self._scale = GRID / max(float((high - low).max()), 1e-12)
        self._corner = np.array([low[0], high[1]])
        self._size = [max(round(side * self._scale), GRID // 3) for side in (high - low).tolist()]
        self._data |= self._map()
        self._room = self.max_bytes - len(self._page()) - NOTES
        if self._room < 0:
            raise RavelError(
                f"The map alone takes {(self.max_bytes - self._room) / 1e6:.1f} MB, but the file "
                f"may have {self.max_bytes / 1e6:g} MB: allow more, or map fewer clips."
            )

    def add_clip(self, sample: Sample) -> bool:
        """Add a clip with its sound; False if it does not fit."""
        x, y = self._place(sample.point)
        clip = {"x": x, "y": y, "name": sample.name, "facts": sample.facts}
        clip["group"] = self._data["groups"].index(str(self.layout.groups[sample.point]))
        return self._add("clips", clip, sample.wave)

    def add_swap(self, melody: int, instrument: int, wave: np.ndarray) -> bool:
        """Add the sound [S] of one added clip's melody by another's instrument; False if it does
        not fit. Both are numbers of clips in the order in which they were added."""
        return self._add("swaps", {"melody": melody, "instrument": instrument}, wave)

    def finish(self) -> TakeAway:
        """The file as it is now."""
        return TakeAway(self._page(), self.left_out)

    def _add(self, kind: str, entry: dict[str, Any], wave: np.ndarray) -> bool:
        entry["sound"] = base64.b64encode(compressed(wave)).decode()
        size = len(_json(entry)) + 1
        if size > self._room:
            return False
        self._room -= size
        self._data[kind].append(entry)
        return True

    def _map(self) -> dict[str, Any]:
        groups = sorted(set(map(str, self.layout.groups)), key=lambda name: (name in LAST, name))
        number = {name: i for i, name in enumerate(groups)}
        points = [
            [*self._place(at), number[str(self.layout.groups[at])], str(self.layout.names[at])]
            for at in self._shown.tolist()
        ]
        about = {"column": self.layout.column, "caption": self.layout.caption, "size": self._size}
        return {"groups": groups, "points": points, **about}

    def _place(self, point: int) -> tuple[int, int]:
        """A point in whole numbers from 0 to GRID, x to the right and y downwards, on one scale."""
        place = np.asarray(self.layout.places[point], dtype=float)[:2]
        x, y = (place - self._corner) * self._scale
        return round(x), round(-y)

    def _page(self) -> bytes:
        page = (HERE / "page.html").read_text(encoding="utf-8")
        parts = {
            "TITLE": html.escape(self.title),
            "ABOUT": html.escape(self.about),
            "STYLE": (HERE / "page.css").read_text(encoding="utf-8"),
            "SCRIPT": (HERE / "page.js").read_text(encoding="utf-8"),
            "DATA": _json(self._data),
        }
        # One pass, so that nothing inside of a part is taken for a place.
        before, *rest = page.split("{{")
        pieces = (piece.split("}}", 1) for piece in rest)
        return "".join([before, *(parts[name] + after for name, after in pieces)]).encode()


def fill(
    writer: Writer,
    samples: Sequence[Sample],
    swap: Callable[[int, int], np.ndarray] | None = None,
    on_progress: Callable[[float], Any] = lambda part: None,
) -> TakeAway:
    """Fill a file with clips in their order, then with the swaps of every two of them.

    `swap(melody, instrument)` makes the sound of a swap of two `samples` by their numbers [S]; a
    clip with itself is its reconstruction. Swaps are made until the file is full: of each clip with
    itself first, then with the next one, and so on, so that every clip has about as many.
    """
    clips = [i for i, sample in enumerate(samples) if writer.add_clip(sample)]
    if missing := [sample.name for i, sample in enumerate(samples) if i not in clips]:
        writer.left_out.append(
            f"{len(missing)} of {len(samples)} chosen clips, with which the file would be larger "
            f"than {writer.max_bytes / 1e6:g} MB: {_listed(missing)}."
        )
    pairs = list(_pairs(len(clips))) if swap else []
    for done, (melody, instrument) in enumerate(pairs):
        on_progress(done / len(pairs))
        assert swap is not None
        if not writer.add_swap(melody, instrument, swap(clips[melody], clips[instrument])):
            writer.left_out.append(
                f"{len(pairs) - done:,} of {len(pairs):,} swaps, with which the file would be "
                f"larger than {writer.max_bytes / 1e6:g} MB."
            )
            break
    on_progress(1.0)
    return writer.finish()


def compressed(wave: np.ndarray) -> bytes:
    """Samples [S] at 16 kHz as MP3 at their own level, clipped to [-1, 1]."""
    file = io.BytesIO()
    with soundfile.SoundFile(
        file, "w", SAMPLE_RATE, 1, "MPEG_LAYER_III", format="MP3", compression_level=QUALITY
    ) as out:
        out.write(np.clip(np.asarray(wave, dtype=np.float32), -1, 1))
    return file.getvalue()


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((i, (i + step) % count) for step in range(count) for i in range(count))


def _spread(count: int, most: int) -> np.ndarray:
    """All numbers below `count`, or `most` of them at equal distances."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _listed(names: Sequence[str], most: int = 12) -> str:
    cut = [name if len(name) <= 60 else f"{name[:57]}..." for name in names[:most]]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(cut) + more


def _json(value: Any) -> str:
    """JSON that can stand inside a script element: names may hold any characters."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
