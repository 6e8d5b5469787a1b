"""Real notes of one instrument that play the melody of another's recording: what no swap beats.

A judge that names these wrong is not to be trusted on swaps; so its score here is its ceiling.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from core.audio.clip import CLIP_SECONDS, HOP_SECONDS
from core.audio.mel import log_mel
from core.data import voices
from core.data.sampler import Sampler, pitch_of, recorded_note
from core.data.synth import Note
from core.dsae.evaluation.judge_clips import label_of
from core.dsae.evaluation.player_clips import PlayerClips
from core.errors import RavelError

PLAIN = ("", "normal", "arco-normal", "ordinario", "non-vibrato", "molto-vibrato")  # articulations
SHORTEST = 4  # frames of a note
REACHED = 0.8  # share of a melody's frames that the other instrument must be able to play
VELOCITY = 100


class Counterfactuals(NamedTuple):
    """Log-mels [C, T, M]; the clip whose melody each plays and the instrument, both [C]."""

    log_mel: np.ndarray
    source: np.ndarray
    instrument: np.ndarray


def samplers(
    paths: Sequence[str | os.PathLike],
    instruments: Sequence[str],
    collections: Sequence[str] = (),
) -> tuple[dict[str, Sampler], set[str]]:
    """A sampler for each instrument, of the plainly played notes of audio folders, and the files.

    `collections`: only notes with one of these in the column `set`. Raises RavelError where an
    instrument has no note with a pitch.
    """
    files = voices.files_of(paths, ())
    found, used = {}, set()
    for name in instruments:
        notes = [
            (file, pitch)
            for file in files
            if file.labels.get("kind", "note") == "note"
            and (not collections or file.labels.get("set") in collections)
            and file.labels.get("articulation", "") in PLAIN
            and label_of(file.labels.get("instrument", ""), [name])
            and (pitch := pitch_of(file)) is not None
        ]
        if not notes:
            raise RavelError(
                f"There is no note of '{name}' with its pitch to play other melodies with: give "
                "folders whose metadata.csv has instrument and midi_pitch."
            )
        found[name] = Sampler([recorded_note(file.path, file.name, p) for file, p in notes])
        used |= {str(file.path.resolve()) for file, _ in notes}
    return found, used


def notes_of(midi: np.ndarray) -> list[Note]:
    """The notes of a pitch track [T], NaN without a pitch: runs of frames at one semitone."""
    semitone = np.where(np.isfinite(midi), np.round(np.nan_to_num(midi)), 0).astype(int)
    edges = np.flatnonzero(np.diff(semitone, prepend=-1, append=-1))
    return [
        Note(int(semitone[first]), first * HOP_SECONDS, end * HOP_SECONDS, VELOCITY)
        for first, end in pairwise(edges)
        if semitone[first] and end - first >= SHORTEST
    ]


def play(clips: PlayerClips, players: dict[str, Sampler], seed: int = 0) -> Counterfactuals:
    """Each clip's melody played by every other instrument that can play at least 80 % of it.

    What is beyond the instrument's own notes is left out: no note is moved by octaves.
    """
    rng = np.random.default_rng(seed)
    mels, sources, names = [], [], []
    for clip, midi in enumerate(clips.midi):
        for name in clips.instruments:
            if name == clips.instrument[clip]:
                continue
            low, high = (f(players[name].pitches) for f in (np.min, np.max))
            melody = notes_of(midi)
            within = [note for note in melody if low - 1 <= note.pitch <= high + 1]
            if not melody or _length(within) < REACHED * _length(melody):
                continue
            mels.append(log_mel(players[name].play(within, CLIP_SECONDS, rng)).numpy())
            sources.append(clip)
            names.append(name)
    if not mels:
        raise RavelError(
            f"No instrument of {clips.name} can play another's melody, for their ranges do not "
            "overlap: give more notes."
        )
    return Counterfactuals(np.stack(mels), np.array(sources), np.array(names))


def _length(notes: Sequence[Note]) -> float:
    return sum(note.end - note.start for note in notes)
