"""FluidSynth's library through ctypes: what its command line renders, sample by sample.

Its command line reads the whole soundfont for every melody, a second each. Here one soundfont
serves many synthesisers, each of them new, so that every melody starts from the same state.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from ctypes import c_char_p, c_double, c_int, c_size_t, c_void_p
from functools import cache
from typing import Any

import numpy as np

from core.errors import RavelError

BLOCK = 64  # samples; the command line's own block, on which it starts notes
_WRITE = [c_void_p, c_int, c_void_p, c_int, c_int, c_void_p, c_int, c_int]
_SIGNATURES: dict[str, tuple[type | None, list[Any]]] = {
    "new_fluid_settings": (c_void_p, []),
    "fluid_settings_setnum": (c_int, [c_void_p, c_char_p, c_double]),
    "fluid_settings_setint": (c_int, [c_void_p, c_char_p, c_int]),
    "fluid_settings_setstr": (c_int, [c_void_p, c_char_p, c_char_p]),
    "fluid_set_log_function": (c_void_p, [c_int, c_void_p, c_void_p]),
    "fluid_version_str": (c_char_p, []),
    "new_fluid_synth": (c_void_p, [c_void_p]),
    "delete_fluid_synth": (None, [c_void_p]),
    "fluid_synth_sfload": (c_int, [c_void_p, c_char_p, c_int]),
    "fluid_synth_get_sfont_by_id": (c_void_p, [c_void_p, c_int]),
    "fluid_synth_add_sfont": (c_int, [c_void_p, c_void_p]),
    "fluid_synth_remove_sfont": (c_int, [c_void_p, c_void_p]),
    "fluid_synth_pin_preset": (c_int, [c_void_p, c_int, c_int, c_int]),
    "fluid_synth_write_float": (c_int, _WRITE),
    "new_fluid_player": (c_void_p, [c_void_p]),
    "delete_fluid_player": (None, [c_void_p]),
    "fluid_player_add_mem": (c_int, [c_void_p, c_char_p, c_size_t]),
    "fluid_player_play": (c_int, [c_void_p]),
}


def _load() -> ctypes.CDLL | None:
    """The library, version 2.2 or later, with its signatures; None where there is none."""
    try:
        library = ctypes.CDLL(ctypes.util.find_library("fluidsynth") or "libfluidsynth.so.3")
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
        return None
    for level in range(4):  # its remarks about presets that are not used
        library.fluid_set_log_function(level, None, None)
    return library


# Loaded with the module: a process that imported soundfile before would make FluidSynth decode the
# soundfont's Ogg Vorbis by soundfile's own libsndfile, which rounds a few samples differently.
LIBRARY = _load()


def version() -> str:
    return LIBRARY.fluid_version_str().decode() if LIBRARY else ""


def _library() -> ctypes.CDLL:
    assert LIBRARY, "callers look whether there is one"
    return LIBRARY


def render(
    midi: bytes, samples: int, soundfont: str, rate: int, *, program: int = 0, effects: bool = True
) -> np.ndarray:
    """A MIDI file's first `samples` samples as int16 [S, 2], with all settings at their defaults.

    `program` is only kept loaded for the next call. Without `effects` there is neither reverb nor
    chorus. RavelError for an unreadable soundfont.
    """
    _pin(soundfont, rate, effects, program)
    library, (settings, _, font, _) = _library(), _holder(soundfont, rate, effects)
    synth = library.new_fluid_synth(settings)
    library.fluid_synth_add_sfont(synth, font)
    player = library.new_fluid_player(synth)
    library.fluid_player_add_mem(player, midi, len(midi))
    library.fluid_player_play(player)
    sound = np.zeros((-(-samples // BLOCK) * BLOCK, 2), dtype=np.float32)
    left = sound.ctypes.data
    for address in range(left, left + sound.nbytes, BLOCK * sound.strides[0]):
        library.fluid_synth_write_float(synth, BLOCK, address, 0, 2, address, 1, 2)
    library.delete_fluid_player(player)
    library.fluid_synth_remove_sfont(synth, font)  # or it would be freed with the synthesiser
    library.delete_fluid_synth(synth)
    return _to_16_bit(sound[:samples])


def _to_16_bit(sound: np.ndarray) -> np.ndarray:
    # As libsndfile writes float to a 16-bit file: to 32 bits, then the upper half (a floor).
    whole = np.rint(sound.astype(np.float64) * 2**31).clip(-(2**31), 2**31 - 1)
    return (whole.astype(np.int64) >> 16).astype(np.int16)


@cache
def _holder(soundfont: str, rate: int, effects: bool) -> tuple[int, int, int, int]:
    """Settings, a synthesiser, the soundfont it holds and its number, for the process's life."""
    library = _library()
    settings = library.new_fluid_settings()
    library.fluid_settings_setnum(settings, b"synth.sample-rate", float(rate))
    library.fluid_settings_setint(settings, b"synth.dynamic-sample-loading", 1)
    library.fluid_settings_setint(settings, b"synth.lock-memory", 0)
    for effect in (b"synth.reverb.active", b"synth.chorus.active"):
        library.fluid_settings_setint(settings, effect, int(effects))
    library.fluid_settings_setstr(settings, b"player.timing-source", b"sample")
    synth = library.new_fluid_synth(settings)
    number = library.fluid_synth_sfload(synth, soundfont.encode(), 1)
    if number < 0:
        raise RavelError(f"{soundfont} cannot be read as a soundfont: give an SF2 or SF3 file.")
    for bank in (0, 128):  # what every new synthesiser selects at first
        library.fluid_synth_pin_preset(synth, number, bank, 0)
    return settings, synth, library.fluid_synth_get_sfont_by_id(synth, number), number


@cache
def _pin(soundfont: str, rate: int, effects: bool, program: int) -> None:
    """Keeps a program's samples decoded between calls."""
    _, synth, _, number = _holder(soundfont, rate, effects)
    _library().fluid_synth_pin_preset(synth, number, 0, program)
