"""A corpus for models that meet real sound: many instruments, soundfonts, phrases and rooms.

Every soundfont is further from real playing than a violin is from a trumpet, so nothing that a
recording may vary is kept constant, and real recordings, where given, are mixed in.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.audio.clip import CLIP_SAMPLES, CLIP_SECONDS, SAMPLE_RATE, Clip, from_array, read
from core.audio.mel import log_mel
from core.data import augment, folder, phrases, pool, synth
from core.data.shard import WHOLE, Shard
from core.data.store import Chunk, FeatureStore, StoreWriter, to_pcm
from core.errors import RavelError

INSTRUMENTS = (
    "Violin",
    "Cello",
    "Flute",
    "Clarinet",
    "Oboe",
    "Bassoon",
    "Tenor Saxophone",
    "Trumpet",
    "French Horn",
    "Trombone",
)
LEAD_IN = 1.0  # seconds played before a clip begins, so that it begins amid the music
NOTES, PLAYER, RECORDING, COPY = range(4)  # what a clip's random numbers are for


@dataclass(frozen=True)
class Rendered:
    """A clip to render. `partner`: the instrument that plays the same notes, in validation."""

    index: int
    split: str
    instrument: str
    partner: str | None = None


@dataclass(frozen=True)
class Real:
    """A copy of a recording: number 0 is the recording itself, the others are augmented."""

    index: int
    split: str
    recording: folder.Recording
    copy: int


class Setting(NamedTuple):
    seed: int
    engine: str
    soundfonts: tuple[str, ...]
    noise: str | None
    audio: bool


def build(
    out: str | os.PathLike,
    *,
    instruments: Sequence[str] = INSTRUMENTS,
    count: int = 12_000,
    soundfonts: Sequence[str | os.PathLike] = (),
    synthesiser: str = "auto",
    real: str | os.PathLike | None = None,
    real_copies: int = 24,
    noise: str | os.PathLike | None = None,
    validation: float = 0.05,
    audio: bool = False,
    seed: int = 0,
    shard: Shard = WHOLE,
    workers: int | None = None,
    progress: pool.Progress = True,
) -> FeatureStore:
    """Builds the corpus as a feature store; continues a killed build.

    `count` phrases are dealt to the instruments, a part `validation` of each held out; the split
    'counterfactual' holds each of those as another instrument plays it in the same room. Fonts:
    all that are found and `soundfonts`. `real`: an audio folder with a column 'instrument', of
    which `real_copies` augmented copies of each recording join 'train' and its fold 'test' (or a
    tenth of the files), untouched, joins 'validation'. `noise`: an audio folder of background
    sounds. Labels: name, split, melody (shared by a counterfactual pair), instrument, source
    (rendered or real), soundfont. RavelError for impossible choices.
    `shard`: only this part of it, for `core.data.merge`.
    """
    names = [synth.proper_name(name) for name in instruments]
    players = soundfont_engines(synthesiser, soundfonts)
    rendered, copies = draw(names, count, validation, seed), _copies(real, real_copies, seed)
    settings = {
        "instruments": names,
        "count": count,
        "real": Path(real).resolve().name if real else None,
        "real_files": folder.fingerprint([job.recording for job in copies]),
        "real_copies": real_copies,
        "noise": Path(noise).resolve().name if noise else None,
        "validation": validation,
        "audio": audio,
        "seed": seed,
    }
    chunks = [*pool.chunked(rendered), *pool.chunked(copies)]
    played_by = "; ".join(player.description for player in players)
    writer = StoreWriter(
        out,
        kind="instruments",
        settings=settings,
        chunks=len(chunks),
        synthesiser=played_by,
        shard=shard,
    )
    if progress is True and not writer.finished:
        print(f"Playing {len(rendered)} clips by {played_by}, {len(copies)} of recordings.")
    fonts = tuple(player.soundfont for player in players)
    setting = Setting(seed, players[0].engine, fonts, str(noise) if noise else None, audio)
    work = partial(_work, setting)
    return pool.build(writer, work, chunks, workers=workers, progress=progress)


def draw(names: Sequence[str], count: int, validation: float, seed: int) -> list[Rendered]:
    """Who plays which phrase, in which split, and who plays it again."""
    if len(names) < 2 or len(set(names)) != len(names) or count < len(names):
        raise RavelError("Give two instruments or more, each once, and a phrase or more for each.")
    if not 0 <= validation < 1:
        raise RavelError(f"The validation part is {validation:g}: expected 0 or more and below 1.")
    held_out = round(count * validation)
    train = [Rendered(i, "train", names[i % len(names)]) for i in range(count - held_out)]
    pairs = []
    for i in range(count - held_out, count):
        name = names[i % len(names)]
        others = [other for other in names if other != name and _shared(name, other)]
        if others:
            partner = others[int(np.random.default_rng([seed, i]).integers(len(others)))]
            pairs += [Rendered(i, "validation", name, partner)]
        else:
            pairs += [Rendered(i, "validation", name)]
    again = [
        Rendered(pair.index, "counterfactual", pair.partner, pair.instrument)
        for pair in pairs
        if pair.partner
    ]
    return [*train, *pairs, *again]


def _copies(real: str | os.PathLike | None, copies: int, seed: int) -> list[Real]:
    if real is None:
        return []
    files = folder.listing(real)
    if any("instrument" not in item.labels for item in files):
        raise RavelError(f"{real} has no column 'instrument' in its metadata.csv: add one.")
    folds = {item.labels.get("fold") for item in files}
    test = "test" if folds >= {"test"} and len(folds) > 1 else None
    jobs: list[Real] = []
    for item, split in zip(files, folder.splits(files, 0.1, test, seed), strict=True):
        numbers = range(1, 1 + copies) if split == "train" else [0]
        jobs += [Real(len(jobs) + i, split, item, n) for i, n in enumerate(numbers)]
    return jobs


def soundfont_engines(
    engine: str, soundfonts: Sequence[str | os.PathLike]
) -> list[synth.Synthesiser]:
    """A synthesiser for each soundfont that is found, and for each of `soundfonts`."""
    first = synth.find(engine)
    found = synth.soundfonts() if first.engine == "fluidsynth" else [synth.bundled_soundfont()]
    return [synth.find(first.engine, path) for path in dict.fromkeys([*found, *soundfonts])]


def _work(setting: Setting, jobs: Sequence[Rendered | Real]) -> Chunk:
    rows, mels, waves = [], [], []
    for job in jobs:
        clip = _rendered(setting, job) if isinstance(job, Rendered) else _real(setting, job)
        rows.append({"name": clip.name, "split": job.split, **clip.labels})
        mels.append(log_mel(clip.wave).numpy())
        waves.append(to_pcm(clip.wave))
    return Chunk(rows, mels, waves if setting.audio else None)


def _rendered(setting: Setting, job: Rendered) -> Clip:
    """A phrase in its room: all but the instrument is drawn from the phrase's number alone."""
    low, high = _range(job.instrument, job.partner)
    seconds = LEAD_IN + CLIP_SECONDS
    notes, bends = phrases.draw(_rng(setting, job.index, NOTES), low, high, seconds)
    choice = _rng(setting, job.index, PLAYER)
    font = setting.soundfonts[choice.integers(len(setting.soundfonts))]
    wave = synth.Synthesiser(setting.engine, font).render(
        notes,
        synth.instrument(job.instrument).program,
        seconds=seconds,
        bends=bends,
        effects=bool(choice.random() < 0.25),
    )
    # At peak 1 already here: the noise's level is relative to what is played.
    wave = wave / max(float(np.abs(wave).max()), 1e-6)
    wave = augment.recorded(wave, _rng(setting, job.index, RECORDING), noises(setting.noise))
    labels = {
        "melody": f"phrase-{job.index}",
        "instrument": job.instrument,
        "source": "rendered",
        "soundfont": Path(font).name,
    }
    wave = wave[-CLIP_SAMPLES:]
    return from_array(wave, SAMPLE_RATE, name=f"phrase-{job.index}-{job.instrument}", labels=labels)


def _real(setting: Setting, job: Real) -> Clip:
    """A recording, or a copy: other excerpt, pitch within two semitones, polarity, room, noise."""
    rng = _rng(setting, job.index, COPY)
    wave = _wave(job.recording.path, job.recording.name)
    if job.copy:
        wave = augment.transposed(_excerpt(wave, rng), rng.uniform(-2, 2)) * rng.choice([-1, 1])
        wave = augment.recorded(wave, rng, noises(setting.noise))
    name = job.recording.labels["instrument"].strip()
    known = {known.lower(): known for known in synth.INSTRUMENTS}
    stem = Path(job.recording.name).stem
    labels = {
        "melody": f"{stem}-{job.copy}",
        "instrument": known.get(name.lower(), name.title()),
        "source": "real",
        "soundfont": "",
    }
    return from_array(wave[:CLIP_SAMPLES], SAMPLE_RATE, name=f"{stem}-{job.copy}", labels=labels)


def _excerpt(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Somewhat more than a clip from a random place; of a short recording, its most."""
    most = int(1.15 * CLIP_SAMPLES)
    spare = max(len(wave) - most, min(len(wave) // 8, SAMPLE_RATE // 2))
    start = int(rng.integers(0, spare + 1))
    return wave[start : start + most]


def _range(name: str, other: str | None) -> tuple[int, int]:
    """The notes that an instrument plays, or that both do."""
    mine, yours = synth.instrument(name), synth.instrument(other or name)
    return max(mine.low, yours.low), min(mine.high, yours.high)


def _shared(name: str, other: str) -> bool:
    low, high = _range(name, other)
    return high - low >= phrases.SPAN


def _rng(setting: Setting, index: int, what: int) -> np.random.Generator:
    return np.random.default_rng([setting.seed, index, what])


@cache
def _wave(path: Path, name: str) -> np.ndarray:
    return read(path, name=name, max_seconds=folder.MAX_FILE_SECONDS).wave


@cache
def noises(noise: str | None) -> list[np.ndarray]:
    """The segments of a folder of background sounds, each [S] at peak 1; none without a folder."""
    return [clip.wave for clip in folder.recordings(noise)] if noise else []
