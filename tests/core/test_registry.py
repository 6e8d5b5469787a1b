"""What the rest of Ravel knows of a system; and one more system, for which no file is changed."""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import registry
from core.cli import main
from core.errors import RavelError
from core.training.config import flat_fields

ROOT = Path(__file__).parents[2]
TOY = "tests.core.toy"
PATHS = ("network_path", "load_path", "task_path", "evaluate_path", "card_path", "maps_path")
KINDS = ("train", "validation")


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_everything_that_a_system_names_is_there(name):
    system = registry.get(name)
    assert system.name == name and system.config().system == name
    for path in [getattr(system, field) for field in PATHS] + list(system.provides.values()):
        assert path is None or registry.resolve(path)
    assert system.meanings and system.charts and system.headline
    for curve in [c for chart in system.charts for c in chart.curves]:
        assert curve.split(" ")[0] in KINDS
    settings = flat_fields(system.config)
    assert not system.variant or system.variant in settings
    assert all(figure.of in settings for figure in system.headline if figure.of)
    for preset in system.presets:
        assert registry.parse({**registry.preset(name, preset), "system": name})
    task = registry.task(registry.parse({"system": name}))
    assert task.training == system.config().training


def test_names_that_are_not_there_are_refused_with_those_that_are(monkeypatch):
    with pytest.raises(RavelError, match="no system called 'vae': choose dsae, separation"):
        registry.get("vae")
    with pytest.raises(RavelError, match="no preset called 'huge' of separation: choose paper"):
        registry.preset("separation", "huge")
    with pytest.raises(RavelError, match=r"MixIT separator.* has no maps: choose .* dsae or"):
        _ = registry.get("separation").maps
    assert not registry.get("vocoder").has_maps
    monkeypatch.setenv(registry.VARIABLE, "no.such.module")
    with pytest.raises(RavelError, match=r"RAVEL_SYSTEMS=no\.such\.module cannot be imported"):
        registry.systems()
    monkeypatch.delenv(registry.VARIABLE)
    with pytest.raises(RavelError, match="two systems called 'dsae'"):
        registry.register(dataclasses.replace(registry.get("vocoder"), name="dsae"))


def test_systems_are_listed_without_torch():
    code = "import sys; from core import registry; names = list(registry.systems())"
    code += f"; sys.exit(names != {list(registry.BUILT_IN)!r} or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.fixture
def toy(monkeypatch):
    """The toy, as long as the test lasts; in processes that it starts, too."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setenv(registry.VARIABLE, TOY)
    sys.modules.pop(TOY, None)
    yield registry.get("toy")
    sys.modules.pop(TOY, None)


@pytest.fixture
def core(capsys):
    """Runs a command in this process and returns what it printed."""

    def run(*arguments):
        assert main([str(argument) for argument in arguments]) == 0
        return capsys.readouterr().out

    return run


def test_one_more_system_is_trained_exported_scored_and_watched(
    toy, core, tmp_path, monkeypatch, capsys
):
    from core.checkpoints import checkpoint
    from core.training import launcher
    from core.training.run import Run
    from lab.training import runs

    runs_folder, made = tmp_path / "runs", tmp_path / "checkpoints" / "sums"
    folder = runs_folder / "first"
    with pytest.raises(SystemExit):
        core("train", "toy", "--help")
    assert "--model.size VALUE numbers of a clip" in " ".join(capsys.readouterr().out.split())
    core("train", "toy", "--model.size", 4, "--training.steps", 6, "--out", folder)
    assert Run.open(folder).state()["state"] == "finished"

    values = {**Run.open(folder).config}
    values["training"] |= {"steps": 14}
    (folder / "config.json").write_text(json.dumps(values))
    launcher.resume(Run.open(folder))  # by a process of its own, as the lab does
    deadline = time.monotonic() + 120
    while Run.open(folder).state()["state"] != "finished":
        assert time.monotonic() < deadline, (folder / "log.txt").read_text()
        time.sleep(0.05)
    steps = [record["step"] for record in Run.open(folder).metrics("train")]
    assert steps == sorted(set(steps)) and steps[-1] == 14

    core("export", folder, made, "--title", "Sums")
    assert "sums: " in core("evaluate", made, "--data", "numbers")
    assert "| squared error of a sum |" in (made / "README.md").read_text()
    with pytest.raises(RavelError, match="is for toy, not for swapping"):
        registry.get("dsae").load(made)
    assert toy.load(made).in_features == 4
    monkeypatch.setattr(checkpoint, "SHIPPED", made.parent)
    assert [one.title for one in checkpoint.list_checkpoints("toy")] == ["Sums"]

    monkeypatch.setattr(runs, "FOLDER", runs_folder)
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    page.switch_page("lab/pages/train.py")
    page.query_params["run"] = "first"
    page.run()
    assert not page.exception and not page.error
    assert "Toy error" in [metric.label for metric in page.metric]
    assert "**Toy loss**" in [markdown.value for markdown in page.markdown]

    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    page.switch_page("lab/pages/train.py").run()
    page.selectbox(key="system").set_value("toy").run()
    assert not page.exception
    assert any(field.key.endswith("/model.size") for field in page.text_input if field.key)
