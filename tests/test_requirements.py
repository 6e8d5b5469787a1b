"""Every package that the code imports is declared in the requirements."""

import ast
import re
import sys
from importlib.metadata import packages_distributions

import pytest

from tests.conftest import ROOT

OURS = {"core", "lab", "tests"}
ELSEWHERE = {
    "tinysoundfont",  # installed by the Makefile, without its dependencies
    "submitit",  # for clusters only: what needs it says how to install it
    "spaces",  # Hugging Face puts it on a Space; imported only there
}


def imported(folder: str) -> set[str]:
    """The top-level packages that the Python files of a folder import."""
    names = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - OURS - ELSEWHERE - sys.stdlib_module_names


def declared(*files: str) -> set[str]:
    """The distributions that requirements files name, in normal form."""
    lines = "\n".join((ROOT / file).read_text() for file in files).splitlines()
    names = (re.match(r"[A-Za-z0-9_.-]+", line) for line in lines if not line.startswith("-r"))
    return {normal(name.group()) for name in names if name}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize(
    ("folder", "files"),
    [
        ("core", ["requirements.txt"]),
        ("lab", ["requirements.txt"]),
        ("tests", ["requirements.txt", "requirements-dev.txt"]),
    ],
)
def test_each_import_is_declared(folder, files):
    distributions = packages_distributions()
    for name in sorted(imported(folder)):
        homes = {normal(home) for home in distributions.get(name, [name])}
        assert homes & declared(*files), f"{folder} imports {name}: add it to {files[-1]}"
