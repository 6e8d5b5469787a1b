"""What a GPU does while it trains: its load and the memory that was taken."""

import threading
import time

import torch

from core.training.devices import load_of

LOOK_SECONDS = 5.0


class Meter:
    """Looks at a device now and then. Of a CPU there is nothing to tell."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.next_look = 0.0 if device.type == "cuda" else float("inf")
        self.load: float | None = None
        self.asking: threading.Thread | None = None

    def read(self) -> dict[str, float]:
        """`gpu_memory`, the most that this process took since the last look, in GiB, and
        `gpu_load` in per cent, whoever causes it; empty until the next look is due."""
        if time.monotonic() < self.next_look:
            return {}
        self.next_look = time.monotonic() + LOOK_SECONDS
        told = {"gpu_memory": torch.cuda.max_memory_reserved(self.device) / 2**30}
        torch.cuda.reset_peak_memory_stats(self.device)
        if self.load is not None:
            told["gpu_load"] = self.load
        if self.asking is None or not self.asking.is_alive():  # training does not wait for it
            self.asking = threading.Thread(target=self._ask, daemon=True)
            self.asking.start()
        return told

    def _ask(self) -> None:
        self.load = load_of(str(torch.cuda.get_device_properties(self.device).uuid))
