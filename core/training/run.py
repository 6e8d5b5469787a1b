"""A run is a directory, and the directory is the truth.

Torch is imported by what saves and loads weights only: those who watch runs need none.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import RavelError
from core.files import is_locked, replace, write_json
from core.training.config import merge

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

HEARTBEAT_SECONDS = 2.0
ALIVE = ("queued", "running")
INITIAL = "initial"  # the saved state that training starts from, if not from random weights
START_SECONDS = 120  # a command that made a run holds it by then: torch is slow to import
LOCK_TRIES, LOCK_PAUSE = 20, 0.05  # a check whether a run is held takes the lock for an instant
LOCK_FD = "RAVEL_RUN_LOCK"  # the variable by which a launcher hands its lock on


class Run:
    """One training run on disk. Everybody reads it; only the process that holds its lock writes."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock: Any = None
        self._beat = 0.0

    # -- making and opening ------------------------------------------------------------------

    @classmethod
    def create(cls, path: str | Path, config: Mapping[str, Any]) -> Run:
        """A new run with its config. Raises RavelError where one stands already."""
        run = cls(path)
        try:
            run.path.mkdir(parents=True)
        except FileExistsError:
            raise RavelError(
                f"There is a run at {run.path} already: resume it, or choose another name."
            ) from None
        except OSError as error:
            raise RavelError(f"No run can be made at {run.path}: {error.strerror}.") from None
        write_json(run.path / "config.json", config)
        run.write_state(state="queued", step=0)
        return run

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """An existing run. Raises RavelError when the folder holds none."""
        run = cls(path)
        if not (run.path / "config.json").is_file():
            raise RavelError(f"There is no run at {run.path}: a run's folder holds a config.json.")
        return run

    @property
    def config(self) -> dict[str, Any]:
        """The config the run was made with, as plain data. Raises RavelError when damaged."""
        try:
            return dict(json.loads((self.path / "config.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise RavelError(f"{self.path / 'config.json'} is damaged: {error}.") from None

    def move(self, device: str, processes: int) -> None:
        """Train on another device, or with another number of processes, from now on."""
        where = {"training": {"device": device, "processes": processes}}
        write_json(self.path / "config.json", merge(self.config, where))

    # -- who holds it ------------------------------------------------------------------------

    def hold(self) -> None:
        """Take the lock for as long as this process lives. Raises RavelError when it is taken."""
        if self._lock or self.inherit():
            return
        self._lock = open(self.path / "lock", "a")  # noqa: SIM115 - held for the process's life
        for attempt in range(LOCK_TRIES):
            try:
                return fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(LOCK_PAUSE if attempt < LOCK_TRIES - 1 else 0)
        self.release()
        raise RavelError(
            f"The run at {self.path} is being trained by another process: stop that one first."
        )

    def inherit(self) -> bool:
        """Take over the lock that the launcher took for this process, so that it is never free."""
        number = int(os.environ.pop(LOCK_FD, "-1"))
        try:
            if not os.path.samestat(os.fstat(number), os.stat(self.path / "lock")):
                return False
        except OSError:  # none was handed over
            return False
        os.set_inheritable(number, False)
        self._lock = os.fdopen(number, "a")
        return True

    def lend(self) -> dict[str, Any]:
        """What `subprocess.Popen` needs for a child that takes over the lock this process holds."""
        number = self._lock.fileno()
        return {"pass_fds": (number,), "env": {**os.environ, LOCK_FD: str(number)}}

    def release(self) -> None:
        """Give the lock back."""
        if self._lock:
            self._lock.close()
            self._lock = None

    @property
    def is_mine(self) -> bool:
        """Whether this process holds the lock."""
        return self._lock is not None

    @property
    def held(self) -> bool:
        """Whether a living process holds the lock; a killed one loses it at once."""
        return is_locked(self.path / "lock")

    # -- state -------------------------------------------------------------------------------

    def write_state(self, **values: Any) -> None:
        """Replace fields of the state, with the time of the change."""
        write_json(self.path / "state.json", {**self._state(), **values, "heartbeat": time.time()})

    def fail(self, message: str) -> None:
        """Say why the run failed, even where the disk has no room for another file."""
        failed = {"state": "failed", "message": message}
        try:
            self.write_state(**failed)
        except OSError:
            with open(self.path / "state.json", "r+", encoding="utf-8") as file:
                state = {**json.load(file), **failed, "heartbeat": time.time()}
                file.seek(0)
                file.write(json.dumps(state))  # without indents it takes no more room than before
                file.truncate()

    def beat(self, **values: Any) -> None:
        """As `write_state`, but no more often than every two seconds."""
        if time.monotonic() - self._beat > HEARTBEAT_SECONDS:
            self._beat = time.monotonic()
            self.write_state(**values)

    def state(self) -> dict[str, Any]:
        """The state as it truly is: a run that says it is running but holds no lock crashed."""
        state = self._state()
        if self._dead(state):
            state = self._state()  # it may have ended well between the two looks
        if self._dead(state):
            message = state.get("message") or "its process died; resume it to continue"
            state |= {"state": "failed", "message": message}
        return state

    def _dead(self, state: Mapping[str, Any]) -> bool:
        # Queued, and never held yet: the command that made it a moment ago is about to take it. A
        # job of a cluster (`job`) may wait for days.
        fresh = time.time() - state.get("heartbeat", 0) < START_SECONDS
        fresh = (fresh and not (self.path / "lock").exists()) or bool(state.get("job"))
        fresh = fresh and state.get("state") == "queued"
        return state.get("state") in ALIVE and not fresh and not self.held

    def _state(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.path / "state.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return {}

    def ask_to_stop(self) -> None:
        """Ask the worker to save and leave; it looks between steps."""
        (self.path / "STOP").touch()

    @property
    def asked_to_stop(self) -> bool:
        """Whether somebody asked the run to stop."""
        return (self.path / "STOP").exists()

    def forget_stop(self) -> None:
        """Clear an earlier request to stop."""
        (self.path / "STOP").unlink(missing_ok=True)

    # -- metrics -----------------------------------------------------------------------------

    def log(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Append one record of metrics as a line of JSON."""
        record = {"kind": kind, "step": step, "time": round(time.time(), 3), **values}
        short = {k: round(v, 6) if isinstance(v, float) else v for k, v in record.items()}
        line = json.dumps(short)
        with open(self.path / "metrics.jsonl", "a+b") as file:
            # A killed writer can leave half a line: end it, so that this one stands by itself.
            if file.tell() and not _ends_with_newline(file):
                file.write(b"\n")
            file.write(line.encode() + b"\n")

    def metrics(self, kind: str | None = None) -> Iterator[dict[str, Any]]:
        """Records in order; half-written lines are passed over."""
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if isinstance(record, dict) and kind in (None, record.get("kind")):
                    yield record

    # -- saved states ------------------------------------------------------------------------

    def save(
        self,
        name: str,
        model: nn.Module,
        optimizer: Any | None,
        progress: Mapping[str, Any],
        kept: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Save weights, optimizer (if given), progress and the tensors that a task keeps, by name,
        as one safetensors file, atomically."""
        from safetensors.torch import save_file

        tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
        tensors |= {f"task.{k}": v for k, v in (kept or {}).items()}
        states = optimizer.state_dict()["state"] if optimizer else {}
        for index, slots in states.items():
            tensors |= {f"optimizer.{index}.{slot}": value for slot, value in slots.items()}
        tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        metadata = {"progress": json.dumps(progress)}
        replace(folder / f"{name}.safetensors", lambda path: save_file(tensors, path, metadata))

    def save_initial(self, weights: Mapping[str, Tensor]) -> None:
        """Save the weights that training starts from, by name, as the state INITIAL."""
        from safetensors.torch import save_file

        tensors = {f"model.{k}": v.detach().cpu().contiguous() for k, v in weights.items()}
        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        metadata = {"progress": json.dumps({"step": 0})}
        replace(folder / f"{INITIAL}.safetensors", lambda path: save_file(tensors, path, metadata))

    def has(self, name: str) -> bool:
        """Whether a state of that name was saved."""
        return (self.path / "checkpoints" / f"{name}.safetensors").exists()

    @property
    def snapshots(self) -> list[int]:
        """The steps whose weights were kept for good."""
        names = [file.stem for file in (self.path / "checkpoints").glob("step_*.safetensors")]
        return sorted(int(name.removeprefix("step_")) for name in names)

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[int, dict[str, Tensor]], dict]:
        """Weights, optimizer slots and progress. Raises RavelError when missing or damaged."""
        tensors, progress = self._read(name)
        weights: dict[str, Tensor] = {}
        slots: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            kind, _, rest = key.partition(".")
            if kind == "model":
                weights[rest] = tensor
            elif kind == "optimizer":
                index, _, slot = rest.partition(".")
                slots.setdefault(int(index), {})[slot] = tensor
        return weights, slots, progress

    def load_kept(self, name: str) -> dict[str, Tensor]:
        """The tensors that the task kept, by name. Raises RavelError when missing or damaged."""
        tensors, _ = self._read(name)
        return {k.removeprefix("task."): v for k, v in tensors.items() if k.startswith("task.")}

    def _read(self, name: str) -> tuple[dict[str, Tensor], dict]:
        from safetensors import SafetensorError, safe_open

        path = self.path / "checkpoints" / f"{name}.safetensors"
        try:
            with safe_open(path, "pt") as file:
                progress = json.loads(file.metadata()["progress"])
                return {key: file.get_tensor(key) for key in file.keys()}, progress  # noqa: SIM118
        except FileNotFoundError:
            raise RavelError(f"The run at {self.path} has no saved state '{name}' yet.") from None
        except (SafetensorError, KeyError, TypeError) as error:
            raise RavelError(f"The saved state {path} is damaged ({error}): delete it.") from None


def this_process() -> dict[str, Any]:
    """Which process works on a run, for its state."""
    return {"pid": os.getpid(), "host": socket.gethostname()}


def restore_initial(model: nn.Module, run: Run) -> None:
    """Put the weights that training starts from into a model. Raises RavelError if they do not fit
    it."""
    try:
        model.load_state_dict(run.load(INITIAL)[0])
    except RuntimeError:
        raise RavelError(
            f"The weights of {run.config['training']['start_from']} do not fit the model: keep the "
            "settings in its section `model`, or start from random weights."
        ) from None


def restore_optimizer(
    optimizer: torch.optim.Optimizer, slots: dict[int, dict[str, Tensor]]
) -> None:
    """Put saved slots back; the hyper-parameters stay the optimizer's own."""
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})


def _ends_with_newline(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
