"""The demo as a Space on the Hugging Face Hub: the files it needs, and a check that they suffice.

README.md's front matter names the file that starts it. From there every import is followed, and the
dotted paths by which the systems name their networks and loaders (core/registry.py).
"""

from __future__ import annotations

import ast
import fnmatch
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import RavelError

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "lab")
LOADED = ("network_path", "load_path")  # of a registered system: what a visitor's model needs
DATA_FILES = [  # files that no import names; * matches folders too
    "README.md",
    "LICENSE",
    "requirements.txt",
    "packages.txt",
    "lab/examples/*",
    "checkpoints/*/README.md",
    "checkpoints/*/config.json",
    "checkpoints/*/metrics.json",
    "checkpoints/*/instruments.json",
    "checkpoints/*/model.safetensors",
    "checkpoints/*/recordings.csv",
]
LEFT_OUT = "lab/examples/included/*"  # the lab's first corpus, which the demo does not show
_PICTURE = re.compile(r"!\[[^\]]*\]\(([\w./-]+)\)")
# Run in a folder of the pushed files. An import from outside of it, such as from an installed copy,
# would hide that a file is missing.
_START = """
import runpy, sys
runpy.run_path(sys.argv[1], run_name="space")["build"]()
outside = [name for name, module in sys.modules.items() if name.split(".")[0] in sys.argv[3:]
           and not (getattr(module, "__file__", None) or sys.argv[2]).startswith(sys.argv[2])]
sys.exit(f"imported from elsewhere: {outside}" if outside else 0)
"""


def front_matter(root: Path) -> dict[str, Any]:
    """README.md's settings for the Hub. Raises RavelError if they are not a Gradio Space's."""
    import yaml
    from huggingface_hub import metadata_load

    try:
        settings = metadata_load(root / "README.md") or {}
    except (OSError, ValueError, yaml.YAMLError):
        settings = {}
    if settings.get("sdk") != "gradio" or not (root / str(settings.get("app_file", "-"))).is_file():
        raise RavelError(
            f"{root / 'README.md'} does not begin with a Space's settings: sdk: gradio, and "
            "app_file: the file that starts the demo."
        )
    return settings


def files(root: Path) -> list[str]:
    """Paths, relative to `root`, of the files that the demo needs; git tracks all of them.

    Raises RavelError outside a git checkout, and for a file that git does not track.
    """
    tracked = set(_git(root, "ls-files", "-z").split("\0")) - {""}
    modules = imported(root, str(front_matter(root)["app_file"]))
    if untracked := sorted(modules - tracked):
        raise RavelError(f"The demo needs {', '.join(untracked)}: let git track them (git add).")
    pictures = set(_PICTURE.findall((root / "README.md").read_text(encoding="utf-8")))
    data = {name for name in tracked if any(fnmatch.fnmatchcase(name, p) for p in DATA_FILES)}
    data = {name for name in data if not fnmatch.fnmatchcase(name, LEFT_OUT)}
    needed = sorted(modules | data | (pictures & tracked))
    if missing := [name for name in needed if not (root / name).is_file()]:
        raise RavelError(f"{', '.join(missing)} is tracked by git but missing: restore it.")
    return needed


def imported(root: Path, entry: str) -> set[str]:
    """A Python file and all files below `root` that it imports, at the top or within functions."""
    found: set[str] = set()
    remaining = [entry]
    while remaining:
        name = remaining.pop()
        if name in found:
            continue
        found.add(name)
        tree = ast.parse((root / name).read_text(encoding="utf-8"))
        remaining += [file for module in _modules(tree) for file in _files_of(root, module)]
    return found


def version(root: Path) -> str:
    """The commit that is checked out, and whether tracked files have changed since."""
    changed = " and changes" if _git(root, "status", "--porcelain", "-uno").strip() else ""
    return _git(root, "rev-parse", "--short", "HEAD").strip() + changed


def assemble(root: Path, names: list[str], to: Path, models: list[str] | None = None) -> None:
    """Copy files from `root` into a folder, and list `models` in its README.md."""
    for name in names:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, to / name)
    if models:
        _add_settings(to / "README.md", models=models)


def check_start(folder: Path) -> None:
    """Build the demo from a folder's own files, without a network. Raises RavelError."""
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(folder),
        "CUDA_VISIBLE_DEVICES": "",
    }
    entry = str(front_matter(folder)["app_file"])
    finished = subprocess.run(
        [sys.executable, "-c", _START, entry, str(folder.resolve()), *PACKAGES],
        cwd=folder.resolve(),
        env=environment,
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        last = (finished.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise RavelError(f"The demo does not start from the files that would be pushed: {last}")


def _add_settings(readme: Path, **values: Any) -> None:
    from huggingface_hub import metadata_load, metadata_save

    metadata_save(readme, {**(metadata_load(readme) or {}), **values})


def _modules(tree: ast.AST) -> Iterator[str]:
    """The dotted names that a file imports; for `from a import b` both a and a.b, as b may be a
    module. Dotted paths in LOADED count as imports, imports for type checkers only do not."""
    if isinstance(tree, ast.If) and isinstance(tree.test, ast.Name):
        if tree.test.id == "TYPE_CHECKING":
            return
    elif isinstance(tree, ast.Import):
        yield from (name.name for name in tree.names)
    elif isinstance(tree, ast.ImportFrom) and tree.module:
        yield tree.module
        yield from (f"{tree.module}.{name.name}" for name in tree.names)
    elif (
        isinstance(tree, ast.keyword)
        and tree.arg in LOADED
        and isinstance(tree.value, ast.Constant)
    ):
        yield str(tree.value.value).partition(":")[0]
    for inner in ast.iter_child_nodes(tree):
        yield from _modules(inner)


def _files_of(root: Path, module: str) -> Iterator[str]:
    """The files of a module of PACKAGES and of the packages around it, if they exist."""
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return
    for depth in range(1, len(parts) + 1):
        path = "/".join(parts[:depth])
        yield from (
            name for name in (f"{path}/__init__.py", f"{path}.py") if (root / name).exists()
        )


def _git(root: Path, *command: str) -> str:
    try:
        finished = subprocess.run(
            ["git", "-C", str(root), *command], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        raise RavelError(
            f"{root} is no git checkout (git {command[0]} fails there), and only tracked files are "
            "pushed: clone the repository and push from there."
        ) from None
    return finished.stdout
