"""What room there is for clips: on a device they are fast, on disk there is no end to them."""

import os
import resource
from pathlib import Path

import torch

from core.training.config import TrainingConfig

SHARE = 0.5  # of what is free; the rest is for the model, its gradients and everybody else
# Where control groups of either version say how much their processes may use, and do.
GROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def fits(size: int, device: torch.device, config: TrainingConfig) -> bool:
    """Whether clips of so many bytes are to be kept on the device: as the config says, or by what
    is free there."""
    return config.in_memory == "yes" or (
        config.in_memory == "auto" and size <= SHARE * free(device)
    )


def free(device: torch.device) -> int:
    """The bytes that are free on a device, a process's share of them on the CPU."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    local = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1")))
    return max(0, min(_of_machine() // local, *map(_of_group, GROUPS), _of_process()))


def said(clips: int, size: int, kept: bool, device: torch.device) -> str:
    """Where clips are, as a sentence for the log."""
    where = f"kept on {device}" if kept else "read from disk, which has more room than the memory"
    return f"{clips:,} clips of {size / 2**30:.2f} GiB are {where}"


def _of_machine() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines)
    return int(values["MemAvailable"].split()[0]) * 1024


def _of_group(files: tuple[str, str, str]) -> int:
    folder, most, used = files
    try:
        left = int(Path(folder, most).read_text()) - int(Path(folder, used).read_text())
        facts = dict(line.split() for line in Path(folder, "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # another version of control groups, or no limit: "max"
        return 2**62
    # What is cached of files counts as used, but is given up when it is needed.
    return left + sum(int(facts.get(name, 0)) for name in ("inactive_file", "active_file"))


def _of_process() -> int:
    """What the limits of this process leave of data in memory."""
    most = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    used = [_status("VmData"), _status("VmSize")]
    left = [m - u for m, u in zip(most, used, strict=True) if m != resource.RLIM_INFINITY]
    return min(left, default=2**62)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(n.split()[1]) * 1024 for n in lines if n.startswith(f"{name}:")), 0)
