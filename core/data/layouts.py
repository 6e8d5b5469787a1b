"""Public corpora, read in the folders they come in: ESC, FSD50K, FUSS, Medley-solos-DB, URMP; and
AudioSet, whose layout is a file of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.data import audioset
from core.data.recording import Recording, is_audio, read_table
from core.errors import RavelError

ESC50_COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
ESC_CLASS = re.compile(r"\d{3} - (.+)")
ESC_CLIP = re.compile(r"(\d)-(\d+)-([A-Z])")
FSD50K_PARTS = ("dev", "eval")
FUSS_SPLITS = ("train", "validation", "eval")
MEDLEY_TABLE = "Medley-solos-DB_metadata.csv"
MEDLEY_COLUMNS = ("subset", "instrument", "instrument_id", "song_id", "uuid4")
MEDLEY_FILE = re.compile(r"Medley-solos-DB_[a-z]+-\d+_([0-9a-f-]+)")
URMP_PART = re.compile(r"AuSep_(\d+)_([a-z]+)_(\d+_.+)")
URMP_INSTRUMENTS = {
    **{"vn": "violin", "va": "viola", "vc": "cello", "db": "double bass", "fl": "flute"},
    **{"ob": "oboe", "cl": "clarinet", "sax": "saxophone", "bn": "bassoon", "tpt": "trumpet"},
    **{"hn": "horn", "tbn": "trombone", "tba": "tuba"},
}


@dataclass(frozen=True)
class Scene:
    """A published mixture with its references, which add up to it: 1 to 4 `sources`."""

    name: str
    mixture: Path
    sources: tuple[Path, ...]


def recognise(folder: Path) -> list[Recording] | None:
    """The recordings of a corpus in the layout it is published in, or None for another folder.

    RavelError where a part of the corpus is missing.
    """
    for layout in (_esc50, _esc_classes, _fsd50k, audioset.layout, _fuss, _medley, urmp):
        found = layout(folder)
        if found is not None:
            return found
    return None


def mixtures(folder: str | os.PathLike, split: str | None = None) -> Iterator[Scene]:
    """FUSS's mixtures of a split ('train', 'validation', 'eval'), or of all, with their sources.

    `folder` is `ssdata` or `ssdata_reverb`, or holds them: then the reverberant ones are taken,
    which FUSS's results are reported on. RavelError for another folder or split, missing files.
    """
    root = _mixed(Path(folder))
    if root is None:
        raise RavelError(
            f"{folder} holds no published mixtures: give FUSS's folder ssdata or ssdata_reverb."
        )
    there = [name for name in FUSS_SPLITS if _has_examples(root, name)]
    if split is not None and split not in there:
        raise RavelError(f"{root} has no mixtures '{split}': choose from {', '.join(there)}.")
    return iter([scene for name in there if split in (None, name) for scene in _scenes(root, name)])


def _esc50(folder: Path) -> list[Recording] | None:
    """ESC-50 as on GitHub: meta/esc50.csv and audio/FOLD-CLIP-TAKE-TARGET.wav."""
    table = folder / "meta" / "esc50.csv"
    if not table.is_file():
        return None
    kept = {"fold": "fold", "target": "target", "esc10": "esc10", "src_file": "source"}
    rows = [
        (
            Path(row["filename"]).stem,
            {"label": row["category"], **{new: row[old] for old, new in kept.items()}},
        )
        for row in read_table(table, ESC50_COLUMNS)
    ]
    return _matched(folder, table, rows, _by_stem(folder / "audio", table))


def _esc_classes(folder: Path) -> list[Recording] | None:
    """ESC-10, and ESC-50 before 2017: '001 - Dog bark/FOLD-CLIP-TAKE.ogg'."""
    classes = [path for path in folder.glob("*") if ESC_CLASS.fullmatch(path.name)]
    classes = [path for path in classes if path.is_dir()]
    found = {path: [file for file in path.iterdir() if is_audio(file)] for path in classes}
    files = [file for inside in found.values() for file in inside]
    if not files or not all(ESC_CLIP.fullmatch(file.stem) for file in files):
        return None
    empty = [path.name for path, inside in found.items() if not inside]
    if empty:
        raise RavelError(f"{folder} has no recordings in '{empty[0]}': unpack the whole set again.")
    return [_esc_clip(folder, file) for file in files]


def _esc_clip(folder: Path, file: Path) -> Recording:
    clip, of_class = ESC_CLIP.fullmatch(file.stem), ESC_CLASS.fullmatch(file.parent.name)
    assert clip and of_class  # `_esc` has checked all names
    (fold, source, _), label = clip.groups(), of_class[1]
    return _published(folder, file, {"label": label, "fold": fold, "source": source})


def _fsd50k(folder: Path) -> list[Recording] | None:
    """FSD50K as on Zenodo: FSD50K.ground_truth/{dev,eval}.csv and FSD50K.{dev,eval}_audio/.

    `labels` stays a list joined by commas; dev.csv's column `split` is train or val.
    """
    tables = {part: folder / "FSD50K.ground_truth" / f"{part}.csv" for part in FSD50K_PARTS}
    if not any(table.is_file() for table in tables.values()):
        return None
    items = []
    for part, table in tables.items():
        audio = folder / f"FSD50K.{part}_audio"
        if not table.is_file() and not audio.is_dir():
            continue
        if not table.is_file():
            raise RavelError(f"{audio} has no table {table}: unpack FSD50K.ground_truth again.")
        columns = ("fname", "labels", "mids", "split")[: 4 if part == "dev" else 3]
        rows = [
            (row["fname"], {"labels": row["labels"], "split": row.get("split") or part})
            for row in read_table(table, columns)
        ]
        items += _matched(folder, table, rows, _by_stem(audio, table))
    return items


def _fuss(folder: Path) -> list[Recording] | None:
    """FUSS as on Zenodo: fsd_data/SPLIT/sound/*.wav, else the single sources of its mixtures."""
    for root in (folder, folder / "fsd_data"):
        if any((root / split / "sound").is_dir() for split in FUSS_SPLITS):
            return _fuss_sounds(folder, root)
    mixed = _mixed(folder)
    if mixed is None:
        return None
    return [
        _published(folder, source, _source_labels(split, scene, source))
        for split in FUSS_SPLITS
        for scene in _scenes(mixed, split)
        for source in scene.sources
    ]


def _source_labels(split: str, scene: Scene, source: Path) -> dict[str, str]:
    named = f"{source.parent.name}/{source.name}"  # a background fills its whole mixture
    kind = "background" if "background" in named else "foreground"
    return {"split": split, "example": scene.mixture.stem, "kind": kind}


def _fuss_sounds(folder: Path, root: Path) -> list[Recording]:
    found = {split: [*(root / split / "sound").glob("*")] for split in FUSS_SPLITS}
    return [
        _published(folder, file, {"split": split})
        for split, files in found.items()
        for file in files
        if is_audio(file)
    ]


def _mixed(folder: Path) -> Path | None:
    """Where FUSS's mixtures are: in the folder itself, or in one of the two it may hold."""
    for root in (folder, folder / "ssdata_reverb", folder / "ssdata"):
        if any(_has_examples(root, split) for split in FUSS_SPLITS):
            return root
    return None


def _has_examples(root: Path, split: str) -> bool:
    listed = (root / f"{split}_example_list.txt").is_file()
    return listed or next((root / split).glob("example*_sources"), None) is not None


def _scenes(root: Path, split: str) -> list[Scene]:
    """The mixtures that the split's list names (mixture, tab, sources), or that are in its folder.

    Their numbers have as many digits as their count needs; a source may be called anything.
    """
    table = root / f"{split}_example_list.txt"
    if table.is_file():
        text = table.read_text("utf-8", errors="replace")
        lines = [line.split("\t") for line in text.splitlines() if line.strip()]
        examples = [[root / name.strip() for name in line] for line in lines]
    else:
        folders = sorted((root / split).glob("example*_sources"))
        examples = [
            [path.with_name(path.name.removesuffix("_sources") + ".wav"), *_sounds(path)]
            for path in folders
        ]
    files = [file for example in examples for file in example]
    lost = [file for file in files if not (file.is_relative_to(root) and file.is_file())]
    missing = [os.path.relpath(file, root) for file in lost]
    missing += [f"the sources of {example[0].name}" for example in examples if len(example) < 2]
    if missing:
        raise RavelError(
            f"{root} lacks {len(missing)} files of its {split} mixtures, such as '{missing[0]}': "
            "unpack the whole set again."
        )
    return [
        Scene(f"{split}/{mixture.stem}", mixture, tuple(sources)) for mixture, *sources in examples
    ]


def _sounds(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if is_audio(file))


def _medley(folder: Path) -> list[Recording] | None:
    """Medley-solos-DB as on Zenodo: its table, and Medley-solos-DB_SUBSET-ID_UUID.wav below it.

    The files end in .wav.wav as published, so they are known by their UUID.
    """
    tables = [place / MEDLEY_TABLE for place in (folder, folder / "annotation")]
    table = next((path for path in tables if path.is_file()), None)
    if table is None:
        return None
    named = [(MEDLEY_FILE.match(file.name), file) for file in folder.rglob("Medley-solos-DB_*")]
    found = {match[1]: file for match, file in named if match and is_audio(file)}
    rows = [
        (
            row["uuid4"],
            {"instrument": row["instrument"], "split": row["subset"], "song": row["song_id"]},
        )
        for row in read_table(table, MEDLEY_COLUMNS)
    ]
    return _matched(folder, table, rows, found)


def urmp(folder: Path) -> list[Recording] | None:
    """URMP's single parts, without its mixtures: 01_Jupiter_vn_vc/AuSep_1_vn_01_Jupiter.wav.

    Labels: instrument, piece, part. None where there are none; RavelError where some are missing.
    """
    places = ("", "*/", "*/*/")  # a piece, the pieces, or the archive with its folder Dataset
    files = [file for place in places for file in folder.glob(f"{place}AuSep_*") if is_audio(file)]
    found = {file: match for file in files if (match := URMP_PART.fullmatch(file.stem))}
    if not found:
        return None
    whole = {file.parent for place in places for file in folder.glob(f"{place}AuMix_*.wav")}
    bare = sorted(whole - {file.parent for file in found})
    if bare:
        raise RavelError(f"{bare[0]} has no single parts (AuSep_...): unpack the whole set again.")
    return [_urmp_part(folder, file, *match.groups()) for file, match in found.items()]


def _urmp_part(folder: Path, file: Path, part: str, instrument: str, piece: str) -> Recording:
    named = URMP_INSTRUMENTS.get(instrument, instrument)
    return _published(folder, file, {"instrument": named, "piece": piece, "part": part})


def _published(folder: Path, file: Path, labels: dict[str, str]) -> Recording:
    origin = next((labels[key] for key in ("source", "piece") if key in labels), "")
    return Recording(file, file.relative_to(folder).as_posix(), labels, origin, may_be_silent=True)


def _by_stem(audio: Path, table: Path) -> dict[str, Path]:
    if not audio.is_dir():
        raise RavelError(f"{table} is there, but not its recordings: unpack them into {audio}.")
    return {file.stem: file for file in audio.iterdir() if is_audio(file)}


def _matched(
    folder: Path,
    table: Path,
    rows: Sequence[tuple[str, dict[str, str]]],
    found: Mapping[str, Path],
) -> list[Recording]:
    missing = [key for key, _ in rows if key not in found]
    if missing:
        raise RavelError(
            f"{table} names {len(missing)} of {len(rows)} recordings that are not there, such as "
            f"'{missing[0]}': unpack the whole set again."
        )
    return [_published(folder, found[key], labels) for key, labels in rows]
