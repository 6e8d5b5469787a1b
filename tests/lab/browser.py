"""The lab's real server, for tests in a real browser."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
# As somebody who asks the system for less motion: drawing Streamlit's fades and shimmers takes a
# software renderer longer than the page itself.
DESK: Any = {"viewport": {"width": 1440, "height": 1100}, "reduced_motion": "reduce"}
WAIT_MS = 180_000  # a state that does not come fails; a busy machine does not
QUIET_MS = 300  # the page starts to run within a third of this after a click
SHIPPED = """
import sys
from pathlib import Path
from core.checkpoints import checkpoint
checkpoint.SHIPPED = Path(sys.argv.pop(1))
from streamlit.web.cli import main
sys.exit(main())
"""

REST = """([count, quiet]) => {
    const app = document.querySelector("[data-testid=stApp]");
    const players = document.querySelectorAll(".player");
    const ready = !document.querySelector(".sound.waits")
        && (count === null || players.length == count);
    const still = app?.dataset.testScriptState == "notRunning" && ready;
    const now = performance.now();
    if (!still || window.restless === undefined) window.restless = now;
    return now - window.restless > quiet;
}"""

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="there is no chromium on this machine")


def at_rest(tab, players: int | None = None, timeout: float = WAIT_MS) -> None:
    """Wait until no script of the page has run for QUIET_MS.

    `players`: the number of players to wait for, all able to play. Streamlit shows its sign of a
    running script too late, so this reads the state that it keeps for tests.
    """
    tab.evaluate("window.restless = performance.now()")
    tab.wait_for_function(REST, arg=[players, QUIET_MS], timeout=timeout)


def mixed(tab, players: int, timeout: float = WAIT_MS) -> None:
    """Wait until a page with a mixer is at rest and the mixer can play."""
    at_rest(tab, players, timeout)
    tab.locator(".mixer .play:not([disabled])").wait_for()


class Server:
    """The lab on a free port, started as by `make lab`; it can be killed and restarted.

    `log`: file for its output; `checkpoints`: a folder to use in place of the included ones;
    `environment`: further variables, such as RAVEL_DATA.
    """

    def __init__(self, log: Path, checkpoints: Path | None = None, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log, self.checkpoints, self.environment = log, checkpoints, environment
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        streamlit = ["-c", SHIPPED, str(self.checkpoints)] if self.checkpoints else None
        options = f"--server.headless true --server.address 127.0.0.1 --server.port {self.port}"
        with self.log.open("a") as out:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    *(streamlit or ["-m", "streamlit"]),
                    "run",
                    "app.py",
                    *options.split(),
                    "--server.fileWatcherType",
                    "none",
                ],
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": "1"} | self.environment,
            )
        for _ in range(300):
            assert self.process.poll() is None, self.log.read_text()
            try:
                urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=5).close()
                return
            except urllib.error.URLError:
                time.sleep(0.2)
        raise AssertionError(f"the lab did not start: {self.log.read_text()}")

    def kill(self) -> None:
        """Kill it at once, as in a crash."""
        self.process.kill()
        self.process.wait()
