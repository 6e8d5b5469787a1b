"""Corpora built from a page, each in a process of its own that reports its progress.

`python -m core.service.building NAME DATA` is that process; `start` runs it, and leaves in the
folder DATA/.builds/NAME what it is to build.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core import jobs
from core.data.recording import Recording
from core.errors import RavelError
from core.files import write_json
from core.jobs import Job, Progress
from core.service import corpora, uploads

PLAN = "plan.json"
FOLDER = ".builds"
SETS: dict[str, dict[str, dict[str, Any]]] = {  # what can be rendered: options by name of the store
    "dmelodies": {"dmelodies-600": {"count": 500}, "dmelodies": {"count": 3000}},
    "instruments": {
        "instruments-600": {"count": 546, "validation": 0.1, "audio": True},
        "instruments": {"count": 12_000, "audio": True},
    },
}


def check_name(name: str) -> None:
    """Raises RavelError unless a new corpus can be called so."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,59}", name):
        raise RavelError(
            f"A corpus cannot be called {name!r}: use up to 60 letters, digits, dots, dashes and "
            "underscores, and begin with a letter or a digit."
        )
    if (corpora.DATA / name).exists():
        raise RavelError(f"There is a corpus called {name!r} already: choose another name.")


def render(kind: str, name: str) -> None:
    """Start to render one of SETS. Raises RavelError where it is there already."""
    check_name(name)
    _start(name, {"kind": kind, "options": SETS[kind][name]})


def record(
    name: str,
    recordings: Sequence[Recording],
    *,
    seconds: float,
    factor: str,
    upload: str | None = None,
) -> None:
    """Start to build a corpus of recordings, as `core.data.own.build`; the files that are kept
    under the id `upload` are deleted once it is built. Raises RavelError."""
    check_name(name)
    rows = [{"path": str(r.path.resolve()), "name": r.name, "labels": r.labels} for r in recordings]
    options = {"seconds": seconds, "factor": factor}
    _start(name, {"kind": "recordings", "rows": rows, "options": options, "upload": upload})


def again(name: str) -> None:
    """Start a build that has failed again; it goes on where it was. Raises RavelError."""
    _job(name).start("Starting")


def discard(name: str) -> None:
    """Delete a build that has failed, and what it has made."""
    job = _job(name)
    if not job.is_running:
        with_plan = _plan(job.folder)
        if with_plan.get("upload"):
            uploads.remove(str(with_plan["upload"]))
        if job.progress(lambda: _is_built(name)).state != "done":
            shutil.rmtree(corpora.DATA / name, ignore_errors=True)
        shutil.rmtree(job.folder, ignore_errors=True)


def builds() -> dict[str, Progress]:
    """How far every build is that runs or has failed, by the corpus's name."""
    found = {}
    for plan in sorted((corpora.DATA / FOLDER).glob(f"*/{PLAN}")):
        found[plan.parent.name] = progress(plan.parent.name)
    return {name: one for name, one in found.items() if one.state in ("running", "failed")}


def progress(name: str) -> Progress:
    """How far the build of a corpus is."""
    return _job(name).progress(lambda: _is_built(name))


def _is_built(name: str) -> bool:
    return name in corpora.stores()


def _start(name: str, plan: Mapping[str, Any]) -> None:
    job = _job(name)
    job.start("Starting", prepare=lambda: write_json(job.folder / PLAN, plan))


def _job(name: str) -> Job:
    folder = corpora.DATA / FOLDER / name
    return Job(folder, "core.service.building", [name, str(corpora.DATA.resolve())])


def _plan(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / PLAN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _build(arguments: list[str], report: jobs.Report) -> None:
    name, data = arguments[0], Path(arguments[1])
    corpora.DATA = data  # where the process that started this one has it
    plan = _plan(data / FOLDER / name)
    if not plan:
        raise RavelError("The settings of this build are gone: start it again.")
    kind, options = plan["kind"], plan["options"]
    unit = "recordings cut" if kind == "recordings" else "clips rendered"

    def on_progress(done: int, of: int) -> None:
        report(done / of, f"{done:,} of {of:,} {unit}")

    if kind == "recordings":
        from core.data import own

        rows = [Recording(Path(row["path"]), row["name"], row["labels"]) for row in plan["rows"]]
        own.build(rows, data / name, progress=on_progress, **options)
        if plan.get("upload"):
            uploads.remove(plan["upload"])
    elif kind == "dmelodies":
        from core.data import dmelodies

        dmelodies.build(data / name, progress=on_progress, **options)
    else:
        from core.data import instruments

        instruments.build(data / name, progress=on_progress, **options)


if __name__ == "__main__":
    sys.exit(jobs.main(_build))
