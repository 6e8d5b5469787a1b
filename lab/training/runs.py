"""Runs for the pages: read from their folders, cached, and continued where reading ended.

Nothing here imports torch or writes.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from core.errors import RavelError
from core.training.config import merge
from core.training.run import ALIVE, Run
from lab.training.curves import Curves

if TYPE_CHECKING:
    from core.dsae.trajectory import Trajectory

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("RAVEL_RUNS", ROOT / "runs"))
DATA = Path(os.environ.get("RAVEL_DATA", ROOT / "data"))
TAIL_BYTES = 16_384
Space = Literal["v", "z"]


@dataclass(frozen=True)
class Summary:
    """A run at a glance. `state` is `stopping` once it has been asked to stop."""

    name: str
    state: str
    message: str
    step: int
    steps: int
    stage: str
    device: str
    started: float
    changed: float
    config: dict[str, Any] = field(repr=False)
    devices: tuple[str, ...] = ()
    job: str = ""  # the launcher, where a cluster trains it

    @property
    def system(self) -> str:
        """The system that is trained."""
        return str(self.config.get("system", "dsae"))

    @property
    def processes(self) -> int:
        """How many processes train it."""
        return int(self.setting("training.processes", 1))

    @property
    def alive(self) -> bool:
        """Whether a process trains it, or waits to."""
        return self.state in (*ALIVE, "stopping")

    @property
    def at_work(self) -> bool:
        """Whether it is trained at present, rather than queued."""
        return self.alive and self.state != "queued"

    def setting(self, name: str, otherwise: Any = "") -> Any:
        """A setting by its dotted name."""
        value: Any = self.config
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return otherwise if value is None else value


def path(name: str) -> Path:
    """The folder of a run."""
    return FOLDER / name


def names() -> list[str]:
    """Every run, the newest first; after them those of grids, named grid-scenes/NAME."""
    found = []
    for pattern in ("*/config.json", "grid-*/*/config.json"):
        configs = [c for c in FOLDER.glob(pattern) if not c.parent.name.startswith(".")]
        found += sorted(configs, key=_age, reverse=True)
    return [config.parent.relative_to(FOLDER).as_posix() for config in found]


def find(name: str) -> Run:
    """A run by its name. Raises RavelError when there is none."""
    parts = Path(name).parts
    fits = len(parts) == 1 or (len(parts) == 2 and parts[0].startswith("grid-"))
    hidden = any(part.startswith(".") for part in parts)
    if not fits or hidden or not (path(name) / "config.json").exists():
        raise RavelError(f"There is no run called {name!r}: choose another, or start a new one.")
    return Run(path(name))


def summary(name: str) -> Summary:
    """A run at a glance. Raises RavelError when it is gone or damaged."""
    run = find(name)
    config, state = run.config, run.state()
    training = config.get("training")
    training = training if isinstance(training, dict) else {}
    reported = str(state.get("state", "failed"))
    device = str(state.get("device") or training.get("device") or "")
    several = state.get("devices") or []  # those it waited for in a queue
    return Summary(
        name=name,
        state="stopping" if reported in ALIVE and run.asked_to_stop else reported,
        message=str(state.get("message") or state.get("reason") or ""),
        step=int(state.get("step") or 0),
        steps=int(training.get("steps") or 0),
        stage=str(state.get("stage") or ""),
        device=device,
        started=_age(run.path / "config.json"),
        changed=float(state.get("heartbeat") or 0),
        config=config,
        devices=tuple(several) if device in (*several, ", ".join(several)) else (device,),
        job=str(state.get("job") or ""),
    )


def summaries() -> list[Summary]:
    """Every run that can be read, the newest first."""
    found = []
    for name in names():
        try:
            found.append(summary(name))
        except (RavelError, ValueError, TypeError):  # deleted while we looked, or damaged
            continue
    return found


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


@st.cache_resource(max_entries=64, show_spinner=False)
def _curves(folder: str) -> Curves:
    return Curves(Path(folder) / "metrics.jsonl")


def curves(name: str) -> Curves:
    """A run's metrics so far."""
    return _curves(str(path(name).resolve())).read_on()


def log_tail(name: str, lines: int = 200) -> str:
    """The end of the worker's log; of a progress bar only its latest state."""
    try:
        with open(path(name) / "log.txt", "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    whole = text.split("\n", 1)[-1] if size > TAIL_BYTES else text
    last = whole.rstrip("\n").split("\n")[-lines:]
    return "\n".join(line.rsplit("\r", 1)[-1] for line in last)


def states(name: str) -> dict[int, Path]:
    """The folders of the samples written during training, by step."""
    found = {}
    for folder in sorted((path(name) / "samples").glob("step_*")):
        number = folder.name.removeprefix("step_")
        if number.isdigit() and any(folder.glob("[!.]*")):
            found[int(number)] = folder
    return dict(sorted(found.items()))


def sounds(folder: Path) -> list[Path]:
    """The sounds that were written at a step, in order."""
    return sorted(folder.glob("[!.]*.wav"))


def latents(states: dict[int, Path], space: Space) -> Trajectory | None:
    """The latents of validation clips during training, if any were written."""
    from core.dsae.trajectory import FILE

    files = {step: folder / FILE for step, folder in states.items()}
    changed = {step: _age(file) for step, file in files.items() if file.exists()}
    return _latents({step: states[step] for step in changed}, space, tuple(changed.items()))


@st.cache_resource(max_entries=16, show_spinner=False)
def _latents(states: dict[int, Path], space: Space, changed: tuple) -> Trajectory | None:
    from core.dsae import trajectory

    return trajectory.read(states, space)


def stores() -> dict[str, str]:
    """The finished feature stores under data/: what each holds, by its path."""
    found = {}
    for file in sorted(DATA.glob("**/store.json")):
        try:
            info = json.loads(file.read_text(encoding="utf-8"))
            if info["finished"]:
                found[_shown(file.parent)] = f"{int(info['clips']):,} clips"
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def store_path(name: str) -> str:
    """The path of a store under data/, as `stores` gives it."""
    return _shown(DATA / name)


def _shown(folder: Path) -> str:
    return str(folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder)


def differences(configs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings in which runs differ: for each its value by the run's name."""
    flat = {name: _flat(merge(config, {})) for name, config in configs.items()}
    settings = dict.fromkeys(key for values in flat.values() for key in values)
    table = {s: {name: values.get(s, "") for name, values in flat.items()} for s in settings}
    return {s: row for s, row in table.items() if len({str(v) for v in row.values()}) > 1}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else None
        flat |= {f"{prefix}{key}": value} if inner is None else inner
    return flat


def ago(then: float) -> str:
    """How long ago something was, in words."""
    seconds = time.time() - then
    return "just now" if seconds < 5 else f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    """A length of time in two units: 2 h 05 min, 3 min 20 s, 12 s."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} days {whole % 86_400 // 3600} h"
