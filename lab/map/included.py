"""Make the corpus that ships: python -m lab.map.included

The bundled recordings, the demo's library, and phrases that ten instruments play in MIT-licensed
soundfonts, packed with the maps and embeddings by the shipped models. Run it again when one of
those models has been replaced (`--again` keeps the sounds).
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter
from pathlib import Path

from core.audio.clip import Clip, read
from core.data import instruments, pack
from core.data.folder import splits
from core.data.recording import Recording
from core.data.store import FeatureStore
from core.service import corpora, included
from lab.bundled import EXAMPLES, INCLUDED, is_scene, octaves, rows, sources

PHRASES = 26  # of each instrument
DRAWN = 800  # phrases to choose from
FONTS = ("MuseScore_General", "FluidR3_GM")  # under the MIT licence
LEAST = 5  # clips of an instrument that has a colour of its own on the map
SEED = 27
PLAYED = {"Tenor Saxophone": "Saxophone"}  # the recordings do not say which saxophone they are
EVERYDAY, INSTRUMENT = "everyday sound", "instrument"
RECORDED, RENDERED = "recording", "rendered"


def recordings() -> list[Clip]:
    """All recordings that ship, and the bundled renderings."""
    clips = [
        _clip(Path(row["path"]), row, row["what"], EVERYDAY if is_scene(name) else INSTRUMENT)
        for name, row in sources().items()
    ]
    clips += [
        _clip(EXAMPLES / "octaves" / row["file"], row, row["instrument"], INSTRUMENT)
        for row in octaves().values()
    ]
    library = EXAMPLES / "space" / "library"
    for row in rows(library / "metadata.csv"):
        kind = EVERYDAY if "ESC-10" in row["set"] else INSTRUMENT
        clips.append(_clip(library / row["file"], row, row["label"], kind))
    return clips


def phrases(folder: Path) -> list[Clip]:
    """Phrases rendered in a store at `folder`, PHRASES of each instrument."""
    store = instruments.build(folder, count=DRAWN, validation=0, audio=True, seed=SEED)
    clips, counts = [], Counter[str]()
    for clip in map(store.clip, range(len(store))):
        font, played = clip.labels["soundfont"], clip.labels["instrument"]
        if font.startswith(FONTS) and counts[played] < PHRASES:
            counts[played] += 1
            title = f"{played}, phrase {clip.name.split('-')[1]}"
            credit = f"rendered with the soundfont {Path(font).stem}, MIT"
            labels = _labels(INSTRUMENT, played, title, RENDERED, credit)
            clips.append(Clip(clip.wave, clip.name, labels))
    return clips


def _clip(path: Path, row: dict[str, str], what: str, kind: str) -> Clip:
    source = RENDERED if row.get("kind") == RENDERED else RECORDED
    credit = "; ".join(dict.fromkeys(filter(None, (row["author"], row.get("set"), row["licence"]))))
    return read(path, name=path.stem, labels=_labels(kind, what, row["title"], source, credit))


def _labels(kind: str, what: str, title: str, source: str, credit: str) -> dict[str, str]:
    name = PLAYED.get(what.title(), what.title())
    return {
        "instrument": name if kind == INSTRUMENT else "",
        "label": name.lower(),
        "title": title,
        "kind": kind,
        "source": source,
        "credit": re.sub(r"\s+", " ", credit),
    }


def with_splits(clips: list[Clip]) -> list[Clip]:
    """The clips with a tenth held out, and without the names of instruments that are rare."""
    counts = Counter(clip.labels["instrument"] for clip in clips)
    listed = [Recording(Path(clip.name), clip.name) for clip in clips]
    chosen = splits(listed, 0.1, None, SEED)
    made = []
    for clip, split in zip(clips, chosen, strict=True):
        labels = {"split": split, **clip.labels}
        if counts[labels["instrument"]] < LEAST:
            labels["instrument"] = ""
        made.append(Clip(clip.wave, clip.name, labels))
    return made


def main() -> None:
    """Write the pack, and what is computed of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--again", action="store_true", help="keep the sounds, compute the rest")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if not arguments.again:
            clips = with_splits([*recordings(), *phrases(Path(scratch) / "phrases")])
            pack.pack(clips, INCLUDED)
        corpora.DATA = Path(scratch)
        included.compute(INCLUDED, Path(scratch))
        store = FeatureStore.open(Path(scratch) / included.NAME)
    size = sum(file.stat().st_size for file in INCLUDED.rglob("*") if file.is_file())
    print(f"{len(store)} clips in {INCLUDED}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
