"""What a player plays: its own phrases over its whole range, and those of other players.

A voice is what plays, and a player is a voice in one room; see `core.data.players`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.audio.clip import CLIP_SECONDS, SAMPLE_RATE, read
from core.data import augment, folder, phrases, synth, voices
from core.data.sampler import Sampler, pitch_of, recorded_note
from core.data.synth import Bend, Note
from core.data.voices import Voice

LEAD_IN = 1.0  # seconds played before a clip begins, so that it begins amid the music
SECONDS = LEAD_IN + CLIP_SECONDS
LOWEST, HIGHEST = 33, 103  # MIDI notes: what is lower or higher has no partials in a log-mel
PHRASE, SHARED = 2, 3  # what random numbers are drawn for; `voices` draws with 0, `players` with 1
TRIES = 60  # phrases of other players that are looked at for one within a player's reach


class Player(NamedTuple):
    """A voice in a room; `room` numbers those of its voice, 0 of a recorded one is the original."""

    number: int
    split: str
    voice: Voice
    room: int

    @property
    def name(self) -> str:
        """The label that the player's clips share."""
        return f"{self.voice.name}/room-{self.room}"


class Line(NamedTuple):
    """A drawn phrase: notes from the MIDI note `base` to `phrases.SPAN` above it, before bends.
    `name` is that of the clip which plays it first, empty where no other player will."""

    name: str
    base: int
    notes: list[Note]
    bends: list[Bend]


class Setting(NamedTuple):
    """What the workers need beside their players."""

    seed: int
    engine: str
    phrases: int
    beyond: int
    shared: int
    rendered: tuple[Player, ...]  # whose phrases others play too
    noise: str | None
    audio: bool


Played = tuple[np.ndarray, Line | None]  # a dry wave [S] of LEAD_IN and a clip, and what it plays


def own(setting: Setting, player: Player, number: int) -> Played:
    """A player's own phrase `number`, peaks as they come; of a recording an excerpt, no line."""
    rng = np.random.default_rng([setting.seed, player.number, number, PHRASE])
    if player.voice.source == "recorded":
        return _excerpt(player.voice, rng), None
    if player.voice.source == "rendered":
        line = _line_of(setting, player, number)
        return _rendered_wave(setting, player.voice, line), line
    sampler = _sampler(player.voice)
    # A sampler's range is stretched already.
    base = _window(sampler.low, sampler.high, 0, number, setting.phrases)
    notes, bends = phrases.draw(rng, base, base + phrases.SPAN, SECONDS)
    notes = [note._replace(pitch=sampler.playable(note.pitch)) for note in notes]
    return sampler.play(notes, SECONDS, rng), Line("", base, notes, bends)


def _line_of(setting: Setting, player: Player, number: int) -> Line:
    """Phrase `number` of a rendered player."""
    rng = np.random.default_rng([setting.seed, player.number, number, PHRASE])
    base = _base(setting, player, number)
    drawn = phrases.draw(rng, base, base + phrases.SPAN, SECONDS)
    return Line(f"{player.name}-{number}", base, *drawn)


def _base(setting: Setting, player: Player, number: int) -> int:
    low, high = voices.playing_range(player.voice.instrument)
    return _window(low, high, setting.beyond, number, setting.phrases)


def others(setting: Setting, player: Player) -> Iterator[Played]:
    """Phrases of other players, note for note and bend for bend; fewer than `shared` where there
    are not so many within a player's reach."""
    if player.voice.source == "recorded" or not setting.rendered:
        return
    sampler = _sampler(player.voice) if player.voice.source == "sampled" else None
    if sampler:
        low, high = sampler.low, sampler.high
    else:
        low, high = voices.playing_range(player.voice.instrument)
        low, high = max(low - setting.beyond, LOWEST), min(high + setting.beyond, HIGHEST)
    taken: set[tuple[int, int]] = set()
    for number in range(setting.shared):
        rng = np.random.default_rng([setting.seed, player.number, number, SHARED])
        for _ in range(TRIES):
            other = setting.rendered[int(rng.integers(len(setting.rendered)))]
            chosen = int(rng.integers(setting.phrases))
            if other.split != player.split or other.voice == player.voice:
                continue
            base = _base(setting, other, chosen)
            if low <= base <= high - phrases.SPAN and (other.number, chosen) not in taken:
                taken.add((other.number, chosen))
                line = _line_of(setting, other, chosen)
                if sampler:
                    yield sampler.play(line.notes, SECONDS, rng, line.bends), line
                else:
                    yield _rendered_wave(setting, player.voice, line), line
                break


def _window(low: int, high: int, beyond: int, number: int, count: int) -> int:
    """The lowest MIDI note of phrase `number` of `count`: from below the range to above it."""
    first, last = max(low - beyond, LOWEST), min(high + beyond, HIGHEST) - phrases.SPAN
    return round(first + max(0, last - first) * number / (count - 1))


def _rendered_wave(setting: Setting, voice: Voice, line: Line) -> np.ndarray:
    """A line by a soundfont, dry. A range is stretched by playing what the soundfont has samples
    for, lower by what resampling then raises, in as much more time."""
    low, high = voices.playing_range(voice.instrument)
    outside = float(min(line.base - low, 0) + max(line.base + phrases.SPAN - high, 0))
    moved = voice.shift + outside
    slower = 2 ** (moved / 12)
    down = round(moved)  # a synthesiser plays whole semitones; the rest is bent
    rest = down - moved
    notes = [
        note._replace(pitch=note.pitch - down, start=note.start * slower, end=note.end * slower)
        for note in line.notes
    ]
    bends = [Bend(bend.time * slower, bend.semitones + rest) for bend in line.bends]
    wave = synth.Synthesiser(setting.engine, voice.soundfont).render(
        notes,
        voices.program(voice.instrument),
        seconds=SECONDS * slower,
        bends=bends,
        effects=False,
    )
    wave = augment.transposed(wave.astype(np.float64), voice.shift)
    return augment.transposed(wave, outside, keep_formants=True)


def _excerpt(voice: Voice, rng: np.random.Generator) -> np.ndarray:
    """A random part of one of a musician's recordings, with sound in it."""
    file = voice.files[int(rng.integers(len(voice.files)))]
    wave = _wave(file.path, file.name)
    size = round(SECONDS * SAMPLE_RATE)
    spare = max(0, len(wave) - size)
    parts = [wave[start : start + size] for start in rng.integers(0, spare + 1, 4)]
    return max(parts, key=lambda part: float(np.mean(part.astype(np.float64) ** 2)))


def _sampler(voice: Voice) -> Sampler:
    pitched = [(item, pitch_of(item)) for item in voice.files]
    return _loaded(tuple((item.path, item.name, p) for item, p in pitched if p is not None))


@lru_cache(maxsize=2)  # the rooms of a voice follow one another; more would fill the memory
def _loaded(notes: tuple[tuple[Path, str, float], ...]) -> Sampler:
    return Sampler([recorded_note(path, name, pitch) for path, name, pitch in notes])


@lru_cache(maxsize=32)
def _wave(path: Path, name: str) -> np.ndarray:
    return read(path, name=name, max_seconds=folder.MAX_FILE_SECONDS).wave
