import numpy as np
import pytest

from core.audio import trackers
from core.dsae.evaluation.player_clips import read_clips
from core.errors import RavelError
from tests.core.dsae.evaluation import tones

HIGH, LOW = [72, 74, 76, 77], [60, 62, 64, 65]
CREPE = trackers.find("crepe")


@pytest.fixture(scope="module")
def players(tmp_path_factory):
    path = tones.folder(
        tmp_path_factory.mktemp("players") / "duo",
        [("flute", HIGH, {"f0_file": "high.txt"}), ("oboe", LOW, {})],
    )
    (path / "high.txt").write_text(tones.truth(HIGH))
    return path


def test_clips_have_their_true_pitch_where_a_file_names_it_and_the_trackers_elsewhere(players):
    clips = read_clips(players, CREPE)
    assert clips.name == "duo" and clips.instruments == ["flute", "oboe"]
    assert clips.log_mel.shape == (2, 251, 80) and clips.waves.shape == (2, 64_000)
    assert clips.midi[0, [20, 90, 150, 230]].tolist() == HIGH
    assert clips.midi[1, [30, 90, 150, 210]] == pytest.approx(LOW, abs=0.1)
    assert clips.register == pytest.approx([75, 63], abs=1)


def test_the_reference_is_the_tracker_s_own_pitch(players):
    """Its first number is of 23 ms: shifted by more, notes would change at other frames."""
    clips = read_clips(players, CREPE)
    track = CREPE(clips.waves[:1])
    both = np.isfinite(clips.midi[0])
    heard = 69 + 12 * np.log2(track.f0[0] / 440)
    assert (np.abs(heard - clips.midi[0]) < 0.5)[both].mean() > 0.97


def test_a_long_recording_gives_several_clips_of_one_recording(tmp_path):
    path = tones.folder(tmp_path / "long", [("flute", HIGH, {}), ("oboe", LOW, {})])
    wave = np.tile(tones.melody("flute", HIGH), 2)
    tones.write_wav(path / "flute-0.wav", wave)
    clips = read_clips(path, CREPE)
    assert clips.recording.tolist() == ["flute-0.wav"] * 2 + ["oboe-1.wav"]
    assert clips.instrument[clips.fewer(1)].tolist() == ["flute", "oboe"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("flute", HIGH, {})], "fewer than two instruments"),
        ([("flute", HIGH, {"f0_file": "no.txt"}), ("oboe", LOW, {})], "every 10 ms"),
        ([("flute", HIGH, {"f0_file": "hz.txt"}), ("oboe", LOW, {})], "numbers up to 440"),
    ],
)
def test_what_cannot_be_swapped_is_refused(tmp_path, rows, message):
    path = tones.folder(tmp_path / "bad", rows)
    (path / "hz.txt").write_text("440\n440\n")
    with pytest.raises(RavelError, match=message):
        read_clips(path, CREPE)


def test_a_folder_that_does_not_say_who_plays_is_refused(tmp_path, players):
    path = tmp_path / "nameless"
    path.mkdir()
    (path / "one.wav").write_bytes((players / "flute-0.wav").read_bytes())
    with pytest.raises(RavelError, match="column 'instrument'"):
        read_clips(path, CREPE)


def test_an_instrument_that_is_not_there_is_named(players):
    with pytest.raises(RavelError, match="no tuba"):
        read_clips(players, CREPE, ["flute", "tuba"])


def test_noise_is_no_melody(tmp_path):
    path = tones.folder(tmp_path / "noise", [("flute", HIGH, {}), ("oboe", LOW, {})])
    tones.write_wav(path / "oboe-1.wav", np.random.default_rng(0).normal(0, 0.1, 64_000))
    with pytest.raises(RavelError, match="No clip of 'oboe'"):
        read_clips(path, CREPE)
