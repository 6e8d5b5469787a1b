"""Checkpoints on the Hugging Face Hub, by OWNER/NAME, OWNER/NAME@REVISION and OWNER/NAME@STEP.

Files are downloaded into huggingface_hub's cache and used from there while the Hub cannot be
reached. Only the files of a checkpoint are downloaded; huggingface_hub handles tokens, and none is
ever shown.
"""

from __future__ import annotations

import errno
import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import RavelError

FILES = [
    *("config.json", "metrics.json", "instruments.json", "README.md"),
    *("model.safetensors", "step_*.safetensors"),
]
TIMEOUT = 10.0  # seconds for the Hub's first answer
LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"
_PART = r"[A-Za-z0-9](?:[\w.-]*\w)?"
_ID = re.compile(rf"({_PART}/{_PART})(?:@(?!\d+$)([\w./-]+))?", re.ASCII)


class HubId(NamedTuple):
    """A repository and a branch, tag or commit; None for the newest."""

    repo: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}" if self.revision else self.repo


class Unavailable(RavelError):
    """The Hub cannot be reached at present; cached copies can still be used."""


def parse(name: str) -> HubId | None:
    """The Hub id in a name, without its step; None where it can only be a local path."""
    spelt = _ID.fullmatch(name)
    if not spelt or Path(spelt[1]).parent.is_dir():  # as in checkpoints/mistyped
        return None
    return HubId(spelt[1], spelt[2])


def required(name: str) -> HubId:
    """The Hub id in a name that cannot be anything else. Raises RavelError."""
    spelt = _ID.fullmatch(name)
    if not spelt or "--" in name or ".." in name:
        raise RavelError(f"{name!r} is not a name on the Hub: give OWNER/NAME, as in ann/ravel.")
    return HubId(spelt[1], spelt[2])


@cache
def fetch(wanted: HubId, check: Callable[[Path, str], object]) -> Path:
    """The folder in the cache of a checkpoint on the Hub, checked and complete.

    `check`, called with the folder and its name, raises RavelError for a damaged one. Raises
    RavelError when there is none, it is not one of Ravel's, or the network failed and the cache has
    no copy. A process looks for the newest revision once.
    """
    from huggingface_hub import HfApi, snapshot_download

    silent = _silent()
    try:
        with asking(wanted):
            found = HfApi().model_info(wanted.repo, revision=wanted.revision, timeout=TIMEOUT)
            files = {file.rfilename for file in found.siblings or []}
            _check_listing(wanted, files)
            # By its commit, so that an older copy stays the one to use until this one is whole.
            snapshot_download(
                wanted.repo, revision=found.sha, allow_patterns=FILES[:1], tqdm_class=silent
            )
            folder = snapshot_download(wanted.repo, revision=found.sha, allow_patterns=FILES)
            check(Path(folder), str(wanted))
            return Path(
                snapshot_download(
                    wanted.repo,
                    revision=wanted.revision,
                    allow_patterns=FILES,
                    tqdm_class=silent,
                )
            )
    except Unavailable:
        kept = cached(wanted)
        if kept is None:
            raise
        check(kept, str(wanted))
        return kept


def _silent() -> type:
    """A progress bar that shows nothing, for quick downloads."""
    from tqdm import tqdm

    class Silent(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options | {"disable": True})

    return Silent


def cached(wanted: HubId) -> Path | None:
    """The copy in the cache, if it is complete; uses no network."""
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            wanted.repo, revision=wanted.revision, allow_patterns=FILES, local_files_only=True
        )
    except OSError:
        return None
    return Path(folder) if (Path(folder) / "model.safetensors").exists() else None


def _check_listing(wanted: HubId, files: set[str]) -> None:
    for name in ("config.json", "model.safetensors"):
        if name not in files:
            raise not_ours(str(wanted), f"it has no {name}")


def not_ours(called: str, why: str) -> RavelError:
    """The error for a folder or a repository that holds something else."""
    return RavelError(f"{called} is not a checkpoint that Ravel can use: {why}.")


def push(
    files: Mapping[str, Path],
    to: str,
    *,
    kind: str,
    mark: str,
    message: str,
    private: bool | None = None,
    **made_with: Any,
) -> str:
    """Make a repository hold exactly `files`, by their paths in it, in one commit; its address.

    `kind` is model or space. The repository is made, by `made_with`, where there is none. One that
    holds other work, and so no file called `mark`, is left alone: RavelError, as for a network that
    fails. Of a model's other files only old parts of a checkpoint are deleted.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    wanted, api = required(to), HfApi()
    with asking(wanted, writing=True):
        address = api.create_repo(
            wanted.repo, repo_type=kind, private=private, exist_ok=True, **made_with
        )
        present = set(api.list_repo_files(wanted.repo, repo_type=kind)) - {".gitattributes"}
        if present - {"README.md"} and mark not in present:
            raise RavelError(f"{wanted.repo} holds something else (no {mark}): give another name.")
        stale = present - set(files)
        if kind == "model":
            stale = {name for name in stale if any(fnmatch.fnmatch(name, p) for p in FILES)}
        api.create_commit(
            wanted.repo,
            [CommitOperationDelete(name) for name in sorted(stale)]
            + [CommitOperationAdd(name, path) for name, path in sorted(files.items())],
            repo_type=kind,
            commit_message=message,
        )
    return str(address)


@contextmanager
def asking(wanted: HubId, writing: bool = False) -> Iterator[None]:
    """Turn errors of the connection into one sentence: RavelError, or Unavailable where a copy in
    the cache may be used instead."""
    from huggingface_hub.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()  # its warnings quote addresses; ours do not
    try:
        yield
    except RavelError:
        raise
    except Exception as error:
        raise _explained(error, wanted, writing) from None
    finally:
        logging.set_verbosity(before)


def _explained(error: Exception, wanted: HubId, writing: bool) -> RavelError:
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return RavelError(f"{wanted.repo} asks for consent: give it on its page, and {LOG_IN}.")
    if isinstance(error, errors.RevisionNotFoundError):
        return RavelError(f"{wanted.repo} on the Hub has no revision {wanted.revision!r}.")
    if status in (401, 404) or isinstance(error, errors.LocalTokenNotFoundError):
        if writing:
            return RavelError(
                f"You are not allowed to write to {wanted.repo} on the Hub: {LOG_IN}."
            )
        return RavelError(
            f"There is neither a folder {wanted.repo} here nor a model of that name on the Hub "
            f"that you may see: check the name, and if it is private {LOG_IN}."
        )
    if status in (402, 403):
        return RavelError(
            f"The Hub does not allow this for {wanted.repo} ({status}): check that your token may "
            "write there, and what your plan includes."
        )
    if status is not None and status < 429:
        return RavelError(f"The Hub refused what was sent for {wanted.repo} (error {status}).")
    return _broken(error, wanted, status)


def _broken(error: Exception, wanted: HubId, status: int | None) -> RavelError:
    """Errors that may pass, and errors of this machine."""
    from huggingface_hub import errors

    if status is not None:
        return Unavailable(f"The Hub reports an error (number {status}): try again later.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS):
        return RavelError(f"{wanted.repo} could not be kept in the Hub's cache: {error.strerror}.")
    if isinstance(error, ValueError) and "metadata" in str(error):
        reason = " ".join(str(error).split())[:300].rstrip(".")
        return RavelError(f"The Hub rejects this README.md: {reason}.")
    if isinstance(error, errors.HFValidationError):
        return RavelError(f"{wanted.repo!r} is not a name on the Hub: give OWNER/NAME.")
    return Unavailable(
        f"The connection to the Hub failed ({type(error).__name__}) and {wanted} is not whole in "
        "the cache: check the network and try again."
    )
