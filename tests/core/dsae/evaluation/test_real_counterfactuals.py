import numpy as np
import pytest

from core.audio import trackers
from core.data.synth import Note
from core.dsae.evaluation import real_counterfactuals
from core.dsae.evaluation.player_clips import midi_of, read_clips
from core.errors import RavelError
from tests.core.dsae.evaluation import tones

CREPE = trackers.find("crepe")
MELODY, BELOW = [72, 74, 76, 77], [45, 46, 47, 48]


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    rows = [
        (name, [pitch], {"kind": "note", "midi_pitch": str(pitch), "articulation": how, "set": "s"})
        for name, pitches in (("flute", range(60, 85, 3)), ("oboe", range(66, 81, 3)))
        for pitch in pitches
        for how in ("normal",)
    ]
    rows.append(("oboe", [90], {"kind": "note", "midi_pitch": "90", "articulation": "pizz-normal"}))
    return tones.folder(tmp_path_factory.mktemp("notes") / "notes", rows)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    path = tones.folder(
        tmp_path_factory.mktemp("duo") / "duo",
        [("flute", MELODY, {}), ("oboe", MELODY[::-1], {}), ("flute", BELOW, {})],
    )
    return read_clips(path, CREPE)


def test_the_notes_of_a_pitch_track():
    midi = np.array([np.nan] * 3 + [60.2] * 10 + [61.9] * 2 + [62.1] * 5 + [70.0] * 2)
    assert real_counterfactuals.notes_of(midi) == [
        Note(60, 3 * 0.016, 13 * 0.016, 100),
        Note(62, 13 * 0.016, 20 * 0.016, 100),  # the last two frames are too short for a note
    ]


def test_another_instruments_notes_play_the_melody_in_time(notes, clips):
    players, files = real_counterfactuals.samplers([notes], ["flute", "oboe"], ["s"])
    assert len(files) == 9 + 5
    found = real_counterfactuals.play(clips, players)
    # The low melody is beyond the oboe, whose plucked note does not count.
    assert (clips.register[found.source] > 70).all()
    assert sorted(found.instrument.tolist()) == ["flute", "oboe"]
    for mel, source, name in zip(*found, strict=True):
        assert name != clips.instrument[source] and mel.shape == (251, 80)
    (row,) = np.flatnonzero(found.instrument == "oboe")
    of_clip = clips.midi[found.source[row]]
    notes_played = real_counterfactuals.notes_of(of_clip)
    wave = players["oboe"].play(notes_played, 4.0, np.random.default_rng(0))
    heard = midi_of(CREPE(wave[None]))[0][: len(of_clip)]
    both = np.isfinite(heard) & np.isfinite(of_clip)
    assert (np.abs(heard - of_clip)[both] < 0.5).mean() > 0.85


def test_folders_without_such_notes_are_refused(notes, clips):
    with pytest.raises(RavelError, match="no note of 'tuba'"):
        real_counterfactuals.samplers([notes], ["tuba"])
    low = clips.take(np.flatnonzero(clips.register < 50))
    players, _ = real_counterfactuals.samplers([notes], ["flute", "oboe"])
    with pytest.raises(RavelError, match="ranges do not overlap"):
        real_counterfactuals.play(low, players)
