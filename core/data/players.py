"""A corpus of players: the same voice in the same room, recorded over its whole range.

Two clips of one player share instrument, room, microphone and noise, and differ in all that is
played. So they are two views of one global latent, as two excerpts of a recording are in temporal
proximity (Fonseca et al., WASPAA 2021), and a model that takes `v` from the one to rebuild the
other cannot put the register into it.

Some phrases are played by another player too, note for note (`shared`): what two renditions have
in common is the local latents, and what they have not is the global one.

A voice is what plays: an instrument of a soundfont with formants shifted by a few semitones, the
recorded notes of one musician (`core.data.sampler`), or a musician's recordings as they are. A
player is a voice in one room: several rooms for each voice tell a model what belongs to which.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from core.audio.clip import CLIP_SAMPLES, SAMPLE_RATE, Clip, from_array
from core.audio.mel import log_mel
from core.data import augment, folder, pool, voices
from core.data.instruments import noises, soundfont_engines
from core.data.playing import Player, Setting, others, own
from core.data.shard import WHOLE, Shard
from core.data.store import Chunk, FeatureStore, StoreWriter, to_pcm
from core.data.voices import Voice
from core.errors import RavelError

ROOM = 1  # what random numbers are drawn for; `voices` draws with 0


def build(
    out: str | os.PathLike,
    *,
    count: int = 1_400,
    sampled: int = 750,
    recorded: int = 750,
    notes: Sequence[str | os.PathLike] = (),
    recordings: Sequence[str | os.PathLike] = (),
    leave_out: Sequence[str] = (),
    phrases_each: int = 4,
    shared: int = 0,
    rooms: int = 2,
    beyond: int = 12,
    soundfonts: Sequence[str | os.PathLike] = (),
    synthesiser: str = "auto",
    noise: str | os.PathLike | None = None,
    validation: float = 0.05,
    audio: bool = False,
    seed: int = 0,
    shard: Shard = WHOLE,
    workers: int | None = None,
    progress: bool = True,
) -> FeatureStore:
    """Builds the corpus as a feature store; continues a killed build.

    `count` rendered players, `sampled` ones that play drawn phrases with the real notes of the
    audio folders `notes` (metadata.csv with `player` or `instrument`, and `midi_pitch` or
    `f0_midi_est`), and `recorded` ones that are excerpts of the folders `recordings`. Each has
    `phrases_each` clips, from low to high over its range and `beyond` semitones past it, and each
    voice is recorded in `rooms` rooms. Collections (the column `set`) in `leave_out` are not used:
    keep those to judge by. A part `validation` of the voices is held out with all its rooms.
    Each rendered or sampled player also plays `shared` phrases of rendered players of its split,
    where they are within its reach. Labels: name, split, player, voice, instrument, source,
    soundfont, register (the median MIDI note of what was played, empty for recordings), and with
    `shared` the phrase, which clips of several players have in common. Raises RavelError for
    impossible choices.
    `shard`: only this part of it, for `core.data.merge`.
    """
    players = count + sampled * bool(notes) + recorded * bool(recordings)
    _check(min(count, sampled, recorded, shared), players, phrases_each, rooms, beyond, validation)
    engines = soundfont_engines(synthesiser, soundfonts)
    drawn = [
        *voices.rendered(-(-count // rooms), [engine.soundfont for engine in engines], seed),
        *voices.sampled(voices.files_of(notes, leave_out), -(-sampled // rooms)),
        *voices.recorded(voices.files_of(recordings, leave_out), -(-recorded // rooms)),
    ]
    dealt = _in_rooms(drawn, rooms, validation, seed)
    files = [file for voice in drawn for file in voice.files]
    settings = {
        "players": len(dealt),
        "voices": folder.fingerprint(files) if files else "",
        "rendered": count,
        "sampled": sampled if notes else 0,
        "recorded": recorded if recordings else 0,
        "leave_out": sorted(leave_out),
        "phrases": phrases_each,
        "rooms": rooms,
        "beyond": beyond,
        "noise": Path(noise).resolve().name if noise else None,
        "validation": validation,
        "audio": audio,
        "seed": seed,
    }
    if shared:  # not named otherwise, so that a build begun before there were any goes on
        settings["shared"] = shared
    played_by = "; ".join(engine.description for engine in engines)
    chunks = pool.chunked(dealt)
    writer = StoreWriter(
        out,
        kind="players",
        settings=settings,
        chunks=len(chunks),
        synthesiser=played_by,
        shard=shard,
    )
    if progress and not writer.finished:
        print(f"{len(dealt)} players of {len(drawn)} voices, {phrases_each} clips each.")
    setting = Setting(
        seed,
        engines[0].engine,
        phrases_each,
        beyond,
        shared,
        tuple(player for player in dealt if shared and player.voice.source == "rendered"),
        str(noise) if noise else None,
        audio,
    )
    return pool.build(writer, partial(_work, setting), chunks, workers=workers, progress=progress)


def of_store(labels: Mapping[str, np.ndarray]) -> np.ndarray:
    """The number of each clip's player [N], from the label columns of any store.

    It is read from the column `player`. dMelodies has one player per instrument. In other stores
    the clips that were cut from one file share a player, by the name before the clip's number.
    """
    if "player" in labels:
        keys = labels["player"]
    elif {"melody", "instrument"} <= labels.keys():
        columns = [labels[name] for name in ("instrument", "soundfont") if name in labels]
        keys = np.array(["/".join(row) for row in zip(*columns, strict=True)])
    else:
        keys = np.array([str(name).rpartition("-")[0] or str(name) for name in labels["name"]])
    return np.unique(keys, return_inverse=True)[1]


def of_phrases(labels: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """The number of the phrase that each clip plays [N], equal where players play the same one.

    It is read from the column `phrase`; None without it.
    """
    keys = labels.get("phrase")
    return None if keys is None else np.unique(keys, return_inverse=True)[1]


def _check(
    least: int, players: int, phrases_each: int, rooms: int, beyond: int, validation: float
) -> None:
    if least < 0 or players < 1:
        raise RavelError("There are no players: give a count, or folders of notes or recordings.")
    if phrases_each < 2:
        raise RavelError(f"{phrases_each} clips a player are too few: two or more are needed.")
    if rooms < 1:
        raise RavelError(f"{rooms} rooms are too few: give one or more.")
    if not 0 <= beyond <= 24:
        raise RavelError(f"{beyond} semitones beyond the range: choose 0 to 24.")
    if not 0 <= validation < 1:
        raise RavelError(f"The validation part is {validation:g}: expected 0 or more and below 1.")


def _in_rooms(drawn: Sequence[Voice], rooms: int, validation: float, seed: int) -> list[Player]:
    """Each voice in its rooms; a musician is held out with all voices and rooms."""
    keys = [voices.musician(voice) for voice in drawn]
    different = sorted(set(keys))
    held_out = round(len(different) * validation)
    chosen = np.random.default_rng(seed).permutation(different)[:held_out].tolist()
    pairs = itertools.product(zip(drawn, keys, strict=True), range(rooms))
    return [
        Player(index, "validation" if key in chosen else "train", voice, room)
        for index, ((voice, key), room) in enumerate(pairs)
    ]


def _work(setting: Setting, players: Sequence[Player]) -> Chunk:
    clips = [(player, clip) for player in players for clip in _clips(setting, player)]
    rows = [{"name": clip.name, "split": player.split, **clip.labels} for player, clip in clips]
    waves = [to_pcm(clip.wave) for _, clip in clips] if setting.audio else None
    return Chunk(rows, [log_mel(clip.wave).numpy() for _, clip in clips], waves)


def _clips(setting: Setting, player: Player) -> list[Clip]:
    """A player's clips, all through the same room: the chain is drawn from the player alone."""
    voice = player.voice
    labels = {
        "player": player.name,
        "voice": voice.name,
        "instrument": voice.instrument,
        "source": voice.source,
        "soundfont": Path(voice.soundfont).name if voice.soundfont else "",
    }
    clips = []
    firsts = (own(setting, player, number) for number in range(setting.phrases))
    for number, (wave, line) in enumerate(itertools.chain(firsts, others(setting, player))):
        if not np.abs(wave).max() > 0:
            continue  # a soundfont may lack a preset, and a recording end in silence
        wave = wave / np.abs(wave).max()
        if voice.source != "recorded" or player.room:
            room = np.random.default_rng([setting.seed, player.number, ROOM])
            wave = augment.recorded(wave, room, noises(setting.noise))
        name = f"{player.name}-{number}"
        pitches = [note.pitch for note in line.notes] if line else []
        register = f"{np.median(pitches):g}" if pitches else ""
        labels["register"] = register
        if setting.shared:
            labels["phrase"] = line.name if line and line.name else name
        clips.append(from_array(wave[-CLIP_SAMPLES:], SAMPLE_RATE, name=name, labels=dict(labels)))
    return clips
