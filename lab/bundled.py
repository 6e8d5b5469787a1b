"""The bundled recordings: their metadata, their credits, and the mixtures made of them."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from core.service import corpora

EXAMPLES = Path(__file__).parent / "examples"
SCENES = EXAMPLES / "scenes"
INCLUDED = EXAMPLES / "included"  # the corpus that ships, packed by `python -m lab.map.included`
STORE, SCENES_STORE = "examples", "examples-scenes"  # the names of their feature stores
READY = {  # the names of clips that no shipped model was trained on
    "Dog in the rain": ("dog", "rain"),
    "Rooster and ticking clock": ("rooster", "clock"),
    "Baby, dog and waves": ("baby", "dog", "sea"),
    "Duet of clarinet and violin": ("clarinet-1", "violin-2"),
    "Duet of violin and trumpet": ("violin-2", "trumpet-1"),
}


@cache
def instruments() -> dict[str, dict[str, str]]:
    """The recordings of single instruments: their rows of metadata.csv by title."""
    return {row["title"]: row for row in rows(EXAMPLES / "metadata.csv")}


@cache
def octaves() -> dict[str, dict[str, str]]:
    """Melodies in two octaves by two instruments: their rows of metadata.csv by name."""
    return {Path(row["file"]).stem: row for row in rows(EXAMPLES / "octaves" / "metadata.csv")}


@cache
def sources() -> dict[str, dict[str, str]]:
    """All clips that can be mixed: their rows by name, with `path`, `what` and `credit`."""
    scenes = [(SCENES, row["label"], row) for row in rows(SCENES / "metadata.csv")]
    solos = [(EXAMPLES, row["instrument"], row) for row in instruments().values()]
    return {
        Path(row["file"]).stem: row | {"what": what, "path": str(folder / row["file"])}
        for folder, what, row in [*scenes, *solos]
    }


def rows(table: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def is_scene(name: str) -> bool:
    """Whether a clip is an everyday sound rather than an instrument."""
    return "set" in sources()[name]


def credit(name: str) -> str:
    """A clip's author and licence."""
    row = sources()[name]
    if "set" not in row:
        return row["author"]
    return f"{row['what']} by {row['author']} ({row['licence']})"


def instrument_credits() -> str:
    """The authors of the instrument recordings, as their licences require."""
    return "; ".join(dict.fromkeys(row["author"] for row in instruments().values()))


def credits() -> str:
    """The credits of all clips."""
    scenes = "; ".join(credit(name) for name in sources() if is_scene(name))
    sets = {row["set"] for row in sources().values() if "set" in row}
    return f"{'; '.join(sorted(sets))}, with {scenes}; {instrument_credits()}"


def build_stores() -> None:
    """Build feature stores of the recordings, instruments and scenes: a few seconds of work."""
    corpora.build(EXAMPLES, STORE, seconds=4.0)
    corpora.build(SCENES, SCENES_STORE, seconds=5.0)
