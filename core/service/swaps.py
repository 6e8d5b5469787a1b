"""How a swap went: the melody that is kept, the instrument that is reached, and what may help.

Pitch is by SwiftF0, some milliseconds for a clip of 4 s; published figures are by CREPE.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import soundfile

from core import service
from core.audio.clip import SAMPLE_RATE, Clip
from core.checkpoints.checkpoint import Checkpoint
from core.data import synth
from core.dsae.instruments import instrument_name, read_instruments
from core.errors import RavelError
from core.service import HEADROOM, PARTS, Pair, keep, with_torch

if TYPE_CHECKING:
    from core.audio.trackers import Track

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.15, 1.3)  # at which both figures are measured
LEAST_FRAMES = 5  # with a pitch, for a register
SPREAD = (10, 90)  # percentiles of the pitch that make a register
OCTAVE = 12.0  # semitones
ENOUGH = 0.8  # of the melody: with less, some notes are wrong
GAIN = 0.1  # of the melody, from which a change is worth it
WEAKER = (0.75, 0.5)  # strengths that may keep more of the melody


class SwapFigures(NamedTuple):
    """The figures of one of PARTS of a swap.

    `kept`: the share of the melody's pitched frames in which the result is within 50 cents;
    `kept_class`: the same where octaves count as equal; NaN without pitch. `moved`: the position
    of the result's v, encoded anew, from the melody's recording (0) to the instrument's (1), or
    NaN where the model does not tell the two apart.
    """

    kept: float
    kept_class: float
    moved: float


class Register(NamedTuple):
    """Where most of a melody lies, or an instrument's range, in MIDI notes."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """Its middle, in MIDI notes."""
        return (self.low + self.high) / 2


@keep(256)
def track(wav: bytes) -> Track:
    """The pitch of a WAV file by SwiftF0, f0 [1, T]."""
    with_torch()
    from core.audio.trackers import find

    return find("swift")(_samples(wav)[None])


def _samples(wav: bytes) -> np.ndarray:
    """The samples [S] of a WAV file that was made here, silent or not."""
    return soundfile.read(io.BytesIO(wav), dtype="float32")[0]


@keep(512)
def figures(pair: Pair, part: str, route: str | None = None) -> SwapFigures:
    """The figures of one of PARTS of a swap, as it sounds. Raises RavelError."""
    wav = service.sound(pair, part, route)
    reference = service.wav(getattr(pair, PARTS[part][0]))
    return SwapFigures(*_kept(track(reference), track(wav)), _moved(pair, part, wav))


def _kept(true: Track, made: Track) -> tuple[float, float]:
    from core.audio.pitch import raw_pitch_accuracy

    frames = min(true.f0.shape[1], made.f0.shape[1])  # a log-mel ends with its last whole hop
    pitches = true.f0[0, :frames], made.f0[0, :frames]
    accuracy = partial(raw_pitch_accuracy, *pitches, voiced=true.voiced[0, :frames])
    return accuracy(), accuracy(chroma=True)


def _moved(pair: Pair, part: str, wav: bytes) -> float:
    own, given = PARTS[part]
    if own == given:
        return float("nan")
    model = service.disentangler(pair.checkpoint)
    from core.dsae.evaluation.swap_grid import moved_sound

    return moved_sound(model, _samples(wav) / HEADROOM, pair.latents(own), pair.latents(given))


# -- registers ---------------------------------------------------------------------------------


def register(clip: Clip) -> Register | None:
    """Where most of a clip's melody lies; None where hardly anything has a pitch."""
    found = track(service.wav(clip))
    if found.voiced.sum() < LEAST_FRAMES:
        return None
    notes = 69 + 12 * np.log2(found.f0[found.voiced] / 440)
    return Register(*(float(edge) for edge in np.percentile(notes, SPREAD)))


def playing_range(instrument: str) -> Register | None:
    """An instrument's usual range; None for one that the synthesiser does not know."""
    try:
        found = synth.instrument(instrument)
    except RavelError:
        return None
    return Register(found.low, found.high)


def octaves_off(melody: Register | None, other: Register | None) -> int:
    """How many octaves bring a melody nearest to another register: 0 if it is within one of it."""
    if melody is None or other is None:
        return 0
    apart = other.middle - melody.middle
    inside = other.low <= melody.low and melody.high <= other.high
    return 0 if inside or abs(apart) < OCTAVE else round(apart / OCTAVE)


@keep(32)
def transposed(clip: Clip, octaves: int) -> Clip:
    """A clip so many octaves higher, as long as before and at the same peak."""
    if not octaves:
        return clip
    import librosa

    wave = librosa.effects.pitch_shift(clip.wave, sr=SAMPLE_RATE, n_steps=12 * octaves)
    peak = float(np.abs(wave).max()) or 1.0
    wave = (wave * float(np.abs(clip.wave).max()) / peak).astype(np.float32)
    return replace(clip, wave=wave)


# -- instruments of a model's list -------------------------------------------------------------


def instruments(checkpoint: Checkpoint) -> list[str]:
    """The names in a checkpoint's table; empty without one. Raises RavelError if damaged."""
    table = read_instruments(checkpoint)
    return list(table.names) if table else []


@keep(64)
def played(checkpoint: Checkpoint, instrument: str, melody: Clip, route: str | None = None) -> Clip:
    """A melody played by an instrument of a checkpoint's table. Raises RavelError."""
    pair = Pair(checkpoint, melody, melody, instrument=instrument)
    wave = service.waveform(service.decoded(pair, "swapped"), route)
    labels: dict[str, Any] = {"instrument": instrument}
    return Clip(wave / float(np.abs(wave).max()), instrument, labels)


# -- what may help -----------------------------------------------------------------------------


class Remedy(NamedTuple):
    """A change of a swap that keeps more of its melody: a kind and what to set, with its figures.

    `strength`: another one; `instrument`: one of the model's list in place of the recording;
    `octave`: the melody moved by so many octaves; `model`: another checkpoint.
    """

    kind: str
    value: float | int | str
    figures: SwapFigures


def remedies(
    pair: Pair, part: str, route: str | None = None, model: Checkpoint | None = None
) -> Iterator[Remedy]:
    """Changes that keep ENOUGH of a melody of which a swap loses some, each as it is measured.

    `model`: a checkpoint to try, too. An octave is tried last, as its first use takes seconds.
    """
    found = figures(pair, part, route)
    if isnan(found.kept) or found.kept >= ENOUGH:
        return
    helped = False
    for kind, value, changed in _candidates(pair, part, model):
        if kind == "octave" and helped:
            return
        with suppress(RavelError):
            after = figures(changed(), part, route)
            if after.kept >= max(ENOUGH, found.kept + GAIN) or (
                kind == "octave" and after.kept >= found.kept + 2 * GAIN
            ):
                helped = True
                yield Remedy(kind, value, after)


Candidate = tuple[str, float | int | str, Callable[[], Pair]]


def _candidates(pair: Pair, part: str, model: Checkpoint | None) -> Iterator[Candidate]:
    giver, taker = (getattr(pair, side) for side in PARTS[part])
    if model and model.digest != pair.checkpoint.digest:
        yield "model", model.name, lambda: pair._replace(checkpoint=model)
    weaker = next((s for s in WEAKER if s < pair.strength), None)
    if weaker is not None:
        yield "strength", weaker, lambda: pair._replace(strength=weaker)
    name = instrument_name(taker.labels.get("instrument", ""))
    if part == "swapped" and not pair.instrument and name in instruments(pair.checkpoint):
        yield "instrument", name, lambda: pair._replace(instrument=name)
    other = playing_range(pair.instrument) if pair.instrument else register(taker)
    if octaves := octaves_off(register(giver), other):
        yield "octave", octaves, lambda: _with_melody(pair, part, transposed(giver, octaves))


def _with_melody(pair: Pair, part: str, clip: Clip) -> Pair:
    """The pair with another clip in place of the one that gives a part's melody."""
    return pair._replace(source=clip) if PARTS[part][0] == "source" else pair._replace(target=clip)
