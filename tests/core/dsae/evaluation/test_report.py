"""`python -m core evaluate` of disentangling models: what is printed, kept, and refused."""

import json
import shutil

import pytest

from core import statistics
from core.checkpoints.tables import format_score
from core.cli import main
from core.dsae.card import MEANINGS
from core.dsae.evaluation import pitch_accuracy as melody
from core.dsae.evaluation import report
from core.dsae.evaluation import scores as evaluate


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 60)


@pytest.fixture(autouse=True)
def nothing_heard_before():
    report._originals.cache_clear()
    report._classifiers.cache_clear()


@pytest.fixture
def checkpoint(untrained, tmp_path):
    return shutil.copytree(untrained, tmp_path / "one")


def test_several_checkpoints_are_scored_and_the_originals_analysed_once(
    checkpoint, melodies, tmp_path, capsys, monkeypatch
):
    other, made = shutil.copytree(checkpoint, tmp_path / "other"), []
    make, listen = evaluate.make_classifiers, melody.Originals.__init__
    monkeypatch.setattr(evaluate, "make_classifiers", lambda *a: made.append("judges") or make(*a))
    monkeypatch.setattr(
        melody.Originals, "__init__", lambda *a: made.append("originals") or listen(*a)
    )
    given = [str(checkpoint), str(other), "--data", str(melodies)]
    assert main(["evaluate", *given, "--melodies", "2", "--route", "live"]) == 0
    assert sorted(made) == ["judges", "originals"]
    one, two = (
        json.loads((path / "metrics.json").read_text())[melodies.name]
        for path in (checkpoint, other)
    )
    assert one == two  # the weights are the same
    assert one["heard_clips"] == 2 and one["route"] == "live"
    said = capsys.readouterr()
    for name, value in one.items():
        assert f"{MEANINGS[name]} " in said.out and format_score(value) in said.out
    assert "round trips: 100%" in said.err and "global: 100%" in said.err


def test_no_sound_is_analysed_with_zero_melodies(checkpoint, melodies, capsys):
    assert main(["evaluate", str(checkpoint), "--data", str(melodies), "--melodies", "0"]) == 0
    scores = json.loads((checkpoint / "metrics.json").read_text())[melodies.name]
    assert {"f1_global", "judge_local", "leak_z", "leak_v_notes", "kl_z"} <= set(scores)
    assert not any(name.startswith(("rpa", "fad", "heard")) for name in scores)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--melodies", "-3"], "give 2 or more, or 0"),
        (["--melodies", "1"], "give 2 or more, or 0"),
        (["--vggish", "missing.pth"], "There is no file missing.pth"),
        (["--crepe", "huge"], "huge"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_scored(
    arguments, words, checkpoint, melodies, capsys
):
    try:
        status = main(["evaluate", str(checkpoint), "--data", str(melodies), *arguments])
    except SystemExit as leaving:
        status = leaving.code
    assert status == 2
    said = capsys.readouterr().err.strip()
    assert words in said and "\n" not in said
    assert not (checkpoint / "metrics.json").exists()
