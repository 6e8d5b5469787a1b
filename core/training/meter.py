"""A GPU's load and memory while it trains."""

import threading
import time

import torch

from core.training.devices import load_of

LOOK_SECONDS = 5.0


class Meter:
    """Measures a GPU every few seconds; of a CPU it measures nothing."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.next_look = 0.0 if device.type == "cuda" else float("inf")
        self.load: float | None = None
        self.query: threading.Thread | None = None

    def read(self) -> dict[str, float]:
        """`gpu_memory`, this process's peak since the last look in GiB, and `gpu_load`, the total
        load from all processes in per cent; empty until the next look is due."""
        if time.monotonic() < self.next_look:
            return {}
        self.next_look = time.monotonic() + LOOK_SECONDS
        figures = {"gpu_memory": torch.cuda.max_memory_reserved(self.device) / 2**30}
        torch.cuda.reset_peak_memory_stats(self.device)
        if self.load is not None:
            figures["gpu_load"] = self.load
        if self.query is None or not self.query.is_alive():  # training does not wait for the driver
            self.query = threading.Thread(target=self._ask, daemon=True)
            self.query.start()
        return figures

    def _ask(self) -> None:
        self.load = load_of(str(torch.cuda.get_device_properties(self.device).uuid))
