"""Makes the answers that ship with the demo: what its models say to its own examples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

from core.audio.clip import SAMPLE_RATE, read
from core.files import replace
from lab.demo import examples as space_answers
from lab.demo import library as space_library
from lab.demo import models as space_engine
from lab.demo.examples import EMBEDDINGS, INDEX, MIXTURES, QUERIES, SWAPS, file_of, key, what
from lab.demo.models import COLLAPSED, ENCODER, PARTS, Heard, chosen, take

QUALITY = 0.6  # of Ogg Vorbis, from 0, the best, to 1


def make(folder: Path = space_answers.FOLDER) -> int:
    """Write mixtures, answers and the library's pictures; returns how many bytes they take."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in [*folder.glob("*.ogg"), *folder.glob("*.png")]:
        leftover.unlink()
    made, rows = {}, []
    for number, example in enumerate(SWAPS, 1):
        for model in dict.fromkeys((example.model, COLLAPSED)):
            made |= _swap(folder, f"swap-{number}", example, model)
    for example in MIXTURES:
        made |= _separate(folder, example)
    for name in QUERIES.values():
        clip = take(file_of(name), "The sound", 0.0, "similar")
        stem = f"query-{Path(name).stem}"
        _write(folder, stem, space_engine.heard(clip.wave), sound=False)
        made[key("embed", ENCODER, clip)] = {"heard": stem, "row": len(rows)}
        rows.append(space_engine.embed(ENCODER, clip.wave))
    (folder / space_library.SHEET).write_bytes(space_library.draw())
    arrays = {"library": space_library.embed(), "queries": np.stack(rows)}
    _save(folder / EMBEDDINGS, arrays)
    about = {
        "ticks": space_engine.ticks(),
        "library": chosen("contrastive", ENCODER).digest,
        "answers": made,
    }
    text = json.dumps(about, indent=1) + "\n"
    replace(folder / INDEX, lambda path: path.write_text(text, encoding="utf-8"))
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _swap(folder: Path, stem: str, example: space_answers.SwapExample, model: str) -> dict:
    clips = [
        take(file_of(name), "The clip", 0.0, "swap") for name in (example.source, example.target)
    ]
    made = space_engine.swap(model, *clips)
    stems = {part: f"{stem}-{part}" for part in PARTS[:2]}
    stems |= {part: f"{stem}-{model}-{part}" for part in PARTS[2:]}
    for part, name in stems.items():
        _write(folder, name, made[part], sound=part in PARTS[2:])
    return {key("swap", model, *clips): stems}


def _separate(folder: Path, example: space_answers.MixtureExample) -> dict:
    """Mix an example, take it apart, and note what each channel holds."""
    import torch

    from core.data.mixtures import of_clips
    from core.separation.separate import match

    known = [read(file_of(name)) for name in example.clips]
    references = of_clips(known, [0.0] * len(known))
    soundfile.write(folder / example.file, references.sum(dim=0).numpy(), SAMPLE_RATE)
    clip = take(folder / example.file, "The mixture", 0.0, "separate")
    whole, *channels = space_engine.separate(example.model, clip)
    waves = torch.from_numpy(np.stack([channel.wave for channel in channels]))
    matches = match(waves, references)
    order = sorted(range(len(channels)), key=lambda i: matches[i].references or (len(waves),))
    says, stems = [], [Path(example.file).stem]
    _write(folder, stems[0], whole, sound=False)
    for number, i in enumerate(order, 1):
        stems.append(f"{stems[0]}-{number}")
        _write(folder, stems[-1], channels[i], sound=True)
        inside = " and ".join(what(example.clips[r]) for r in matches[i].references)
        gained = f"{matches[i].improvement:+.1f} dB".replace("-", "−") if inside else ""
        says.append(f"{inside}, SI-SNRi {gained}" if inside else "no clip of its own")
    return {key("separate", example.model, clip): {"heard": stems, "says": says}}


def _write(folder: Path, stem: str, heard: Heard, *, sound: bool) -> None:
    (folder / f"{stem}.png").write_bytes(heard.picture)
    if sound:
        options = {"format": "OGG", "subtype": "VORBIS", "compression_level": QUALITY}
        soundfile.write(folder / f"{stem}.ogg", heard.wave, SAMPLE_RATE, **options)


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)

    replace(path, write)
