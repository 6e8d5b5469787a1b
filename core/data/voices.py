"""Voices: what plays in a corpus of players, drawn evenly over instruments and musicians."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import soundfile

from core.audio.decode import MIN_SECONDS
from core.data import folder, synth
from core.data.recording import Recording
from core.data.sampler import pitch_of
from core.errors import RavelError

VOICE = 0  # what random numbers are drawn for
MOST_FORMANT_SHIFT = 5.0  # semitones, of half of the rendered voices
# Melodic General MIDI programs besides `synth.INSTRUMENTS`: more timbres than an orchestra has.
PROGRAMS = {
    "Electric Piano": 4, "Harpsichord": 6, "Celesta": 8, "Music Box": 10, "Vibraphone": 11,
    "Marimba": 12, "Xylophone": 13, "Drawbar Organ": 16, "Reed Organ": 20, "Accordion": 21,
    "Harmonica": 22, "Steel Guitar": 25, "Jazz Guitar": 26, "Clean Guitar": 27, "Harp": 46,
    "Strings": 48, "Synth Strings": 50, "Choir Aahs": 52, "Voice Oohs": 53, "Muted Trumpet": 59,
    "Brass Section": 61, "Pan Flute": 75, "Bottle": 76, "Shakuhachi": 77, "Whistle": 78,
    "Ocarina": 79, "Square Lead": 80, "Saw Lead": 81, "Sitar": 104, "Banjo": 105, "Koto": 107,
    "Kalimba": 108, "Bagpipe": 109, "Fiddle": 110, "Shanai": 111,
}  # fmt: skip


class Voice(NamedTuple):
    """What plays. Of `rendered` voices `instrument`, `soundfont` and `shift`, the semitones that
    formants are moved by; of `sampled` and `recorded` ones the files of one musician."""

    name: str
    source: str
    instrument: str
    soundfont: str = ""
    shift: float = 0.0
    files: tuple[Recording, ...] = ()


def files_of(folders: Sequence[str | os.PathLike], leave_out: Sequence[str]) -> list[Recording]:
    """The recordings of some folders. Raises RavelError for a collection that is not there."""
    found = [item for path in folders for item in folder.listing(path)]
    if found:
        check_collections(found, leave_out)
    return [item for item in found if item.labels.get("set") not in leave_out]


def check_collections(files: Sequence[Recording], names: Sequence[str]) -> None:
    """Raises RavelError naming the collections there are if one of `names` is not among them."""
    present = {file.labels.get("set", "") for file in files} - {""}
    for name in names:
        if name not in present:
            raise RavelError(
                f"No recording is of the collection {name!r}: there are "
                f"{', '.join(sorted(present)) or 'none'}."
            )


def rendered(count: int, soundfonts: Sequence[str], seed: int) -> list[Voice]:
    """So many voices, the instruments dealt evenly."""
    names = [*synth.INSTRUMENTS, *PROGRAMS]
    voices = []
    for number in range(count):
        rng = np.random.default_rng([seed, number, VOICE])
        name, font = names[number % len(names)], soundfonts[int(rng.integers(len(soundfonts)))]
        shift = float(rng.uniform(-MOST_FORMANT_SHIFT, MOST_FORMANT_SHIFT)) * (rng.random() < 0.5)
        voices.append(Voice(f"rendered-{number}", "rendered", name, font, round(shift, 2)))
    return voices


def _by_musician(files: Sequence[Recording]) -> dict[str, list[Recording]]:
    """Files by `player`, else by instrument, else each by itself."""
    found = defaultdict(list)
    for item in files:
        labels = item.labels
        found[labels.get("player") or labels.get("instrument") or item.name].append(item)
    return dict(sorted(found.items()))


def sampled(files: Sequence[Recording], count: int) -> list[Voice]:
    """So many voices, the musicians dealt evenly. Raises RavelError where no file has a pitch."""
    if not files or not count:
        return []
    notes = [item for item in files if item.labels.get("kind", "note") == "note"]
    pitched = [item for item in notes if pitch_of(item) is not None]
    musicians = _by_musician([item for item in pitched if not _is_click(item)])
    if not musicians:
        raise RavelError(
            "No recording names its pitch: a column midi_pitch or f0_midi_est is needed."
        )
    return _dealt("sampled", musicians, count)


def _is_click(item: Recording) -> bool:
    """Whether a note is shorter than what can be read: libraries have muted strings and the like.

    A file without a header that can be read is none: reading it later says what is wrong with it.
    """
    try:
        return soundfile.info(item.path).duration < MIN_SECONDS
    except soundfile.LibsndfileError:
        return False


def recorded(files: Sequence[Recording], count: int) -> list[Voice]:
    """So many voices of recordings that are longer than notes, the musicians dealt evenly."""
    whole = [item for item in files if item.labels.get("kind", "phrase") == "phrase"]
    return _dealt("recorded", _by_musician(whole), count)


def _dealt(source: str, musicians: Mapping[str, Sequence[Recording]], count: int) -> list[Voice]:
    names = list(musicians)
    files = [musicians[names[number % len(names)]] for number in range(count if names else 0)]
    return [_voice(source, number, items) for number, items in enumerate(files)]


def _voice(source: str, number: int, files: Sequence[Recording]) -> Voice:
    instrument = files[0].labels.get("instrument", "").strip().title()
    return Voice(f"{source}-{number}", source, instrument, files=tuple(files))


def musician(voice: Voice) -> str:
    """Who plays: what is held out together."""
    if not voice.files:
        return voice.name
    return voice.files[0].labels.get("player") or voice.files[0].name


def playing_range(instrument: str) -> tuple[int, int]:
    if instrument in PROGRAMS:
        return 48, 84
    found = synth.instrument(instrument)
    return found.low, found.high


def program(instrument: str) -> int:
    if instrument in PROGRAMS:
        return PROGRAMS[instrument]
    return synth.instrument(instrument).program
