"""The demo as visitors meet it: its real server, started as a Space starts it."""

import os
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.lab.browser import ROOT


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def hour_of_nothing() -> bytes:
    """A WAV file of a kilobyte whose header claims an hour."""
    promised = 3600 * 16_000 * 2
    head = b"RIFF" + struct.pack("<I", promised + 36) + b"WAVEfmt "
    head += struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    return head + b"data" + struct.pack("<I", promised) + b"\1\2" * 500


class SpaceServer:
    """`lab/demo/app.py` in a process of its own; what visitors leave lies below `temporary`."""

    def __init__(self, temporary: Path) -> None:
        self.port, self.temporary = free_port(), temporary
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = temporary / "log.txt"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "lab/demo/app.py", "--port", str(self.port)],
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
            )
        for _ in range(600):
            assert self.process.poll() is None, self.log.read_text()
            try:
                urllib.request.urlopen(f"{self.address}/config", timeout=20).close()
                return
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.2)
        raise AssertionError(f"the demo did not start: {self.log.read_text()}")

    def end(self) -> None:
        """End it as a Space is ended."""
        self.process.terminate()
        self.process.wait(timeout=60)
