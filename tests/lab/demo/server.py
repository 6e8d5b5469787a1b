"""The demo for tests: as a process of its own, started as a Space starts it, or in this process."""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import httpx

from core.checkpoints.checkpoint import list_checkpoints
from tests.lab.browser import ROOT

SHIPS = {"ts-dsae-players", "dsae-dmelodies", "separator-scenes", "scenes-encoder"}
CHECKPOINTS_SHIP = {found.name for found in list_checkpoints()} >= SHIPS


def free_port() -> int:
    """A free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wav_claiming_an_hour() -> bytes:
    """A WAV file of a kilobyte whose header claims an hour."""
    claimed = 3600 * 16_000 * 2
    head = b"RIFF" + struct.pack("<I", claimed + 36) + b"WAVEfmt "
    head += struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    return head + b"data" + struct.pack("<I", claimed) + b"\1\2" * 500


class DemoProcess:
    """`lab/demo/app.py` in a process of its own; uploads lie below `temporary`.

    It starts at once, and answers after `wait`.
    """

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

    def wait(self) -> None:
        """Wait until it answers."""
        for _ in range(600):
            assert self.process.poll() is None, self.log.read_text()
            try:
                httpx.get(f"{self.address}/config", timeout=20).raise_for_status()
                return
            except httpx.HTTPError:
                time.sleep(0.2)
        raise AssertionError(f"the demo did not start: {self.log.read_text()}")

    def end(self) -> None:
        """End it as a Space is ended."""
        self.process.terminate()
        self.process.wait(timeout=60)


class LocalDemo:
    """The demo in this process, and raw HTTP to it."""

    def __init__(self) -> None:
        from lab.demo import app

        port = free_port()
        self.blocks = app.launch(server_port=port, quiet=True)
        self.address = f"http://127.0.0.1:{port}"
        self.api = httpx.Client(base_url=f"{self.address}/gradio_api", timeout=120)
        self.uploads = Path(os.environ["GRADIO_TEMP_DIR"])

    def upload(self, data: bytes, name: str = "a.wav") -> str:
        """The path of an uploaded file on the server."""
        return self.api.post("/upload", files={"files": (name, data)}).json()[0]

    def call(self, endpoint: str, body: object) -> tuple[bool, str]:
        """Whether an endpoint returned a result, and the JSON of the result or of the error."""
        headers = {"content-type": "application/json"}
        sent = self.api.post(f"/call/{endpoint}", content=json.dumps(body), headers=headers)
        if sent.status_code != 200:
            return False, sent.text
        stream = self.api.get(f"/call/{endpoint}/{sent.json()['event_id']}").text
        events = re.findall(r"event: (\w+)\ndata: (.*)", stream)
        assert events, stream
        return events[-1][0] == "complete", events[-1][1]

    def close(self) -> None:
        """Stop it."""
        self.api.close()
        self.blocks.close()
