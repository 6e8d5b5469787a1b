"""Work in a process of its own, which outlives the page that started it.

All that passes between the two is files in a folder. The child inherits a locked file, so the lock
is held exactly as long as it lives, however it ends; what it prints goes to a log; a third file
says how far it is, and is there only until the work has succeeded. Processes start here only.

A `Worker` is a process that stays and does one job after another, for work whose imports and
compilation take longer than the work itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from core.errors import RavelError
from core.files import is_locked, write_json

ROOT = Path(__file__).parent.parent
REPORT = "RAVEL_JOB_REPORT"  # the variable that tells a child where to write its progress
SERVE = "RAVEL_JOB_SOCKET"  # the variable that tells a worker where its jobs come from
MESSAGE = 2**16  # bytes that describe a job to a worker, at most
LOCK_TRIES, LOCK_PAUSE = 5, 0.02  # `is_locked` itself holds a lock for an instant

Process = subprocess.Popen  # for annotations elsewhere
Report = Callable[[float, str], None]  # takes the part that is done, from 0 to 1, and a text


class Progress(NamedTuple):
    """How far a job is: `part` from 0 to 1; `text` says what it does, or why it failed."""

    state: Literal["missing", "running", "failed", "done"]
    part: float = 0.0
    text: str = ""


class Files(NamedTuple):
    """The names of a job's files in its folder."""

    lock: str = "process.lock"
    log: str = "process.log"
    report: str | None = "process.json"  # None where the child does not end by `main`


PROCESS_FILES = Files()


@dataclass(frozen=True)
class Job:
    """`python -m module arguments`, one process at a time for a folder and its `files`."""

    folder: Path
    module: str
    arguments: Sequence[str] = ()
    files: Files = PROCESS_FILES

    def start(
        self,
        text: str = "",
        prepare: Callable[[], Any] | None = None,
        worker: Worker | None = None,
    ) -> int | None:
        """Start the process and return its id, or None where one is at work already.

        `text` is its progress until it reports some; `prepare` writes what it needs, while the lock
        is held. A `worker` of the same module does the job in its turn; it cannot be stopped then.
        Raises RavelError where nothing can be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self._lock, "a+") as lock:
                if not _take(lock):
                    return None
                if prepare:
                    prepare()
                env = dict(os.environ)
                if self._report:
                    write_json(self._report, {"part": 0.0, "text": text})
                    env[REPORT] = str(self._report.resolve())
                if worker and worker.take(self, lock):
                    return worker.pid
                fds = (lock.fileno(),)
                with open(self._log, "wb") as log:
                    process = spawn(self.module, self.arguments, log=log, pass_fds=fds, env=env)
                lock.truncate(0)
                lock.write(str(process.pid))
                return process.pid
        except OSError as error:
            raise RavelError(f"{self.folder} cannot be written ({error.strerror}).") from None

    def stop(self) -> None:
        """Ask the process to end, if there is one."""
        try:
            if self.is_running:
                os.killpg(int(self._lock.read_text()), signal.SIGTERM)
        except (ValueError, ProcessLookupError, PermissionError):
            return  # it is being started, has ended meanwhile, or is another user's

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return is_locked(self._lock)

    def progress(self, is_done: Callable[[], bool]) -> Progress:
        """How far the job is; `is_done` looks for its result."""
        running = self.is_running  # looked at first: it may end while the files are read
        if is_done():
            return Progress("done", 1.0)
        report = self._read_report()
        if running:
            report = report or {}  # it is just being started
            return Progress("running", float(report.get("part", 0.0)), str(report.get("text", "")))
        if report is None:
            return Progress("missing")
        return Progress("failed", 0.0, self.last_line or "its process was ended")

    def described(self) -> bytes:
        """What a worker has to know of the job."""
        report = None if self._report is None else str(self._report.resolve())
        about = {"arguments": [*self.arguments], "report": report, "log": str(self._log.resolve())}
        return json.dumps(about).encode()

    @property
    def log(self) -> str:
        """What the process printed."""
        try:
            return self._log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    @property
    def last_line(self) -> str:
        """The last line that the process printed, which says why it failed; '' if there is none."""
        return self.log.strip().rsplit("\n", 1)[-1].removeprefix("python -m core: ")

    def _read_report(self) -> dict[str, Any] | None:
        if self._report is None:
            return None
        try:
            return dict(json.loads(self._report.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def _lock(self) -> Path:
        return self.folder / self.files.lock

    @property
    def _log(self) -> Path:
        return self.folder / self.files.log

    @property
    def _report(self) -> Path | None:
        return None if self.files.report is None else self.folder / self.files.report


class Worker:
    """A process of `python -m module` that does the module's jobs one after another.

    It belongs to this process and ends with it. A job is handed over with its lock, so that the
    job's progress is read as that of one with a process of its own.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self._process: Process | None = None
        self._channel: socket.socket | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The number of the process, or None before `start`."""
        return None if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process, unless it lives."""
        with self._lock:
            if self.is_running:
                return
            self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                env = {**os.environ, SERVE: str(theirs.fileno())}
                self._process = spawn(self.module, (), pass_fds=(theirs.fileno(),), env=env)

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def take(self, job: Job, lock: IO[Any]) -> bool:
        """Hand over a job with its locked file; False where the process has ended."""
        with self._lock:
            if not self.is_running or self._channel is None:
                return False
            try:
                socket.send_fds(self._channel, [job.described()], [lock.fileno()])
            except OSError:  # it ended just now
                return False
            return True


def main(work: Callable[[list[str], Report], Any], ready: Callable[[], Any] | None = None) -> int:
    """The child's side: do the work with the command line's arguments, and return the exit status.

    A RavelError is printed as one sentence, which `Progress` repeats; the status is 2 then. Started
    by a `Worker`, it does one job after another, after `ready` has prepared for all of them.
    """
    path = os.environ.pop(REPORT, None)  # not for processes that this one starts
    if SERVE in os.environ:
        os.nice(5)  # the page that asks for such a job waits for it
        return _serve(work, ready, int(os.environ.pop(SERVE)))
    os.nice(10)  # the lab, and the sound that it plays, come first
    return 0 if _do(work, sys.argv[1:], path) else 2


def _do(work: Callable[[list[str], Report], Any], arguments: list[str], path: str | None) -> bool:
    """Do one job, which reports to the file `path`; False where it fails for a known reason."""

    def report(part: float, text: str) -> None:
        if path:
            write_json(Path(path), {"part": part, "text": text})

    try:
        work(arguments, report)
    except RavelError as error:
        print(error)
        return False
    if path:
        Path(path).unlink(missing_ok=True)
    return True


def _serve(
    work: Callable[[list[str], Report], Any], ready: Callable[[], Any] | None, channel: int
) -> int:
    """Do the jobs that come from a socket until its other end is closed."""
    with suppress(KeyboardInterrupt), socket.socket(fileno=channel) as jobs:
        if ready:
            ready()
        while True:
            message, locks, *_ = socket.recv_fds(jobs, MESSAGE, 1)
            if not message:
                return 0
            about = json.loads(message)
            # The lock is held until the file is closed, that is until the job has ended.
            with (
                os.fdopen(locks[0]),
                open(about["log"], "w", encoding="utf-8") as log,
                redirect_stdout(log),
                redirect_stderr(log),
            ):
                try:
                    _do(work, about["arguments"], about["report"])
                except Exception:  # a bug in one job must not end the others
                    traceback.print_exc()
    return 0


def counting(report: Report, verb: str) -> Callable[[int, int], None]:
    """`report` as a callback that takes how many clips are done, and how many there are."""

    def on_progress(done: int, of: int) -> None:
        if done:
            report(done / of, f"{done:,} of {of:,} clips {verb}")

    return on_progress


def spawn(
    module: str,
    arguments: Sequence[str],
    *,
    log: IO[Any] | None = None,
    pass_fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
) -> Process:
    """Start `python -m module arguments`, which inherits the open files `pass_fds`.

    With `log`, which takes what it prints, it is a process of its own: in a session of its own, it
    outlives this one, and a Ctrl-C in the terminal does not reach it. Without, it belongs to this
    one: it prints where this one prints, and relative paths mean the same to both.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=None if log is None else ROOT,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=None if log is None else subprocess.STDOUT,
        start_new_session=log is not None,
        pass_fds=tuple(pass_fds),
        env=None if env is None else dict(env),
    )
    if log is not None:  # somebody has to wait for it, or it is a zombie once it has ended
        threading.Thread(target=process.wait, daemon=True).start()
    return process


def run(
    module: str, arguments: Sequence[str], *, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module arguments` to its end. Raises TimeoutError after so many seconds."""
    command = [sys.executable, "-m", module, *arguments]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{module} took more than {seconds:g} s.") from None


def _take(lock: IO[Any]) -> bool:
    """Lock an open file; False if a process holds it for longer than a look takes."""
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(LOCK_PAUSE)
    return False
