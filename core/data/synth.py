"""Melodies as sound: FluidSynth where it is installed, tinysoundfont otherwise."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.audio.clip import CLIP_SECONDS, SAMPLE_RATE
from core.data import fluidsynth
from core.errors import RavelError

BEND_SEMITONES = 2.0  # what a full pitch bend means in General MIDI
# The paper's soundfont first; the light one has the same samples for violin and trumpet.
SOUNDFONTS = (
    "MuseScore_General.sf3",
    "MuseScore_General_Lite.sf3",
    "MuseScore_General_Full.sf3",
    "MuseScore_General.sf2",
    "FluidR3_GM.sf2",
)


class Note(NamedTuple):
    """`start` and `end` in seconds."""

    pitch: int
    start: float
    end: float
    velocity: int = 90


class Bend(NamedTuple):
    """From `time` (seconds) on, the pitch lies `semitones` (at most 2) above the written one."""

    time: float
    semitones: float


class Instrument(NamedTuple):
    """A General MIDI program (from 0) and the instrument's playing range as sounding MIDI notes."""

    program: int
    low: int
    high: int


INSTRUMENTS: dict[str, Instrument] = {
    "Piano": Instrument(0, 21, 108),
    "Church Organ": Instrument(19, 36, 96),
    "Nylon Guitar": Instrument(24, 40, 83),
    "Violin": Instrument(40, 55, 100),
    "Viola": Instrument(41, 48, 88),
    "Cello": Instrument(42, 36, 76),
    "Contrabass": Instrument(43, 28, 60),
    "Trumpet": Instrument(56, 52, 84),
    "Trombone": Instrument(57, 40, 72),
    "Tuba": Instrument(58, 28, 58),
    "French Horn": Instrument(60, 41, 77),
    "Soprano Saxophone": Instrument(64, 56, 88),
    "Alto Saxophone": Instrument(65, 49, 81),
    "Tenor Saxophone": Instrument(66, 44, 76),
    "Baritone Saxophone": Instrument(67, 36, 69),
    "Oboe": Instrument(68, 58, 91),
    "English Horn": Instrument(69, 52, 81),
    "Bassoon": Instrument(70, 34, 75),
    "Clarinet": Instrument(71, 50, 94),
    "Piccolo": Instrument(72, 74, 108),
    "Flute": Instrument(73, 60, 96),
    "Recorder": Instrument(74, 72, 98),
}


def instrument(name: str) -> Instrument:
    """An instrument by its name, in any case. RavelError for one that is not known."""
    for known, found in INSTRUMENTS.items():
        if known.lower() == name.strip().lower():
            return found
    raise RavelError(f"There is no instrument '{name}': choose from {', '.join(INSTRUMENTS)}.")


def proper_name(name: str) -> str:
    """An instrument's name as it is written in labels."""
    found = instrument(name)
    return next(known for known, value in INSTRUMENTS.items() if value == found)


@dataclass(frozen=True)
class Synthesiser:
    """`engine` ('fluidsynth' or 'tinysoundfont') with one soundfont."""

    engine: str
    soundfont: str

    @property
    def description(self) -> str:
        """A description kept with a store: equal descriptions render equal bytes."""
        font = Path(self.soundfont)
        return f"{_ENGINES[self.engine]()} with {font.name} (sha256 {_digest(self.soundfont)[:12]})"

    def render(
        self,
        notes: Sequence[Note],
        program: int,
        *,
        seconds: float = CLIP_SECONDS,
        bends: Sequence[Bend] = (),
        effects: bool = True,
    ) -> np.ndarray:
        """Notes as a float32 wave [S] at 16 kHz, the mean of both channels at the engine's level.

        With FluidSynth the samples are those of its command line with the notes as a MIDI file;
        `effects` are its reverb and chorus, which tinysoundfont has not.
        """
        samples = round(seconds * SAMPLE_RATE)
        if self.engine == "fluidsynth":
            midi = midi_bytes(notes, program, bends)
            pcm = fluidsynth.render(
                midi, samples, self.soundfont, SAMPLE_RATE, program=program, effects=effects
            )
            return (pcm.astype(np.float32) / 32_768).mean(axis=1)
        return _play(self.soundfont, notes, program, bends, samples).mean(axis=1)


def find(engine: str = "auto", soundfont: str | os.PathLike | None = None) -> Synthesiser:
    """The best synthesiser that is installed, or the one asked for.

    FluidSynth with MuseScore_General, as the paper's authors had; else tinysoundfont with
    pretty_midi's own soundfont. RavelError when the one asked for is missing.
    """
    if engine not in ("auto", *_ENGINES):
        raise RavelError(f"'{engine}' is no synthesiser: choose auto, {' or '.join(_ENGINES)}.")
    if soundfont is not None and not Path(soundfont).is_file():
        raise RavelError(
            f"The soundfont {soundfont} does not exist: give the path of an SF2 or SF3."
        )
    installed = available()
    if engine != "auto" and engine not in installed:
        raise RavelError(f"{engine} is not installed: install it, or let '--synth auto' choose.")
    if not installed:
        raise RavelError("No synthesiser is installed: install fluidsynth or tinysoundfont.")
    engine = installed[0] if engine == "auto" else engine
    general = soundfonts() if engine == "fluidsynth" else [bundled_soundfont()]
    return Synthesiser(engine, str(Path(soundfont or general[0]).resolve()))


def available() -> list[str]:
    """The engines that are installed, the better one first."""
    tiny = importlib.util.find_spec("tinysoundfont")
    return ["fluidsynth"] * bool(fluidsynth.LIBRARY) + ["tinysoundfont"] * bool(tiny)


def soundfonts() -> list[Path]:
    """The soundfonts found, each once: the paper's, other known ones, the bundled one, the rest."""
    roots = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share:/opt/homebrew/share"
    places = [Path.home() / ".local/share", *map(Path, roots.split(os.pathsep))]
    folders = [
        place / name for place in places for name in ("sounds/sf3", "sounds/sf2", "soundfonts")
    ]
    known = [folder / name for name in SOUNDFONTS for folder in folders]
    rest = [path for folder in folders for path in sorted(folder.glob("*.sf[23]"))]
    found = [path.resolve() for path in [*known, bundled_soundfont(), *rest] if path.is_file()]
    return list(dict.fromkeys(found))


def bundled_soundfont() -> Path:
    """TimGM6mb.sf2, which comes with pretty_midi."""
    import pretty_midi

    return Path(pretty_midi.__file__).with_name("TimGM6mb.sf2")


def midi_bytes(notes: Sequence[Note], program: int, bends: Sequence[Bend] = ()) -> bytes:
    """A MIDI file of one track at 120 beats a minute."""
    import pretty_midi

    midi, part = pretty_midi.PrettyMIDI(), pretty_midi.Instrument(program)
    for note in notes:
        part.notes.append(pretty_midi.Note(note.velocity, note.pitch, note.start, note.end))
    for bend in bends:
        part.pitch_bends.append(pretty_midi.PitchBend(_wheel(bend), bend.time))
    midi.instruments.append(part)
    file = io.BytesIO()
    midi.write(file)
    return file.getvalue()


def _wheel(bend: Bend) -> int:
    return int(np.clip(round(bend.semitones / BEND_SEMITONES * 8192), -8192, 8191))


def _play(
    soundfont: str, notes: Sequence[Note], program: int, bends: Sequence[Bend], samples: int
) -> np.ndarray:
    """Notes by tinysoundfont as float32 [S, 2]; events at exact samples, note-offs first."""
    player, font = _player(soundfont)
    player.program_select(0, font, 0, program)
    # Of events at the same time note-offs come first, then bends, then note-ons.
    events = [(note.end, 0, partial(player.noteoff, 0, note.pitch)) for note in notes]
    events += [(b.time, 1, partial(player.pitchbend, 0, 8192 + _wheel(b))) for b in bends]
    events += [(n.start, 2, partial(player.noteon, 0, n.pitch, n.velocity)) for n in notes]
    parts, now = [], 0
    for time, _, play in sorted(events, key=lambda event: event[:2]):
        at = min(round(time * SAMPLE_RATE), samples)
        parts.append(_generate(player, at - now))
        now = at
        play()
    parts.append(_generate(player, samples - now))
    player.sounds_off(0)
    player.pitchbend(0, 8192)
    _generate(player, SAMPLE_RATE)  # nothing of this melody may sound in the next
    return np.concatenate(parts)


def _generate(player: Any, samples: int) -> np.ndarray:
    return np.frombuffer(bytes(player.generate(samples)), np.float32).reshape(-1, 2)


@cache
def _player(soundfont: str) -> tuple[Any, int]:
    import tinysoundfont

    player = tinysoundfont.Synth(samplerate=SAMPLE_RATE)
    try:
        return player, player.sfload(soundfont)
    except RuntimeError as error:
        raise RavelError(
            f"{soundfont} cannot be read as a soundfont: give an SF2 or SF3 file."
        ) from error


@cache
def _digest(soundfont: str) -> str:
    with open(soundfont, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_ENGINES = {
    "fluidsynth": lambda: f"FluidSynth {fluidsynth.version()}",
    "tinysoundfont": lambda: f"tinysoundfont {importlib.metadata.version('tinysoundfont')}",
}
