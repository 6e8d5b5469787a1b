import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.data import synth
from core.data.dmelodies import melody
from core.data.synth import INSTRUMENTS, Bend, Note
from core.errors import RavelError

ROOT = Path(__file__).parents[3]
RATE = 16_000
# Its General MIDI sound has a stop an octave below the written one.
PITCHED = [name for name in INSTRUMENTS if name != "Church Organ"]

engines = pytest.mark.parametrize(
    "engine",
    [
        "tinysoundfont",
        pytest.param(
            "fluidsynth",
            marks=pytest.mark.skipif(
                "fluidsynth" not in synth.available(), reason="FluidSynth is not installed"
            ),
        ),
    ],
)


def hertz(pitch):
    return 440 * 2 ** ((pitch - 69) / 12)


def spectrum(wave):
    size = 1 << 17
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), size)) ** 2
    return np.fft.rfftfreq(size, 1 / RATE), power


def cents_off(wave, pitch):
    """The fundamental against the note, where it sounds; by the harmonics, not an estimator."""
    frequencies, power = spectrum(wave)
    f0 = hertz(pitch)
    power[frequencies < 0.4 * f0] = 0  # rumble
    order = np.rint(frequencies / f0).clip(1)
    near = np.abs(frequencies - order * f0) < np.minimum(0.03 * order * f0, 0.25 * f0)
    assert power[near].sum() > 0.95 * power.sum(), "there is sound between the harmonics"
    assert power[near & (order % 2 == 1)].sum() > 2e-3 * power.sum(), "it sounds octaves above"
    lowest = next(k for k in range(1, 9) if power[near & (order == k)].max() > 1e-3 * power.max())
    peak = frequencies[np.argmax(np.where(near & (order == lowest), power, 0))]
    return 1200 * np.log2(peak / lowest / f0)


@engines
@pytest.mark.parametrize("name", PITCHED)
def test_every_instrument_plays_the_notes_that_are_written(engine, name):
    player, found = synth.find(engine), INSTRUMENTS[name]
    for pitch in (found.low + (found.high - found.low) * part // 4 for part in (1, 2, 3)):
        wave = player.render([Note(pitch, 0, 1.5)], found.program, seconds=1.5)
        assert abs(cents_off(wave[RATE // 4 :], pitch)) < 30


@engines
def test_a_bend_bends_this_melody_and_not_the_next(engine):
    player, notes = synth.find(engine), [Note(69, 0, 1.0)]
    plain = player.render(notes, 73, seconds=1)
    bent = player.render(notes, 73, seconds=1, bends=[Bend(0, 0.25)])
    rise = cents_off(bent[RATE // 4 :], 69) - cents_off(plain[RATE // 4 :], 69)
    assert abs(rise - 25) < 3
    np.testing.assert_array_equal(player.render(notes, 73, seconds=1), plain)


@engines
def test_what_was_rendered_before_does_not_change_the_sound(engine):
    player = synth.find(engine)
    first, second = melody(0).notes(), melody(5000).notes()
    alone = player.render(second, 56)
    player.render(first, 40)
    np.testing.assert_array_equal(player.render(second, 56), alone)
    assert alone.shape == (64_000,) and alone.dtype == np.float32


@pytest.mark.skipif(not shutil.which("fluidsynth"), reason="FluidSynth's command is not installed")
@pytest.mark.skipif("fluidsynth" not in synth.available(), reason="FluidSynth is not installed")
def test_fluidsynth_gives_the_samples_of_its_command_line(tmp_path):
    font = synth.find("fluidsynth").soundfont
    for program in (40, 56):
        midi, wav = tmp_path / f"{program}.mid", tmp_path / f"{program}.wav"
        midi.write_bytes(synth.midi_bytes(melody(10_000).notes(), program))
        command = ["fluidsynth", "-ni", font, midi, "-F", wav, "-r", "16000"]
        subprocess.run(command, check=True, capture_output=True)
    # In a new process, as a build's workers are: see core/data/fluidsynth.py.
    code = (
        "import sys; from pathlib import Path; from core.data import fluidsynth\n"
        "import numpy as np\n"
        "for path in map(Path, sys.argv[2:]):\n"
        "    pcm = fluidsynth.render(path.read_bytes(), 64000, sys.argv[1], 16000)\n"
        "    np.save(path.with_suffix('.npy'), pcm)"
    )
    files = sorted(tmp_path.glob("*.mid"))
    subprocess.run([sys.executable, "-c", code, font, *files], check=True, cwd=ROOT)
    for path in files:
        truth, _ = soundfile.read(path.with_suffix(".wav"), dtype="int16")
        np.testing.assert_array_equal(np.load(path.with_suffix(".npy")), truth[:64_000])


def test_names_are_found_in_any_case_and_unknown_ones_answered_with_the_list():
    assert synth.proper_name(" tenor SAXOPHONE") == "Tenor Saxophone"
    with pytest.raises(RavelError, match="There is no instrument 'Theremin': choose from Piano"):
        synth.instrument("Theremin")


@engines
def test_what_is_no_soundfont_is_refused(engine, tmp_path):
    (tmp_path / "bad.sf2").write_bytes(b"RIFF, but no soundfont")
    with pytest.raises(RavelError, match="cannot be read as a soundfont"):
        synth.find(engine, tmp_path / "bad.sf2").render([Note(60, 0, 1)], 40)


def test_without_fluidsynth_the_wheel_plays_and_says_so(monkeypatch):
    monkeypatch.setattr(synth.fluidsynth, "LIBRARY", None)
    assert synth.find().description.startswith("tinysoundfont")
    with pytest.raises(RavelError, match="fluidsynth is not installed"):
        synth.find("fluidsynth")
