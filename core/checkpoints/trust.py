"""Which checkpoint folders may name code to import: those that a command made for this user here.

Any folder, of the Hub, of a zip file or of a repository, may hold any config.json, so that nothing
in it is a proof. The proof is kept outside: a file in the user's state directory lists each trusted
folder with the hash of its config.json. A folder that was moved, copied or changed is not trusted.
"""

import hashlib
import json
import os
from pathlib import Path

from core.errors import RavelError
from core.files import write_json


def ledger() -> Path:
    """The file of trusted folders, in XDG_STATE_HOME or ~/.local/state."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "ravel" / "encoders.json"


def trust(folder: Path) -> None:
    """Let a folder, as it is now, name code to import. RavelError where nothing can be written."""
    path = ledger()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_json(path, _trusted() | {str(folder.resolve()): _hash(folder)})
        path.chmod(0o600)
    except OSError as error:
        raise RavelError(
            f"{path} cannot be written ({error.strerror}), where Ravel notes which encoders may "
            "import code: set XDG_STATE_HOME to a folder of your own."
        ) from None


def is_trusted(folder: Path) -> bool:
    """Whether `trust` was called for this very folder and its config.json is still the same."""
    try:
        return _trusted().get(str(folder.resolve())) == _hash(folder)
    except OSError:
        return False


def _trusted() -> dict[str, str]:
    path = ledger()
    try:
        about = path.stat()
        if about.st_uid != os.getuid() or about.st_mode & 0o022:  # others could have written it
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _hash(folder: Path) -> str:
    return hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()
