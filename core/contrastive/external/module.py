"""Importing a module of the HEAR common API by name or path, and noting which files it consists of.

Only `folder` calls this, after it has made sure that the user asked for it on this machine.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from core.contrastive.external.source import hash_of
from core.errors import RavelError

RAVEL = Path(__file__).parents[3]  # whose own files are no part of an encoder
INSTALLED = ("site-packages", "dist-packages")


def import_module(name: str, home: str = "") -> ModuleType:
    """The module of a dotted name, or of the path of a .py file or of a package's folder.

    `home` is searched last, for what is not installed. RavelError where it cannot be imported.
    """
    path = path_of(name)
    home = home or (str(path.parent) if path else "")
    if home and home not in sys.path:
        sys.path.append(home)  # at the end: no file there may take the place of a package
    try:
        return _from_file(path) if path else importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if path is None and missing and f"{name}.".startswith(f"{missing}."):
            raise RavelError(
                f"There is no Python module {name!r} here: install its package into this "
                "environment, or give the path of its .py file."
            ) from None
        raise RavelError(
            f"{name} cannot be imported, for it needs {missing!r}: install that too."
        ) from None
    except (Exception, SystemExit) as error:
        raise RavelError(f"{name} cannot be imported ({brief(error)}).") from error


def path_of(name: str) -> Path | None:
    """The file that a path names, of a package its __init__.py; None for a module's dotted name.

    Raises RavelError for a path without either.
    """
    if not name.endswith(".py") and "/" not in name:
        return None
    path = Path(name).expanduser().resolve()
    path = path / "__init__.py" if path.is_dir() else path
    if not path.is_file() or path.suffix != ".py":
        raise RavelError(f"{name} is neither a .py file nor a package with an __init__.py.")
    return path


def home_of(module: ModuleType, name: str) -> str:
    """The folder from which a module of that dotted name was imported; "" for an installed one."""
    file = getattr(sys.modules.get(name.partition(".")[0], module), "__file__", None)
    if path_of(name) or not file or not _is_own(path := Path(file).resolve(), Path("/")):
        return ""
    return str(path.parents[1] if path.name == "__init__.py" else path.parent)


def files_of(module: ModuleType, name: str) -> dict[str, str]:
    """The SHA-256 of each source file that a module has loaded from its own folder, by its path."""
    own = getattr(module, "__file__", None)
    if not own:
        return {}
    path = path_of(name)
    top = None if path else getattr(sys.modules[name.partition(".")[0]], "__file__", None)
    root = Path(top or own).resolve().parent
    alone = path is None and Path(top or own).name != "__init__.py"  # a module in no package
    loaded = {getattr(one, "__file__", None) or "" for one in list(sys.modules.values())}
    files = {Path(file).resolve() for file in loaded if file.endswith(".py")}
    found = [] if alone else [file for file in files if _is_own(file, root)]
    return {str(file): hash_of(file) for file in sorted({Path(own).resolve(), *found})}


def changed(files: Mapping[str, str]) -> list[str]:
    """The files that are gone, or not what they were."""

    def is_same(path: Path, before: str) -> bool:
        try:
            return hash_of(path) == before
        except OSError:
            return False

    return [name for name, before in files.items() if not is_same(Path(name), before)]


def version_of(name: str) -> str:
    """The distribution that a module belongs to, and its version; "" for a module of no other."""
    if path_of(name):
        return ""
    homes = importlib.metadata.packages_distributions().get(name.partition(".")[0], [])
    return f"{homes[0]} {importlib.metadata.version(homes[0])}" if homes else ""


def brief(error: BaseException) -> str:
    """An error of somebody else's code in one line."""
    said = " ".join(str(error).split())[:200].rstrip(".")
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _from_file(path: Path) -> ModuleType:
    """A file's module, run anew; under a name that is no other module's."""
    is_package = path.name == "__init__.py"
    stem = path.parent.name if is_package else path.stem
    name = f"ravel_hear_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}_{stem}"
    for old in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
        del sys.modules[old]
    places = [str(path.parent)] if is_package else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=places)
    assert spec is not None and spec.loader is not None  # it is a .py file
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and relative imports look for it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _is_own(file: Path, root: Path) -> bool:
    """Whether a file under `root` is its author's: neither installed beneath it nor Ravel's."""
    if not file.is_relative_to(root) or file.is_relative_to(sysconfig.get_paths()["stdlib"]):
        return False
    installed = set(INSTALLED) & set(file.relative_to(root).parts)
    return not installed and not any(file.is_relative_to(RAVEL / own) for own in ("core", "lab"))
