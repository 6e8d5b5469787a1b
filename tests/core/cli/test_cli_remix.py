"""python -m core remix, instruments, and swaps of whole files, as a person meets them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.cli import main
from core.data.mixtures import of_clips

ROOT = Path(__file__).parents[3]


def run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def duet(examples, tmp_path_factory) -> Path:
    """A stereo file at 44.1 kHz of a flute and a trumpet."""
    import soxr

    from core.audio.clip import read

    clips = [read(examples / f"{name}.flac").segment(0, 2) for name in ("flute-1", "trumpet-2")]
    wave = soxr.resample(of_clips(clips, [0, 0]).sum(0).numpy(), 16_000, 44_100)
    path = tmp_path_factory.mktemp("duet") / "duet.wav"
    soundfile.write(path, np.stack([wave, wave], axis=1), 44_100, subtype="FLOAT")
    return path


def test_a_duet_is_remixed_by_a_process_of_its_own(duet, examples, tmp_path):
    out = tmp_path / "remixed"
    command = (
        f"--channel 1=violin --channel 2=keep --level 2=-3 --melody 1={examples}/violin-1.flac"
    )
    command = f"remix {duet} {command} --route live --out {out}"
    ran = subprocess.run(
        [sys.executable, "-m", "core", *command.split()],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    first, second, share, wrote = ran.stdout.strip().splitlines()
    assert "instrument: violin, melody: violin-1; +0.0 dB" in first
    assert "kept as separated; -3.0 dB" in second
    assert f"wrote {out}" in wrote
    report = json.loads((out / "remix.json").read_text())
    assert share.startswith(f"{report['as_separated']:.0%} of the remix")
    waves = {path.stem: soundfile.read(path) for path in out.glob("*.wav")}
    assert all(rate == 16_000 and wave.ndim == 1 for wave, rate in waves.values())
    total = waves["stem-1"][0] + waves["stem-2"][0]
    assert np.abs(total - waves["remix"][0]).max() < 1e-6
    assert [path.name for path in tmp_path.iterdir()] == ["remixed"]


MISTAKES = [
    (["--channel", "1=kazoo"], "'kazoo'"),
    (["--channel", "3=keep"], "no channel 3: the separator makes 2"),
    (["--channel", "0=keep"], "no channel 0"),
    (["--channel", "violin"], "--channel 1=VALUE"),
    (["--channel", "1=keep", "--channel", "1=oboe"], "twice for channel 1"),
    (["--channel", "1=missing.wav"], "missing.wav does not exist"),
    (["--channel", "1=channel-7"], "no channel 7"),
    (["--channel", "1=TEXT"], "not a sound file"),
    (["--melody", "2=kazoo"], "kazoo does not exist"),
    (["--level", "1=loud"], "--level loud is no level"),
    (["--level", "1=inf"], "no level"),
    (["--separator", "ts-dsae-instruments"], "not for separating"),
    (["--checkpoint", "separator-duets"], "not for swapping"),
    (["--checkpoint", "dsae-dmelodies", "--channel", "1=violin"], "has no instrument table"),
    (["--separator", "nope"], "no checkpoint"),
    (["MIX", "missing.wav"], "missing.wav does not exist"),
    (["MIX", "TEXT"], "not a sound file"),
    (["MIX", "SILENT"], "is silent"),
    (["MIX", "LONG"], "too long"),
    (["OUT", "no/such/folder"], "no/such does not exist"),
    (["OUT", "."], "is there already"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=lambda v: str(v)[:40])
def test_a_mistake_is_one_sentence_status_2_and_nothing_is_written(
    arguments, words, duet, tmp_path, capsys, monkeypatch
):
    places = {"TEXT": tmp_path / "notes.wav", "SILENT": tmp_path / "silent.wav"}
    places |= {"LONG": tmp_path / "long.wav", "OUT": "out", "MIX": duet}
    places["TEXT"].write_text("not a sound")
    soundfile.write(places["SILENT"], np.zeros(16_000), 16_000)
    if "LONG" in arguments:
        soundfile.write(places["LONG"], np.ones(601 * 8_000, np.int16), 8_000)
    if arguments[0] in ("MIX", "OUT"):
        places[arguments[0]], arguments = places.get(arguments[1], arguments[1]), []
    swapped = [a.replace("TEXT", str(places["TEXT"])) for a in arguments]
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert run("remix", places["MIX"], *swapped, "--out", places["OUT"]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said and "\n" not in said
    assert sorted(tmp_path.iterdir()) == before


def test_mistakes_in_the_changes_are_reported_before_torch_is_loaded(duet, tmp_path):
    command = ["remix", str(duet), "--channel", "1=kazoo", "--out", str(tmp_path / "out")]
    code = f"import sys; from core.cli import main; main({command!r})"
    code += "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_checkpoint_gets_the_instruments_of_a_corpus(untrained, melodies, tmp_path, capsys):
    mine = shutil.copytree(untrained, tmp_path / "mine")
    assert run("instruments", mine, "--data", melodies) == 0
    assert "instruments.json: trumpet, violin" in capsys.readouterr().out
    assert set(json.loads((mine / "instruments.json").read_text())["instruments"]) == {
        "trumpet",
        "violin",
    }
    assert run("instruments", mine, "--data", melodies, "--factor", "singer") == 2
    assert "'singer'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["remix", "instruments"])
def test_help_shows_an_example(name, capsys):
    with pytest.raises(SystemExit) as leaving:
        main([name, "--help"])
    assert leaving.value.code == 0
    assert f"example:\n  python -m core {name}" in capsys.readouterr().out


def test_swap_takes_files_whole_or_a_part_of_them(examples, untrained, tmp_path):
    wave = np.resize(soundfile.read(examples / "violin-1.flac")[0], 25 * 16_000)
    soundfile.write(tmp_path / "long.wav", wave, 16_000)
    pair = [tmp_path / "long.wav", examples / "trumpet-1.flac"]
    seconds = {}
    for name, part in {"whole": [], "part": ["--seconds", 1.5, "--start", 20, 0]}.items():
        out = tmp_path / f"{name}.wav"
        given = [*pair, "--checkpoint", untrained, "--route", "live", *part, "--out", out]
        assert run("swap", *given) == 0
        seconds[name] = soundfile.info(out).duration
    assert seconds["whole"] == pytest.approx(25, abs=0.02)
    assert seconds["part"] == pytest.approx(1.5, abs=0.02)
