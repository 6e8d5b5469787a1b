import numpy as np
import pytest

from core.data import phrases

SECONDS = 5.0


@pytest.fixture(scope="module")
def drawn():
    return [phrases.draw(np.random.default_rng(i), 55, 100, SECONDS) for i in range(200)]


def test_phrases_stay_in_range_and_in_time(drawn):
    for phrase in drawn:
        for note in phrase.notes:
            assert 55 <= note.pitch <= 100 and 1 <= note.velocity <= 127
            assert 0 <= note.start < note.end <= SECONDS + 0.02
        assert all(abs(bend.semitones) < 2 for bend in phrase.bends)


def test_phrases_use_the_whole_range_and_every_tempo(drawn):
    pitches = {note.pitch for phrase in drawn for note in phrase.notes}
    assert pitches == set(range(55, 101))
    counts = [len(phrase.notes) for phrase in drawn]
    assert min(counts) < 6 and max(counts) > 18


def test_no_phrase_is_mostly_silence(drawn):
    grid = np.arange(0, SECONDS, 0.01)
    for phrase in drawn:
        sounding = np.zeros(len(grid), bool)
        for note in phrase.notes:
            sounding |= (grid >= note.start) & (grid < note.end)
        assert sounding.mean() > 0.2
    assert any(phrase.bends[-1].semitones != phrase.bends[-2].semitones for phrase in drawn)


def test_a_note_ends_before_its_pitch_is_played_again(drawn):
    for phrase in drawn:
        last = {}
        for note in phrase.notes:
            assert last.get(note.pitch, 0) <= note.start + 1e-9 or note.start < 0.03
            last[note.pitch] = note.end
