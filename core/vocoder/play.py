"""How a log-mel is heard: by the vocoder that ships, or by Griffin-Lim.

wave = play(log_mel)  # [T, 80] to [(T - 1) * 256]

Torch is imported when something is played.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from core.checkpoints import checkpoint as checkpoints
from core.checkpoints.checkpoint import Checkpoint
from core.errors import RavelError

if TYPE_CHECKING:
    from torch import Tensor

    from core.vocoder.vocode import Speaker

VOCODER, GRIFFIN_LIM, PAPER = "vocoder", "live", "paper"
CHECKPOINT = "vocoder"  # among those that ship
WAYS = {
    VOCODER: "a network that was trained to turn log-mels into sound",
    GRIFFIN_LIM: "Griffin-Lim with a fit of the log-mel: no training",
    PAPER: "Griffin-Lim after least squares, as in the paper",
}


def there() -> bool:
    """Whether the vocoder ships with this copy."""
    return (checkpoints.SHIPPED / CHECKPOINT / "model.safetensors").is_file()


def usual() -> str:
    """The way that is taken where none is named: the vocoder, else Griffin-Lim."""
    return VOCODER if there() else GRIFFIN_LIM


def digest(way: str | None = None) -> str:
    """What a sound made in a way hangs on, for caches: of the vocoder, its weights."""
    way = checked(way)
    return f"{way}-{_checkpoint().digest}" if way == VOCODER else way


def play(log_mel: Tensor, way: str | None = None, device: str = "cpu") -> Tensor:
    """Log-mels [..., T, 80] as waves float32 [..., (T - 1) * 256] at their own level.

    Raises RavelError for an unknown way, a vocoder that is not there, and any other shape.
    """
    way = checked(way)
    if way == VOCODER:
        return _speaker(digest(way), device).to_waveform(log_mel)
    from core.audio.invert import to_waveform

    return to_waveform(log_mel, route=way)


def checked(way: str | None) -> str:
    """A way by name, or the usual one. Raises RavelError for one that there is not."""
    way = way or usual()
    if way not in WAYS:
        raise RavelError(f"There is no route {way!r} back to sound: choose {_or(WAYS)}.")
    if way == VOCODER and not there():
        raise RavelError(
            f"The vocoder is not there: restore checkpoints/{CHECKPOINT}, or take the route "
            f"{GRIFFIN_LIM}."
        )
    return way


def _checkpoint() -> Checkpoint:
    return Checkpoint(checkpoints.SHIPPED / CHECKPOINT)


@lru_cache(maxsize=2)
def _speaker(digest: str, device: str) -> Speaker:
    from core.vocoder.vocode import load

    return load(checkpoints.SHIPPED / CHECKPOINT, device)


def _or(names: dict[str, str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"
