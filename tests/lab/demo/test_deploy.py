"""The Space: its settings agree with the repository, and the pushed files suffice to start it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from core.checkpoints import checkpoint
from core.cli import main
from core.errors import RavelError
from lab.demo import deploy
from tests.core.checkpoints.hub_server import TOKEN
from tests.core.checkpoints.test_hub import login, there  # noqa: F401  (fixtures)

ROOT = deploy.ROOT
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
ZERO_GPU_TORCH = {"2.8.0", "2.9.1", "2.10.0", "2.11.0"}
ZERO_GPU_PYTHON = {"3.10.13", "3.12.12"}
SOUND = "audio-to-audio"
TASKS = {"dsae": SOUND, "separation": SOUND, "vocoder": SOUND}


def requirements():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {one.name: one.specifier for one in found}


@pytest.fixture(scope="module")
def settings():
    from huggingface_hub import RepoCard, SpaceCardData

    data = RepoCard.load(ROOT / "README.md", repo_type="space").data.to_dict()
    return SpaceCardData(**data, ignore_metadata_errors=False)


def test_the_readme_has_the_settings_that_the_hub_requires(settings):
    from huggingface_hub import SpaceHardware

    assert settings.sdk == "gradio" and settings.license == "mit"
    assert (ROOT / settings.app_file).is_file()
    assert {settings.colorFrom, settings.colorTo} <= COLOURS
    assert settings.suggested_hardware in {one.value for one in SpaceHardware}
    assert len(settings.short_description) <= 60
    assert not re.search(r"[\w\s]", settings.emoji)


def test_versions_suit_the_requirements_and_the_platform(settings):
    pinned, ours = requirements(), tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert settings.sdk_version in pinned["gradio"]
    assert settings.python_version in ZERO_GPU_PYTHON
    assert Requirement(f"x{ours['requires-python']}").specifier.contains(settings.python_version)
    torch, torchaudio = (str(pinned[name]).removeprefix("==") for name in ("torch", "torchaudio"))
    assert torch == torchaudio and torch in ZERO_GPU_TORCH


def test_our_range_of_huggingface_hub_agrees_with_gradios():
    from importlib.metadata import requires, version

    ours = requirements()["huggingface_hub"]
    theirs = next(
        Requirement(one).specifier for one in requires("gradio") if one.startswith("huggingface")
    )
    assert version("huggingface_hub") in ours & theirs
    assert str(Version(version("huggingface_hub")).major + 1) not in ours


def test_debian_packages_are_one_a_line():
    lines = (ROOT / "packages.txt").read_text().splitlines()
    assert lines and all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", line) for line in lines)


@pytest.mark.parametrize("name", [one.name for one in checkpoint.list_checkpoints()])
def test_the_cards_that_ship_have_the_hubs_metadata(name):
    from huggingface_hub import ModelCard

    found = checkpoint.find(name)
    data = ModelCard.load(found.path / "README.md").data
    assert data.license == "mit" and data.to_dict()["library_name"] == "ravel"
    assert data.pipeline_tag == TASKS.get(found.system, "feature-extraction")
    assert all(isinstance(tag, str) for tag in data.tags) and "audio" in data.tags


# -- the pushed files ---------------------------------------------------------------------------


def git(folder, *command):
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *command], check=True, capture_output=True)


def track(folder):
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")
    return folder


SMALL = {
    "README.md": "---\nsdk: gradio\napp_file: lab/demo/app.py\nsuggested_hardware: zero-a10g\n---\n"
    "# A\n![a picture](lab/seen.png)\n",
    "LICENSE": "",
    "requirements.txt": "",
    "app.py": "",
    "lab/__init__.py": "",
    "lab/seen.png": "",
    "lab/unseen.png": "",
    "lab/examples/a/b.flac": "",
    "lab/demo/app.py": "from typing import TYPE_CHECKING\nfrom core import early\n"
    "if TYPE_CHECKING:\n    import lab.types_only\n"
    "def build():\n    from core.room import late\n    return late",
    "lab/types_only.py": "",
    "lab/page.py": "",
    "core/__init__.py": "",
    "core/early.py": "dict(network_path='core.named:Model', task_path='core.room.other:Task')",
    "core/named.py": "",
    "core/room/__init__.py": "import core.room.inner",
    "core/room/inner.py": "",
    "core/room/late.py": "",
    "core/room/other.py": "",
    "checkpoints/a/model.safetensors": "",
    "checkpoints/a/step_5.safetensors": "",
    "checkpoints/results/a.csv": "",
    "tests/test_a.py": "",
}
NEEDED = {
    "README.md",
    "LICENSE",
    "requirements.txt",
    "lab/seen.png",
    "lab/examples/a/b.flac",
    "lab/demo/app.py",
    "core/__init__.py",
    "core/early.py",
    "core/named.py",
    "core/room/__init__.py",
    "core/room/inner.py",
    "core/room/late.py",
    "checkpoints/a/model.safetensors",
}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A project of a few files, in git, which is pushed in place of this one."""
    folder = tmp_path / "project"
    for name, text in SMALL.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(deploy, "ROOT", folder)
    return track(folder)


def test_only_what_the_demo_imports_and_shows_is_pushed(small):
    (small / "lab" / "examples" / "untracked.flac").write_text("")
    assert set(deploy.files(small)) == NEEDED


def test_a_needed_file_that_git_does_not_track_is_named(small):
    (small / "core" / "early.py").write_text("import core.new")
    (small / "core" / "new.py").write_text("")
    with pytest.raises(RavelError, match=r"needs core/new.py: let git track"):
        deploy.files(small)


def test_outside_a_git_checkout_nothing_is_pushed(small, tmp_path):
    shutil.rmtree(small / ".git")
    with pytest.raises(RavelError, match="no git checkout"):
        deploy.files(small)


@pytest.mark.parametrize(
    "head", ["", "---\nsdk: docker\n---\n", "---\n: [\n---\n", "---\n- 1\n---\n"]
)
def test_a_readme_without_settings_is_refused(small, head):
    (small / "README.md").write_text(f"{head}# A\n")
    with pytest.raises(RavelError, match=r"does not begin with a Space's settings"):
        deploy.files(small)


def test_each_push_is_one_commit_and_removes_files_no_longer_needed(login, small, capsys):  # noqa: F811
    push = ["hub", "push-space", "somebody/ravel", "--models", "somebody/model"]
    assert main(push) == 0
    made = login.made[0]
    assert (made["sdk"], made["hardware"]) == ("gradio", "zero-a10g")
    assert set(login.files("somebody/ravel", "space")) == NEEDED | {".gitattributes"}
    assert b"models:\n- somebody/model\n" in login.files("somebody/ravel", "space")["README.md"]
    assert "models" not in (small / "README.md").read_text()
    (small / "core" / "room" / "__init__.py").write_text("")
    assert main(push) == 0
    assert "core/room/inner.py" not in login.files("somebody/ravel", "space")
    assert len(login.repos["space", "somebody/ravel"]) == 3  # its creation and two commits
    assert TOKEN not in "".join(capsys.readouterr())


def test_a_demo_that_does_not_start_is_not_pushed(login, small, capsys):  # noqa: F811
    (small / "lab" / "demo" / "app.py").write_text("def build():\n    open('lab/unseen.png')\n")
    assert main(["hub", "push-space", "somebody/ravel"]) == 2
    error = capsys.readouterr().err.strip()
    assert "does not start" in error and "lab/unseen.png" in error and "\n" not in error
    assert not login.repos


def test_a_dry_run_lists_what_it_would_push(there, small, capsys):  # noqa: F811
    assert main(["hub", "push-space", "somebody/ravel", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"bytes in {len(NEEDED)} files" in out
    assert all(re.search(rf"^ +[\d,]+  {name}$", out, re.M) for name in NEEDED)
    assert not there.requests


# As Python runs a file: its folder comes first on the path, where its neighbours would hide others.
START = """
import runpy, sys
from importlib.util import find_spec
sys.path.insert(0, "lab/demo")
app = runpy.run_path("lab/demo/app.py", run_name="space")
assert not any(find_spec(name) for name in ("swap", "find", "style", "models"))
app["build"]()
app["models"].warm_up()
"""


@pytest.fixture(scope="module")
def assembled(tmp_path_factory):
    """The files of this project's own Space, as if all its files were tracked."""
    copy, folder = (tmp_path_factory.mktemp(name) for name in ("project", "space"))
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("this copy of the project is no git checkout")
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    track(copy)
    deploy.assemble(copy, deploy.files(copy), folder)
    return folder


def test_the_demo_starts_and_answers_from_the_pushed_files_alone(assembled):
    finished = subprocess.run(
        [sys.executable, "-c", START],
        cwd=assembled,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr


def test_neither_tests_nor_the_lab_nor_training_are_pushed(assembled):
    names = {path.relative_to(assembled).as_posix() for path in assembled.rglob("*")}
    rooms = ("tests", "runs", "data", "lab/pages", "core/training/engine.py", "app.py", "core/cli")
    assert not [name for name in names if name.startswith(rooms)]
    code = [Path(assembled, name).read_text() for name in names if name.endswith(".py")]
    assert code and not any(re.search(r"^\s*(import|from) streamlit", one, re.M) for one in code)
    assert sum(path.stat().st_size for path in assembled.rglob("*") if path.is_file()) < 25e6
