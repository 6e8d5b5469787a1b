"""Makes the answers that ship with the demo: its models' results for its own examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from core.audio.clip import SAMPLE_RATE, Clip, read
from core.files import replace
from lab.demo import library, models
from lab.demo.examples import (
    EMBEDDINGS,
    FOLDER,
    INDEX,
    MIXTURES,
    QUERIES,
    SWAPS,
    MixtureExample,
    key,
    kind_of,
    path_of,
    read_example,
)
from lab.demo.models import COLLAPSED_MODEL, ENCODER, INPUTS, SWAPPED, Rendering

QUALITY = 0.6  # of Ogg Vorbis, from 0, the best, to 1


def make(folder: Path = FOLDER) -> int:
    """Write mixtures, answers and the library's thumbnails; returns their size in bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in [*folder.glob("*.ogg"), *folder.glob("*.png")]:
        leftover.unlink()
    made: dict[str, Any] = {}
    for number, pair in enumerate(SWAPS, 1):
        for model in dict.fromkeys((pair.model, COLLAPSED_MODEL)):
            made |= _swap(folder, f"swap-{number}", model, *pair.clips())
    for mixture in MIXTURES:
        made |= _separate(folder, mixture)
    embeddings: list[np.ndarray] = []
    for name in QUERIES.values():
        clip = read_example(name, "similar")
        stem = f"query-{Path(name).stem}"
        _write(folder, stem, models.render(clip.wave), sound=False)
        made[key("embed", ENCODER, clip)] = {"file": stem, "row": len(embeddings)}
        embeddings.append(models.embed(ENCODER, clip.wave))
    (folder / library.SHEET).write_bytes(library.draw_sheet())
    _save(folder / EMBEDDINGS, library.embed(), np.stack(embeddings))
    index = {
        "ticks": models.ticks(),
        "library": models.shipped("contrastive", ENCODER).digest,
        "answers": made,
    }
    text = json.dumps(index, indent=1) + "\n"
    replace(folder / INDEX, lambda path: path.write_text(text, encoding="utf-8"))
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _swap(folder: Path, stem: str, model: str, source: Clip, target: Clip) -> dict[str, Any]:
    made = models.swap(model, source, target)
    stems = {part: f"{stem}-{part}" for part in INPUTS}
    stems |= {part: f"{stem}-{model}-{part}" for part in SWAPPED}
    for part, name in stems.items():
        _write(folder, name, made[part], sound=part in SWAPPED)
    return {key("swap", model, source, target): stems}


def _separate(folder: Path, example: MixtureExample) -> dict[str, Any]:
    """Mix an example, separate it, and note what each channel contains."""
    import torch

    from core.data.mixtures import of_clips
    from core.separation.separate import match

    clips = [read(path_of(name)) for name in example.clips]
    references = of_clips(clips, [0.0] * len(clips))
    soundfile.write(folder / example.file, references.sum(dim=0).numpy(), SAMPLE_RATE)
    mixture = models.read_input(folder / example.file, "The mixture", 0.0, "separate")
    whole, *channels = models.separate(example.model, mixture)
    waves = torch.from_numpy(np.stack([channel.wave for channel in channels]))
    matches = match(waves, references)
    order = sorted(range(len(channels)), key=lambda i: matches[i].references or (len(waves),))
    stem = Path(example.file).stem
    contents, stems = [], [stem]
    _write(folder, stem, whole, sound=False)
    for number, i in enumerate(order, 1):
        stems.append(f"{stem}-{number}")
        _write(folder, stems[-1], channels[i], sound=True)
        inside = " and ".join(kind_of(example.clips[r]) for r in matches[i].references)
        gain = f"{matches[i].improvement:+.1f} dB".replace("-", "−")
        contents.append(f"{inside}, SI-SNRi {gain}" if inside else "none of the clips")
    return {key("separate", example.model, mixture): {"files": stems, "contents": contents}}


def _write(folder: Path, stem: str, rendering: Rendering, *, sound: bool) -> None:
    (folder / f"{stem}.png").write_bytes(rendering.picture)
    if sound:
        soundfile.write(
            folder / f"{stem}.ogg",
            rendering.wave,
            SAMPLE_RATE,
            format="OGG",
            subtype="VORBIS",
            compression_level=QUALITY,
        )


def _save(path: Path, library: np.ndarray, queries: np.ndarray) -> None:
    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:  # given a path, numpy would append .npz to it
            np.savez_compressed(file, library=library, queries=queries)

    replace(path, write)
