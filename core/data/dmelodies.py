"""dMelodies: two-bar melodies from nine factors, played by any General MIDI instrument.

Pati, Gururani, Lerch, "dMelodies", ISMIR 2020, as TS-DSAE uses it (Luo, Ewert, Dixon, IJCAI 2022,
section 4.1). The data set is defined by its factors, so nothing is downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from itertools import combinations, product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from core.audio.clip import from_array
from core.audio.mel import log_mel
from core.data import pool, synth
from core.data.shard import WHOLE, Shard
from core.data.store import Chunk, FeatureStore, StoreWriter, to_pcm
from core.data.synth import Note, Synthesiser
from core.errors import RavelError

TONICS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
OCTAVES = (4, 5, 6)
SCALES: dict[str, tuple[int, ...]] = {  # semitones of the degrees 0 to 8
    "major": (0, 2, 4, 5, 7, 9, 11, 12, 14),
    "minor": (0, 2, 3, 5, 7, 8, 11, 12, 14),
    "blues": (0, 2, 3, 5, 6, 9, 10, 12, 14),
}
SLOTS, SLOT_SECONDS = 8, 0.25  # eighth notes in a bar, at 120 beats a minute
RHYTHMS = tuple(combinations(range(SLOTS), 6))  # the slots of a bar in which a note begins
CHORDS = ((0, 2, 4), (3, 5, 7), (4, 6, 8), (0, 2, 4))  # I IV V I as degrees of the scale
SIZES = (len(TONICS), len(OCTAVES), len(SCALES), len(RHYTHMS), len(RHYTHMS), 2, 2, 2, 2)
ROWS = prod(SIZES)  # 1,354,752


class Melody(NamedTuple):
    """The nine factors, each as its index; `arp1` to `arp4`: 0 for up, 1 for down."""

    tonic: int
    octave: int
    scale: int
    rhythm1: int
    rhythm2: int
    arp1: int
    arp2: int
    arp3: int
    arp4: int

    @property
    def row(self) -> int:
        """The melody's number in the data set, whose last factor varies fastest."""
        return int(np.ravel_multi_index(self, SIZES))

    @property
    def pitches(self) -> list[int]:
        """The twelve MIDI notes in the order in which they are played."""
        base = 12 * (OCTAVES[self.octave] + 1) + self.tonic
        steps = SCALES[list(SCALES)[self.scale]]
        chords = zip(CHORDS, self[5:], strict=True)
        return [base + steps[d] for chord, down in chords for d in (chord[::-1] if down else chord)]

    @property
    def slots(self) -> list[int]:
        """The sixteenths part of the two bars, 0 to 15, in which each of the twelve begins."""
        return [*RHYTHMS[self.rhythm1], *(SLOTS + slot for slot in RHYTHMS[self.rhythm2])]

    def notes(self) -> list[Note]:
        """The melody as the paper has it rendered: 4 s, notes of 0.25 s, velocity 90."""
        return [
            Note(pitch, slot * SLOT_SECONDS, (slot + 1) * SLOT_SECONDS)
            for pitch, slot in zip(self.pitches, self.slots, strict=True)
        ]

    @property
    def name(self) -> str:
        """The authors' file name, without the instrument."""
        arps = "_".join("down" if arp else "up" for arp in self[5:])
        key = f"{TONICS[self.tonic]}_{OCTAVES[self.octave]}_{list(SCALES)[self.scale]}"
        return f"{self.row}_{key}_{self.rhythm1}_{self.rhythm2}_{arps}"


def melody(row: int) -> Melody:
    """The melody of a row number. RavelError outside 0 to 1,354,751."""
    if not 0 <= row < ROWS:
        raise RavelError(f"dMelodies has no melody {row}: its rows are numbered 0 to {ROWS - 1}.")
    return Melody(*map(int, np.unravel_index(row, SIZES)))


def filtered_rows(
    tonics: Sequence[int] = (0,), octaves: Sequence[int] = (4,), scales: Sequence[str] = ("major",)
) -> np.ndarray:
    """Rows of these keys whose first slot and last slot both hold a note, ascending int64 [N].

    The paper's filter, without which clips begin or end in digital silence: 7,056 to a key.
    """
    first = [i for i, rhythm in enumerate(RHYTHMS) if 0 in rhythm]
    last = [i for i, rhythm in enumerate(RHYTHMS) if SLOTS - 1 in rhythm]
    keys = product(*_checked_keys(tonics, octaves, scales))
    bodies = list(product(first, last, *[(0, 1)] * 4))
    return np.array(sorted(Melody(*key, *body).row for key in keys for body in bodies))


def build(
    out: str | os.PathLike,
    *,
    instruments: Sequence[str] = ("Violin", "Trumpet"),
    count: int = 3000,
    tonics: Sequence[int] = (0,),
    octaves: Sequence[int] = (4,),
    scales: Sequence[str] = ("major",),
    synthesiser: str = "auto",
    soundfont: str | os.PathLike | None = None,
    validation: float = 0.2,
    counterfactual: bool = True,
    audio: bool = True,
    seed: int = 888,
    shard: Shard = WHOLE,
    workers: int | None = None,
    progress: pool.Progress = True,
) -> FeatureStore:
    """Builds the paper's set, or another of the kind, as a feature store; continues a killed build.

    `count` melodies are drawn and dealt to the instruments in equal parts, each melody to one only,
    and a part `validation` of each becomes the split 'validation'. The split 'counterfactual' holds
    each validation melody as every *other* instrument plays it: the truth of a swap. Labels: name,
    split, melody (row number), tonic, octave, scale, instrument. RavelError for impossible choices.
    `shard`: only this part of it, for `core.data.merge`.
    """
    chosen = [synth.proper_name(name) for name in instruments]
    settings = {
        "instruments": chosen,
        "count": count,
        "tonics": list(tonics),
        "octaves": list(octaves),
        "scales": list(scales),
        "validation": validation,
        "counterfactual": counterfactual,
        "audio": audio,
        "seed": seed,
    }
    player = synth.find(synthesiser, soundfont)
    jobs = draw(chosen, filtered_rows(tonics, octaves, scales), count, validation, seed)
    if not counterfactual:
        jobs = [job for job in jobs if job[2] != "counterfactual"]
    chunks = pool.chunked(jobs)
    writer = StoreWriter(
        out,
        kind="dmelodies",
        settings=settings,
        chunks=len(chunks),
        synthesiser=player.description,
        shard=shard,
    )
    if progress is True and not writer.finished:
        print(f"Playing {len(jobs)} clips by {player.description}.")
    work = partial(_render, player, audio)
    return pool.build(writer, work, chunks, workers=workers, progress=progress)


Job = tuple[int, str, str]  # row, instrument, split


def draw(
    instruments: Sequence[str], rows: np.ndarray, count: int, validation: float, seed: int
) -> list[Job]:
    """Which melody is played by whom and in which split: train, validation, counterfactual."""
    if not instruments or len(set(instruments)) != len(instruments):
        raise RavelError("Give at least one instrument, and each only once.")
    if not len(instruments) <= count <= len(rows):
        raise RavelError(
            f"{count} melodies cannot be drawn: these keys have {len(rows)}, and each of the "
            f"{len(instruments)} instruments needs one; change the count or add keys."
        )
    if not 0 <= validation < 1:
        raise RavelError(f"The validation part is {validation:g}: expected 0 or more and below 1.")
    drawn = np.random.default_rng(seed).choice(rows, count, replace=False)
    jobs: list[Job] = []
    for name, part in zip(instruments, np.array_split(drawn, len(instruments)), strict=True):
        held_out = round(len(part) * validation)
        train, held = part[: len(part) - held_out], part[len(part) - held_out :]
        jobs += [(int(row), name, "train") for row in train]
        jobs += [(int(row), name, "validation") for row in held]
        others = [other for other in instruments if other != name]
        jobs += [(int(row), other, "counterfactual") for row in held for other in others]
    order = ("train", "validation", "counterfactual")
    return sorted(jobs, key=lambda job: order.index(job[2]))


def _render(player: Synthesiser, audio: bool, jobs: Sequence[Job]) -> Chunk:
    rows, mels, waves = [], [], []
    for row, name, split in jobs:
        tune = melody(row)
        wave = player.render(tune.notes(), synth.instrument(name).program)
        clip = from_array(wave, 16_000, name=f"{tune.name}-{name}")
        rows.append({"name": clip.name, "split": split, **_labels(tune), "instrument": name})
        mels.append(log_mel(clip.wave).numpy())
        waves.append(to_pcm(clip.wave))
    return Chunk(rows, mels, waves if audio else None)


def _labels(tune: Melody) -> dict[str, str]:
    key = {"tonic": TONICS[tune.tonic], "octave": str(OCTAVES[tune.octave])}
    return {"melody": str(tune.row), **key, "scale": list(SCALES)[tune.scale]}


def _checked_keys(
    tonics: Sequence[int], octaves: Sequence[int], scales: Sequence[str]
) -> tuple[list[int], list[int], list[int]]:
    """Tonics, octaves and scales as indices."""
    return (
        _indices("tonic", tonics, range(12)),
        _indices("octave", octaves, OCTAVES),
        _indices("scale", scales, list(SCALES)),
    )


def _indices(what: str, values: Sequence[Any], choices: Sequence[Any]) -> list[int]:
    """The values, each once, as indices into the choices."""
    wrong = [value for value in values if value not in choices]
    if wrong or not values:
        raise RavelError(
            f"dMelodies has no {what} {wrong[0] if wrong else '(none was given)'}: choose from "
            f"{', '.join(map(str, choices))}."
        )
    return [choices.index(value) for value in dict.fromkeys(values)]
