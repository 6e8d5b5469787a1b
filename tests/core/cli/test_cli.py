"""The command line as a person meets it: real files, real processes, mistakes in a sentence."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core import registry
from core.cli import main
from core.training.config import flat_fields
from core.training.run import Run
from tests.core.training.together import by_two_processes

ROOT = Path(__file__).parents[3]
TINY = ["--preset", "quick", "--training.batch_size", "4", "--model.hidden", "8"]


def command(*arguments):
    return [sys.executable, "-m", "core", *map(str, arguments)]


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_swap_writes_four_seconds_of_sound(examples, untrained, tmp_path):
    out = tmp_path / "swap.wav"
    violin, trumpet = examples / "dmelodies-violin.flac", examples / "dmelodies-trumpet.flac"
    assert run("swap", violin, trumpet, "--checkpoint", untrained, "--out", out) == 0
    wave, rate = soundfile.read(out)
    assert (rate, len(wave), wave.ndim) == (16_000, 64_000, 1)


def test_a_local_swap_is_the_global_one_with_the_files_exchanged(examples, untrained, tmp_path):
    a, b = examples / "violin-1.flac", examples / "dmelodies-trumpet.flac"
    for what, pair in (("global", (a, b)), ("local", (b, a))):
        out = tmp_path / f"{what}.wav"
        run("swap", *pair, "--what", what, "--checkpoint", untrained, "--out", out)
    assert (tmp_path / "global.wav").read_bytes() == (tmp_path / "local.wav").read_bytes()


def test_encode_writes_the_latents_of_every_file(examples, untrained, tmp_path):
    files = [examples / "violin-1.flac", examples / "trumpet-1.flac"]
    out = tmp_path / "latents.npz"
    assert run("encode", *files, "--checkpoint", untrained, "--out", out) == 0
    with np.load(out) as arrays:
        for file in files:
            assert arrays[f"{file}/v"].shape == (16,)
            assert arrays[f"{file}/z"].shape[1] == 8


def test_sample_writes_as_many_sounds_as_count_says(untrained, tmp_path):
    arguments = ["--count", 2, "--seconds", 1, "--out", tmp_path]
    assert run("sample", "--checkpoint", untrained, *arguments) == 0
    waves = [soundfile.read(tmp_path / f"sample-{seed}.wav")[0] for seed in (0, 1)]
    assert len(waves[0]) == len(waves[1]) == 62 * 256  # whole frames of a second
    assert not np.array_equal(*waves)


def test_a_model_is_trained_exported_and_scored(melodies, tmp_path, capsys):
    folder, checkpoint = tmp_path / "run", tmp_path / "mine"
    small = ["--training.steps", 12, "--objective.stage1_steps", 6, "--training.validate_every", 6]
    assert run("train", "dsae", *TINY, *small, "--data", melodies, "--out", folder) == 0
    assert run("export", folder, checkpoint, "--title", "Mine") == 0
    assert run("evaluate", checkpoint, "--data", melodies) == 0
    scores = json.loads((checkpoint / "metrics.json").read_text())["dmelodies"]
    assert scores["clips"] == 6
    printed, card = capsys.readouterr().out, (checkpoint / "README.md").read_text()
    assert f"{scores['mse']['value']:.3f}" in printed
    assert f"{scores['mse']['value']:.3f}" in card
    assert "--training.steps 12" in card
    assert card.startswith("---\n")
    assert "# Mine" in card


def test_a_separator_is_trained_exported_scored_and_used(
    scenes, examples, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("core.separation.task.HELD_OUT", 4)
    folder, checkpoint, out = tmp_path / "run", tmp_path / "apart", tmp_path / "channels"
    small = ["--training.steps", 4, "--training.validate_every", 2, "--training.snapshots", "0,2"]
    given = ["separation", "--preset", "tiny", *small, "--data", scenes, "--out", folder]
    assert run("train", *given) == 0
    assert run("export", folder, checkpoint, "--title", "Apart", "--half") == 0
    card = (checkpoint / "README.md").read_text()
    assert "`apart@0`, `apart@2`" in card
    assert "python -m core train separation --out runs/apart" in card
    assert "--training.snapshots 0,2" in card
    mixture = examples / "violin-1.flac"
    assert run("separate", mixture, "--checkpoint", f"{checkpoint}@2", "--out", out) == 0
    assert f"wrote {out / 'violin-1-channel-1.wav'}" in capsys.readouterr().out
    channels = [soundfile.read(out / f"violin-1-channel-{i}.wav")[0] for i in (1, 2)]
    assert np.allclose(sum(channels), soundfile.read(mixture)[0], atol=1e-4)


def test_a_run_stopped_by_ctrl_c_resumes_from_the_command_line(melodies, tmp_path):
    folder = tmp_path / "run"
    small = ["--training.steps", 400, "--training.validate_every", 400, "--training.log_every", 1]
    process = subprocess.Popen(
        command("train", "dsae", *TINY, *small, "--data", melodies, "--out", folder), cwd=ROOT
    )
    deadline = time.monotonic() + 90
    while not any(r["step"] > 5 for r in Run(folder).metrics("train")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    stopped = Run.open(folder).state()
    assert stopped["state"] == "stopped"
    assert 5 < stopped["step"] < 400
    assert run("train", "--resume", folder) == 0
    assert Run.open(folder).state()["state"] == "finished"


def test_two_processes_begin_and_one_finishes(melodies, tmp_path):
    """Both stages, and the change between them, under DDP."""
    folder = tmp_path / "run"
    small = ["--training.steps", 16, "--objective.stage1_steps", 8, "--training.validate_every", 8]
    given = ["--data", melodies, "--out", folder, "--training.device", "cpu"]
    by_two_processes("train", "dsae", *TINY, *small, *given)
    state = Run.open(folder).state()
    assert (state["state"], state["step"], state["stage"]) == ("finished", 16, "informed")


MISTAKES = [
    (["swap", "missing.wav", "VIOLIN", "--checkpoint", "MODEL", "--out", "OUT"], "does not exist"),
    (["swap", "VIOLIN", "TEXT", "--checkpoint", "MODEL", "--out", "OUT"], "notes.wav"),
    (["swap", "VIOLIN", "VIOLIN", "--checkpoint", "nope", "--out", "OUT"], "no checkpoint"),
    (["swap", "VIOLIN", "VIOLIN", "--checkpoint", "MODEL", "--out", "no/such/o.wav"], "no/such"),
    (["encode", "TEXT", "--checkpoint", "MODEL", "--out", "OUT"], "notes.wav"),
    (["sample", "--checkpoint", "MODEL", "--count", "0", "--out", "OUT"], "--count"),
    (["sample", "--checkpoint", "MODEL", "--seconds", "9999", "--out", "OUT"], "--seconds"),
    (["train", "--data", "nowhere", "--out", "RUN"], "nowhere"),
    (["train"], "--out"),
    (["train", "--resume", "nowhere"], "no run"),
    (["train", "--out", "RUN", "--training.steps", "-1"], "training.steps"),
    (["export", "nowhere", "OUT"], "no run"),
    (["evaluate", "MODEL"], "--data"),
    (["evaluate", "nope", "--data", "nowhere"], "no checkpoint"),
    (["train", "separation", "--preset", "quick", "--out", "RUN"], "small"),
    (["train", "separation", "--data", "STORE", "--out", "RUN"], "log-mels only"),
    (["separate", "VIOLIN", "--checkpoint", "MODEL", "--out", "OUT"], "not for separating"),
    (["separate", "VIOLIN", "--checkpoint", "MODEL@7", "--out", "OUT"], "no snapshot of step 7"),
    (["separate", "missing.wav", "--checkpoint", "MODEL", "--out", "OUT"], "does not exist"),
    (["separate", "VIOLIN", "--checkpoint", "MODEL", "--out", "TEXT"], "is a file"),
    (["data", "dmelodies", "--tonics", "H", "--out", "OUT"], "tonic"),
    (["data", "folder", "nowhere", "--out", "OUT"], "nowhere"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), MISTAKES, ids=lambda v: v if isinstance(v, str) else v[0]
)
def test_a_mistake_is_one_sentence_and_status_2(
    arguments, words, examples, untrained, melodies, tmp_path, capsys, monkeypatch
):
    text = tmp_path / "notes.wav"
    text.write_text("not a sound")
    places = {
        "VIOLIN": examples / "violin-1.flac",
        "TEXT": text,
        "MODEL": untrained,
        "MODEL@7": f"{untrained}@7",
        "STORE": melodies,
        "OUT": tmp_path / "out",
        "RUN": tmp_path / "run",
    }
    monkeypatch.chdir(tmp_path)
    assert run(*[places.get(argument, argument) for argument in arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said
    assert "\n" not in said
    assert not (tmp_path / "out").exists()


def test_unknown_arguments_are_one_sentence_and_status_2():
    result = subprocess.run(command("swop"), cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "'swop'" in result.stderr


@pytest.mark.parametrize(
    "name",
    ["data", "train", "export", "evaluate", "swap", "encode", "sample", "separate", "embed"],
)
def test_every_command_has_help_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as leaving:
        main([name, "--help"])
    assert leaving.value.code == 0
    assert f"example:\n  python -m core {name}" in capsys.readouterr().out


def test_mistakes_are_reported_before_torch_is_loaded():
    code = "import sys; from core.cli import main; main(['swap', 'a', 'b', '--out', 'c.wav'])"
    code += "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--training.stesp", "3"], "did you mean --training.steps?"),
        (["train", "dsae", "--training.stesp=3"], "did you mean --training.steps?"),
        (["train", "separation", "--model.z_size", "3"], "there is no flag --model.z_size;"),
        (["train", "seperation"], "did you mean separation?"),
        (["swop"], "did you mean swap?"),
        (["hub", "pul", "a/b"], "did you mean pull?"),
        (["swap", "a", "b", "--chekpoint", "c"], "did you mean --checkpoint?"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_mistyped_word_gets_the_nearest_one_in_one_sentence(arguments, words, capsys):
    with pytest.raises(SystemExit) as leaving:
        main(arguments)
    assert leaving.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def shown(capsys, *arguments):
    with pytest.raises(SystemExit):
        main([*arguments, "--help"])
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("system", list(registry.systems()))
def test_help_of_train_shows_the_settings_of_its_system_only(system, capsys):
    printed = shown(capsys, "train", system)
    about = registry.get(system)
    flags = {f"--{name}" for name in flat_fields(about.config) if "." in name}
    found = set(re.findall(r"--[a-z]+\.[a-z_0-9]+", printed)) - {"--SECTION.SETTING"}
    assert found == flags
    assert f"optimisation steps in all (default: {about.config().training.steps})" in printed
    for section in {name.partition(".")[0] for name in flat_fields(about.config) if "." in name}:
        assert f"{section}: --{section}." in printed
    assert all(preset in printed for preset in about.presets)


def test_help_of_train_explains_the_systems(capsys):
    printed = shown(capsys, "train")
    assert all(f"{name} {one.title}" in printed for name, one in registry.systems().items())
    assert "--training.steps" not in printed
