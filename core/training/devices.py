"""What there is to train on, told without importing torch or waking a GPU."""

import os
import subprocess
from typing import NamedTuple

QUERY = "index,uuid,name,memory.total,memory.free,utilization.gpu"


class Device(NamedTuple):
    """A CPU or a GPU. `name` is what `training.device` takes; memory in GiB, load in per cent."""

    name: str
    title: str
    memory: float | None = None
    free: float | None = None
    load: float | None = None

    def __str__(self) -> str:
        if self.memory is None:
            return f"{self.name}: {self.title}"
        free = "" if self.free is None else f", {self.free:.0f} free"
        return f"{self.name}: {self.title}, {self.memory:.0f} GiB{free}"


def devices() -> list[Device]:
    """Every GPU that torch would number, in its order, then the CPU."""
    cores = len(os.sched_getaffinity(0))
    return [*gpus(), Device("cpu", f"{cores} core{'s' if cores > 1 else ''}")]


def gpus() -> list[Device]:
    """The NVIDIA GPUs this process may use; none where the driver's tool is missing."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    rows = [
        [cell.strip() for cell in line.split(",")] for line in (_ask(command) or "").split("\n")
    ]
    rows = [row for row in rows if len(row) == len(QUERY.split(","))]
    return [_device(number, row) for number, row in enumerate(_visible(rows))]


def load_of(uuid: str) -> float | None:
    """The load of the GPU that torch calls by this UUID, in per cent; None where nobody says."""
    name = uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"
    command = ["nvidia-smi", f"--id={name}", "--query-gpu=utilization.gpu"]
    answer = _ask([*command, "--format=csv,noheader,nounits"])
    return None if answer is None else _number(answer.strip())


def resolve(name: str) -> str:
    """`auto` and `cuda` as the device that they come to: cpu or cuda:N."""
    if name == "auto":
        return "cuda:0" if gpus() else "cpu"
    return "cuda:0" if name == "cuda" else name


def occupied(name: str, processes: int = 1) -> list[str]:
    """The devices that a run takes up: the CPU, or as many GPUs as it has processes."""
    first = resolve(name)
    if processes > 1 and first.startswith("cuda"):
        return [f"cuda:{number}" for number in range(processes)]
    return [first]


def places() -> dict[tuple[str, int], str]:
    """Where a run can be trained, as `training.device` and `training.processes`, in words."""
    found, cores = devices(), len(os.sched_getaffinity(0))
    offered = {(device.name, 1): str(device) for device in found}
    graphics = [device for device in found if device.name != "cpu"]
    if len(graphics) > 1:
        offered["cuda", len(graphics)] = f"cuda: all {len(graphics)} GPUs, a process on each"
    for count in dict.fromkeys((2, min(cores, 8))):
        if 1 < count <= cores:
            offered["cpu", count] = f"cpu: {count} processes"
    return offered


def _visible(rows: list[list[str]]) -> list[list[str]]:
    """The rows that CUDA_VISIBLE_DEVICES leaves, in its order."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return rows
    wanted = [part.strip() for part in chosen.split(",") if part.strip()]
    return [row for part in wanted for row in rows if part == row[0] or row[1].startswith(part)]


def _device(number: int, row: list[str]) -> Device:
    mebibytes = [_number(cell) for cell in row[3:5]]
    total, free = (None if m is None else m / 1024 for m in mebibytes)
    return Device(f"cuda:{number}", row[2], total, free, _number(row[5]))


def _ask(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):  # there is no such tool, or it knows no answer
        return None
    return done.stdout


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:  # "[N/A]" on some
        return None
