"""Where a run's figures go: functions that take a kind, a step and named values."""

from collections.abc import Callable
from typing import Any

from core.errors import RavelError
from core.training.config import TrainingConfig
from core.training.run import Run

Sink = Callable[[str, int, dict[str, Any]], None]


def of(run: Run, config: TrainingConfig) -> list[Sink]:
    """The run's own metrics and, where asked for, TensorBoard events.

    Raises RavelError when TensorBoard is not installed.
    """
    if not config.tensorboard:
        return [run.log]
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise RavelError(
            "training.tensorboard needs the package tensorboard: run 'pip install tensorboard'."
        ) from None
    writer = SummaryWriter(run.path / "tensorboard")

    def events(kind: str, step: int, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, float):
                writer.add_scalar(f"{kind}/{name}", value, step)
        writer.flush()

    return [run.log, events]
