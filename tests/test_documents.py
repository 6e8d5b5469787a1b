"""The documents agree with the code: links lead somewhere, imports and commands exist."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from core.cli import main
from tests.conftest import ROOT, SLOWEST

DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / room / "README.md" for room in ("core", "lab", "checkpoints")),
        *ROOT.glob("checkpoints/*/README.md"),
        *ROOT.glob("checkpoints/results/*.md"),
    ]
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"python -m core ([a-z]+)")


def document(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOCUMENTS, ids=document)
def test_links_lead_to_files_of_the_repository(path):
    for link in LINK.findall(path.read_text()):
        if "://" not in link and not link.startswith("#"):
            assert (path.parent / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=document)
def test_what_python_examples_import_exists(path):
    for block in BLOCK.findall(path.read_text()):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                for alias in node.names:
                    if not hasattr(module, alias.name):
                        importlib.import_module(f"{node.module}.{alias.name}")


def test_commands_exist(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = set(re.findall(r"^    ([a-z]+)\b", capsys.readouterr().out, re.MULTILINE))
    for path in DOCUMENTS:
        assert set(COMMAND.findall(path.read_text())) <= commands, path


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_new_names_in_the_changelog_are_modules():
    rows = re.findall(
        r"^\| `core\.[^|]+\| `([\w.]+)` \|$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    assert len(rows) > 20
    for module in rows:
        importlib.import_module(module)


def test_slow_files_exist():
    assert [path for path in SLOWEST if not (ROOT / path).is_file()] == []
