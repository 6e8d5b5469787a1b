"""The demo under load: visitors at once, each with a melody of its own, who swap again and again.

    python -m tests.benchmarks.load_demo --visitors 50 --seconds 60

It starts the real server, and visitors who use it through gradio_client on loopback. Each visitor's
right answer is computed by core beforehand and differs from everybody else's. The exit code is 1 if
an answer was wrong or lost. The latency is that of a whole swap, with the upload, the queue and any
retries while the queue was full. The visitors use CPU of the same machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from gradio_client.utils import QueueError

from core.audio.clip import SAMPLE_RATE, read, write_wav
from lab.demo import models
from tests.lab.demo.server import DemoProcess

NOTES, SEED = 6, 7
SCALE = (55, 57, 60, 62, 64, 67, 69, 72, 74, 76)  # MIDI pitches
NEAR = 2e-3  # largest difference of a right answer: rounding to 16 bits, and the order of sums
PATIENCE = 120.0  # seconds for an answer; after that it is lost
RETRY = 1.0  # seconds until a refused visitor tries again
GROWTH = 64  # MiB that the server may gain in the second half if its memory is flat


@dataclass
class Tally:
    """The outcomes of all swaps. Threads share the lists, as they only append to them."""

    latencies: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)  # MiB: at the start, half-way, at the end

    @property
    def is_flat(self) -> bool:
        """Whether the server's memory hardly grew in the second half."""
        return self.memory[-1] - self.memory[1] < GROWTH

    @property
    def ok(self) -> bool:
        """Whether every swap got its right answer."""
        return bool(self.latencies) and not self.wrong and not self.lost


@dataclass
class Visitor:
    """A visitor with two recordings of its own and the answer that it should get."""

    source: Path
    target: Path
    expected: np.ndarray
    folder: Path

    def stay(self, address: str, ready: threading.Barrier, seconds: float, tally: Tally) -> None:
        """Connect, wait for the others, and swap until the time is over."""
        try:
            client = Client(
                address, verbose=False, analytics_enabled=False, download_files=self.folder
            )
        except Exception as error:
            tally.lost.append(f"could not connect: {error!r}")
            return ready.abort()
        try:
            ready.wait(PATIENCE)
        except threading.BrokenBarrierError:
            return None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.swap(client, tally)
        return client.close()

    def swap(self, client: Client, tally: Tally) -> None:
        """One swap, retried while the queue is full; its outcome goes into the tally."""
        begin = time.monotonic()
        while True:
            given = handle_file(self.source), handle_file(self.target)
            try:
                job = client.submit(*given, api_name="/swap")
                answer = Path(job.result(timeout=PATIENCE))
                break
            except QueueError:
                tally.refused.append(error_text(client.src))
                if time.monotonic() - begin > PATIENCE:
                    return tally.lost.append("the queue stayed full")
                time.sleep(RETRY)
            except AppError as error:
                return tally.wrong.append(str(error))
            except Exception as error:
                return tally.lost.append(repr(error))
        tally.latencies.append(time.monotonic() - begin)
        wave, rate = soundfile.read(answer)
        answer.unlink()
        if rate != SAMPLE_RATE or not alike(wave, self.expected):
            tally.wrong.append(f"{self.source.stem} got the answer of another, or none")
        return None


def alike(wave: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two answers are the same."""
    return len(wave) == len(expected) and bool(np.abs(wave - expected).max() < NEAR)


def error_text(address: str) -> str:
    """The server's error while its queue is full; gradio_client does not pass it on."""
    answer = httpx.post(
        f"{address}gradio_api/call/similar", json={"data": [None, 1, 0]}, timeout=30
    )
    return answer.json()["detail"] if answer.status_code == 503 else ""


def melody(rng: np.random.Generator) -> np.ndarray:
    """Random notes with decaying harmonics, 3.6 s."""
    seconds = np.arange(round(0.6 * SAMPLE_RATE)) / SAMPLE_RATE
    notes, shape = [], np.minimum(1, 40 * seconds) * np.exp(-2 * seconds)
    for pitch in rng.choice(SCALE, NOTES):
        hz = 440 * 2 ** ((pitch - 69) / 12)
        partials = [np.sin(2 * np.pi * k * hz * seconds) / k for k in range(1, 8)]
        notes.append(shape * np.sum(partials, axis=0))
    wave = np.concatenate(notes)
    return wave / np.abs(wave).max()


def visitors(count: int, folder: Path) -> list[Visitor]:
    """`count` visitors with different recordings and different right answers."""
    rng, made = np.random.default_rng(SEED), []
    for number in range(count):
        paths = [folder / f"visitor-{number}-{which}.wav" for which in ("source", "target")]
        for path in paths:
            write_wav(path, melody(rng))
        clips = [read(path, duration=models.SECONDS["swap"]) for path in paths]
        swapped = models.swap(models.SWAP_MODEL, *clips)["swapped"]
        expected = soundfile.read(_file(folder, swapped.wav()))[0]
        kept = folder / f"answers-{number}"
        kept.mkdir()
        made.append(Visitor(*paths, expected, kept))
    for number, one in enumerate(made):
        if any(alike(one.expected, other.expected) for other in made[:number]):
            raise AssertionError(
                "Two visitors expect the same answer: they cannot be distinguished."
            )
    return made


def _file(folder: Path, data: bytes) -> Path:
    path = folder / "expected.wav"
    path.write_bytes(data)
    return path


def resident(pid: int) -> float:
    """Memory of a process that is in use (RSS), MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def load(count: int, seconds: float, folder: Path) -> Tally:
    """Let `count` visitors swap for `seconds`."""
    tally, served = Tally(), folder / "server"
    served.mkdir()
    server = DemoProcess(served)
    try:
        crowd = visitors(count, folder)  # while the server starts
        server.wait()
        alone = Client(server.address, verbose=False, analytics_enabled=False)
        crowd[0].swap(alone, Tally())  # so that all models are loaded at the start
        alone.close()
        ready = threading.Barrier(count + 1, timeout=PATIENCE)
        threads = [
            threading.Thread(target=one.stay, args=(server.address, ready, seconds, tally))
            for one in crowd
        ]
        for thread in threads:
            thread.start()
        ready.wait()
        tally.memory.append(resident(server.process.pid))
        for _ in range(2):
            time.sleep(seconds / 2)
            tally.memory.append(resident(server.process.pid))
        for thread in threads:
            thread.join()
        tally.memory[-1] = resident(server.process.pid)
    finally:
        server.end()
    return tally


def report(tally: Tally, count: int, seconds: float) -> None:
    """Print the tally."""
    print(f"{count} visitors swapping for {seconds:g} s")
    print(f"  answers     {len(tally.latencies)}")
    print(f"  wrong       {len(tally.wrong)}   lost {len(tally.lost)}")
    for outcome in sorted({*tally.wrong, *tally.lost})[:5]:
        print(f"              {outcome}")
    error = next(filter(None, tally.refused), "")
    print(f"  refused     {len(tally.refused)}, and tried again {error and f'({error})'}")
    if tally.latencies:
        p50, p95 = np.percentile(tally.latencies, [50, 95])
        print(f"  latency     p50 {p50:.2f} s   p95 {p95:.2f} s   max {max(tally.latencies):.2f} s")
    memory = ", ".join(f"{mib:.0f}" for mib in tally.memory)
    flat = "flat" if tally.is_flat else f"not flat: grew by {GROWTH} MiB or more"
    print(f"  memory      {memory} MiB at the start, half-way and at the end: {flat}")


def main(argv: list[str] | None = None) -> int:
    """Run the command line. Returns 1 if an answer was wrong or lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.load_demo")
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        tally = load(arguments.visitors, arguments.seconds, Path(folder))
    report(tally, arguments.visitors, arguments.seconds)
    return 0 if tally.ok else 1


if __name__ == "__main__":
    sys.exit(main())
