"""The devices to train on, found without importing torch or waking a GPU."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import pynvml


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
    """The NVIDIA GPUs that this process may use; none without a driver."""
    with _driver() as available:
        if not available:
            return []
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        uuids = [pynvml.nvmlDeviceGetUUID(handle) for handle in handles]
        return [_device(n, handles[index]) for n, index in enumerate(_visible(uuids))]


def load_of(uuid: str) -> float | None:
    """The load of the GPU with torch's UUID, in per cent; None where the driver gives none."""
    name = uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"
    with _driver() as available:
        if available:
            with suppress(pynvml.NVMLError):
                return _load(pynvml.nvmlDeviceGetHandleByUUID(name))
    return None


def resolve(name: str) -> str:
    """The device, cpu or cuda:N, that `auto` and `cuda` stand for."""
    if name == "auto":
        return "cuda:0" if gpus() else "cpu"
    return "cuda:0" if name == "cuda" else name


def occupied(name: str, processes: int = 1) -> list[str]:
    """The devices that a run occupies: the CPU, or as many GPUs as it has processes."""
    first = resolve(name)
    if processes > 1 and first.startswith("cuda"):
        return [f"cuda:{number}" for number in range(processes)]
    return [first]


def places() -> dict[tuple[str, int], str]:
    """Where a run can be trained: titles by `training.device` and `training.processes`."""
    found, cores = devices(), len(os.sched_getaffinity(0))
    offered = {(device.name, 1): str(device) for device in found}
    graphics = [device for device in found if device.name != "cpu"]
    if len(graphics) > 1:
        offered["cuda", len(graphics)] = f"cuda: all {len(graphics)} GPUs, a process on each"
    for count in dict.fromkeys((2, min(cores, 8))):
        if 1 < count <= cores:
            offered["cpu", count] = f"cpu: {count} processes"
    return offered


@contextmanager
def _driver() -> Iterator[bool]:
    """NVIDIA's management library, open within; False where there is none."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _visible(uuids: list[str]) -> list[int]:
    """The indices of the GPUs that CUDA_VISIBLE_DEVICES leaves, in its order."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return list(range(len(uuids)))
    wanted = [part.strip() for part in chosen.split(",") if part.strip()]
    return [
        index
        for part in wanted
        for index, uuid in enumerate(uuids)
        if part == str(index) or uuid.startswith(part)
    ]


def _device(number: int, handle: Any) -> Device:
    total = free = None
    with suppress(pynvml.NVMLError):  # not all GPUs report everything
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        total, free = (int(size) / 2**30 for size in (memory.total, memory.free))
    title = pynvml.nvmlDeviceGetName(handle)
    return Device(f"cuda:{number}", title, total, free, _load(handle))


def _load(handle: Any) -> float | None:
    with suppress(pynvml.NVMLError):
        return float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    return None
