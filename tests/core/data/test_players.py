"""The corpus of players: voices in rooms, over their whole range, held out whole."""

import csv
import itertools
import shutil
from collections import Counter

import numpy as np
import pytest
import soundfile

from core.audio.clip import SAMPLE_RATE
from core.data import augment, players, voices
from core.data.recording import Recording
from core.data.sampler import RecordedNote, Sampler, pitch_of
from core.data.synth import Bend, Note
from core.errors import RavelError


def tone(midi: float, seconds: float = 1.0, partials: int = 6) -> np.ndarray:
    """A harmonic tone that decays a little, peak 1."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    f0 = 440 * 2 ** ((midi - 69) / 12)
    wave = sum(np.sin(2 * np.pi * n * f0 * time) / n for n in range(1, partials + 1))
    wave = wave * np.exp(-0.5 * time)
    return wave / np.abs(wave).max()


def pitch_at(wave: np.ndarray) -> float:
    """The MIDI pitch of a steady tone, by the peak of its autocorrelation."""
    spectrum = np.abs(np.fft.rfft(wave, 2 * len(wave))) ** 2
    similar = np.fft.irfft(spectrum)[: SAMPLE_RATE // 40]
    lags = np.arange(SAMPLE_RATE // 2000, len(similar))
    first = lags[similar[lags] > 0.9 * similar[lags].max()][0]  # multiples of a period are as alike
    lag = first + similar[first : first + first // 10 + 2].argmax()
    return 69 + 12 * np.log2(SAMPLE_RATE / lag / 440)


def vowel(f0: float, formant: float) -> np.ndarray:
    """An impulse train through one broad resonance, 18 dB above what is around it."""
    size = 2 * SAMPLE_RATE
    hertz = np.arange(f0, 7500, f0)
    time = np.arange(size) / SAMPLE_RATE
    level = 0.15 + np.exp(-0.5 * (np.log2(hertz / formant) / 0.5) ** 2)
    return (level[:, None] * np.cos(2 * np.pi * hertz[:, None] * time)).sum(0)


def centre(wave: np.ndarray) -> float:
    """The power-weighted mean frequency in Hz, by octaves."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE).clip(20)
    return 2 ** np.average(np.log2(hertz), weights=power)


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """A folder of single notes by two musicians of two collections, and two phrases of each."""
    folder = tmp_path_factory.mktemp("notes")
    rows = []
    for collection, partials in (("museum", 3), ("studio", 9)):
        for midi in (48, 55, 62, 69):
            rows.append((collection, "note", midi, tone(midi, 1.2, partials)))
        for midi in (50, 66):
            phrase = np.concatenate([tone(midi + step, 1.6, partials) for step in (0, 4, 7, 12)])
            rows.append((collection, "phrase", "", phrase))
    with open(folder / "metadata.csv", "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["file", "set", "kind", "instrument", "player", "midi_pitch"])
        for number, (collection, kind, midi, wave) in enumerate(rows):
            soundfile.write(folder / f"{number}.wav", wave, SAMPLE_RATE)
            label = "horn" if collection == "museum" else "reed"
            out.writerow([f"{number}.wav", collection, kind, label, f"{collection}/{label}", midi])
    return folder


@pytest.fixture(scope="module")
def store(notes, tmp_path_factory):
    out = tmp_path_factory.mktemp("players") / "store"
    return players.build(
        out, count=8, sampled=4, recorded=4, notes=[notes], recordings=[notes], phrases_each=3,
        synthesiser="tinysoundfont", validation=0.25, audio=True, workers=1, progress=False,
    )  # fmt: skip


def test_every_player_has_its_clips_and_every_voice_its_rooms(store):
    labels = store.labels
    counts = dict(zip(*np.unique(labels["player"], return_counts=True), strict=True))
    assert len(counts) == 16 and set(counts.values()) == {3}
    for voice in set(labels["voice"]):
        of_voice = labels["voice"] == voice
        assert len(set(labels["player"][of_voice])) == 2
        assert len(set(labels["instrument"][of_voice])) == 1
    assert set(labels["source"]) == {"rendered", "sampled", "recorded"}
    assert set(labels["split"]) == {"train", "validation"}


def test_a_musician_is_held_out_with_all_voices_and_rooms(store):
    labels = store.labels
    for key in ("voice", "player"):
        for name in set(labels[key]):
            assert len(set(labels["split"][labels[key] == name])) == 1
    for name in ("Horn", "Reed"):
        assert len(set(labels["split"][labels["instrument"] == name])) == 1


def test_a_player_s_clips_go_from_low_to_high(store):
    labels = store.labels
    for name in set(labels["player"][labels["source"] == "rendered"]):
        registers = labels["register"][labels["player"] == name].astype(float)
        assert np.all(np.diff(registers) > -3) and registers[-1] - registers[0] > 15
    assert set(labels["register"][labels["source"] == "recorded"]) == {""}


def test_clips_of_one_room_share_its_response_and_other_rooms_do_not(store):
    """The long-term spectrum of a room, the voice's own taken off, is nearer within than across."""
    labels = store.labels
    mean = store.log_mel[:].astype(np.float32).mean(axis=1)
    within, across = [], []
    for voice in set(labels["voice"][labels["source"] == "rendered"]):
        of_voice = np.flatnonzero(labels["voice"] == voice)
        rooms = [of_voice[labels["player"][of_voice] == p] for p in set(labels["player"][of_voice])]
        for one, other in zip(*rooms, strict=True):  # the same phrase number in both rooms
            across.append(np.abs(mean[one] - mean[other]).mean())
        for room in rooms:
            pairs = itertools.pairwise(room)
            within += [np.abs(mean[one] - mean[other]).mean() for one, other in pairs]
    assert np.median(within) < np.median(across)


def test_a_shared_phrase_is_the_same_notes_at_the_same_times(notes, tmp_path):
    store = players.build(
        tmp_path / "store", count=8, sampled=4, recorded=2, notes=[notes], recordings=[notes],
        phrases_each=2, shared=3, rooms=1, synthesiser="tinysoundfont", validation=0.0, audio=True,
        workers=1, progress=False,
    )  # fmt: skip
    labels = store.labels
    phrases = players.of_phrases(labels)
    shared = [np.flatnonzero(phrases == n) for n in range(phrases.max() + 1)]
    shared = [rows for rows in shared if len(rows) > 1]
    assert len(shared) >= 4 and "sampled" in labels["source"][np.concatenate(shared)]
    for rows in shared:
        assert len(set(labels["player"][rows])) == len(rows)
        assert len(set(labels["register"][rows])) == 1
        first = rows[list(labels["name"][rows]).index(labels["phrase"][rows[0]])]
        assert labels["source"][first] == "rendered"
    assert all(counts == 1 for counts in Counter(phrases[labels["source"] == "recorded"]).values())
    # Bands that light up together: a rendition is nearer to its phrase than to what else is played.
    onsets = np.diff(store.log_mel[:].astype(np.float32), axis=1).clip(0, 2).reshape(len(store), -1)
    onsets -= onsets.mean(1, keepdims=True)
    onsets /= np.linalg.norm(onsets, axis=1, keepdims=True)
    alike = onsets @ onsets.T
    same = np.mean([alike[a, b] for rows in shared for a, b in itertools.combinations(rows, 2)])
    other = alike[phrases[:, None] != phrases].mean()
    assert same > other + 0.1


def test_without_shared_phrases_the_clips_are_those_of_before(store, notes, tmp_path):
    more = players.build(
        tmp_path / "more", count=8, sampled=4, recorded=4, notes=[notes], recordings=[notes],
        phrases_each=3, shared=1, synthesiser="tinysoundfont", validation=0.25, audio=True,
        workers=1, progress=False,
    )  # fmt: skip
    rows = {name: row for row, name in enumerate(more.labels["name"])}
    same = [rows[name] for name in store.labels["name"]]
    assert np.array_equal(more.audio[same], store.audio[:]) and len(more) > len(store)


def test_the_same_bytes_come_from_more_workers(store, notes, tmp_path):
    again = players.build(
        tmp_path / "again", count=8, sampled=4, recorded=4, notes=[notes], recordings=[notes],
        phrases_each=3, synthesiser="tinysoundfont", validation=0.25, audio=True, workers=2,
        progress=False,
    )  # fmt: skip
    assert np.array_equal(again.log_mel[:], store.log_mel[:])
    assert list(again.labels["name"]) == list(store.labels["name"])


def test_a_collection_that_is_left_out_is_in_no_clip(notes, tmp_path):
    store = players.build(
        tmp_path / "store", count=0, sampled=2, recorded=2, notes=[notes], recordings=[notes],
        leave_out=["museum"], phrases_each=2, workers=1, progress=False,
    )  # fmt: skip
    assert set(store.labels["instrument"]) == {"Reed"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "no players"),
        ({"phrases_each": 1}, "two or more"),
        ({"rooms": 0}, "one or more"),
        ({"beyond": 40}, "choose 0 to 24"),
        ({"shared": -1}, "no players"),
        ({"validation": 1.0}, "below 1"),
        ({"recordings": True, "leave_out": ["attic"]}, "there are museum, studio"),
    ],
)
def test_an_impossible_choice_is_explained_before_anything_is_written(
    notes, tmp_path, options, message
):
    if options.pop("recordings", False):
        options["recordings"] = [notes]
    with pytest.raises(RavelError, match=message):
        players.build(tmp_path / "store", **{"count": 2, **options}, progress=False)
    assert not (tmp_path / "store").exists()


def test_notes_without_a_pitch_are_explained(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(60), SAMPLE_RATE)
    with pytest.raises(RavelError, match="midi_pitch or f0_midi_est"):
        players.build(tmp_path / "store", count=0, notes=[tmp_path], progress=False)


@pytest.mark.parametrize("semitones", [-9, 4, 8])
def test_formants_stay_where_they_are_and_the_pitch_moves(semitones):
    wave = vowel(110.0, 900.0)
    plain = augment.transposed(wave, semitones)
    kept = augment.transposed(wave, semitones, keep_formants=True)
    assert pitch_at(kept) == pytest.approx(45 + semitones, abs=0.3)
    moved, stayed = (abs(12 * np.log2(centre(x) / centre(wave))) for x in (plain, kept))
    assert moved > 0.7 * abs(semitones) and stayed < 0.36 * moved


@pytest.mark.parametrize("midi", [58, 62, 65])
def test_a_sampler_plays_the_note_that_is_written(midi):
    sampler = Sampler([RecordedNote(60.0, tone(60)), RecordedNote(67.2, tone(67.2))])
    wave = sampler.play([Note(midi, 0.1, 0.8, 100)], 1.0, np.random.default_rng(0))
    assert pitch_at(wave[3200:12_000]) == pytest.approx(midi, abs=0.3)
    assert np.abs(wave[: SAMPLE_RATE // 20]).max() < 0.01  # nothing before the note
    assert np.abs(wave[round(0.95 * SAMPLE_RATE) :]).max() < 0.01  # nor after its release


def test_a_sampler_bends_the_pitch_and_keeps_the_time():
    sampler = Sampler([RecordedNote(60.0, tone(60, 4.0))])
    bends = [Bend(0.0, 0.5), Bend(1.0, -1.0), Bend(1.5, 1.0)]
    notes = [Note(60, 0.2, 0.9, 100), Note(60, 1.05, 1.45, 100), Note(62, 2.0, 2.6, 100)]
    wave = sampler.play(notes, 3.0, np.random.default_rng(0), bends)
    assert len(wave) == 3 * SAMPLE_RATE
    for start, midi in ((0.3, 60.5), (1.1, 59.0), (2.1, 63.0)):
        part = wave[round(start * SAMPLE_RATE) : round((start + 0.3) * SAMPLE_RATE)]
        assert pitch_at(part) == pytest.approx(midi, abs=0.2)
    for silent in ((0.0, 0.19), (1.6, 1.97), (2.75, 3.0)):
        a, b = (round(time * SAMPLE_RATE) for time in silent)
        assert np.abs(wave[a:b]).max() < 0.01


def test_a_note_out_of_reach_is_played_in_another_octave():
    sampler = Sampler([RecordedNote(60.0, tone(60))])
    assert sampler.playable(60) == 60 and sampler.playable(81) == 57
    assert sampler.playable(30) == 54


@pytest.mark.parametrize(
    ("named", "estimated", "pitch"),
    [
        ("60", "60.2", 60.2),
        ("60", "", 60.0),
        ("", "59.8", 59.8),
        ("60", "72.1", None),
        ("", "", None),
        ("low", "", None),
    ],
)
def test_a_pitch_counts_where_name_and_sound_agree(tmp_path, named, estimated, pitch):
    labels = {"midi_pitch": named, "f0_midi_est": estimated}
    assert pitch_of(Recording(tmp_path / "a.wav", "a.wav", labels)) == pitch


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [
        ({"name": ["a", "b", "c"], "player": ["x", "y", "x"]}, [0, 1, 0]),
        (
            {"name": ["a", "b"], "melody": ["1", "1"], "instrument": ["Violin", "Trumpet"]},
            [1, 0],
        ),
        ({"name": ["long-0", "long-1", "other-0", "alone"]}, [1, 1, 2, 0]),
    ],
)
def test_any_store_says_which_clips_share_a_player(labels, numbers):
    columns = {key: np.array(values) for key, values in labels.items()}
    assert players.of_store(columns).tolist() == numbers


def test_notes_too_short_to_read_are_left_out(notes, tmp_path):
    shutil.copytree(notes, tmp_path / "notes")
    click = tone(76, 0.1)
    soundfile.write(tmp_path / "notes" / "click.wav", click, SAMPLE_RATE)
    table = tmp_path / "notes" / "metadata.csv"
    header, *rows = table.read_text().splitlines()
    row = dict(zip(header.split(","), rows[0].split(","), strict=True))
    row |= {"file": "click.wav", "midi_pitch": "76"}
    row |= {"f0_midi_est": "76"} if "f0_midi_est" in row else {}
    table.write_text("\n".join([header, *rows, ",".join(row[name] for name in header.split(","))]))
    found = voices.sampled(voices.files_of([tmp_path / "notes"], ()), 4)
    assert found and "click.wav" not in {file.name for voice in found for file in voice.files}
