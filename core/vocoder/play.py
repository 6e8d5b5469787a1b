"""Log-mels as sound, by the vocoder that ships or by Griffin-Lim.

wave = play(log_mel)  # [T, 80] to [(T - 1) * 256]

Torch is imported when something is played.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from core.checkpoints import checkpoint
from core.errors import RavelError

if TYPE_CHECKING:
    from torch import Tensor

    from core.vocoder.vocode import Vocoder

VOCODER, GRIFFIN_LIM, PAPER = "vocoder", "live", "paper"
ROUTES = {
    VOCODER: "a network trained to turn log-mels into sound",
    GRIFFIN_LIM: "Griffin-Lim with a fit of the log-mel, no training",
    PAPER: "Griffin-Lim after least squares, as in the paper",
}
CHECKPOINT = "vocoder"  # among the shipped checkpoints


def is_available() -> bool:
    """Whether the vocoder ships with this copy."""
    return (checkpoint.SHIPPED / CHECKPOINT / "model.safetensors").is_file()


def default_route() -> str:
    """The route taken when none is named: the vocoder if available, else Griffin-Lim."""
    return VOCODER if is_available() else GRIFFIN_LIM


def route_digest(route: str | None = None) -> str:
    """A cache key for sounds made by a route; the vocoder's includes its weights."""
    route = check_route(route)
    return f"{route}-{checkpoint.Checkpoint(_path()).digest}" if route == VOCODER else route


def play(log_mel: Tensor, route: str | None = None, device: str = "cpu") -> Tensor:
    """Log-mels [..., T, 80] as waves float32 [..., (T - 1) * 256] at their own level.

    Raises RavelError for an unknown route, a missing vocoder, and any other shape.
    """
    route = check_route(route)
    if route == VOCODER:
        return _load(route_digest(route), device).to_waveform(log_mel)
    from core.audio.invert import to_waveform

    return to_waveform(log_mel, route=cast(Literal["live", "paper"], route))


def check_route(route: str | None) -> str:
    """The named route, or the default one. Raises RavelError if it is unknown or unavailable."""
    route = route or default_route()
    if route not in ROUTES:
        *names, last = ROUTES
        raise RavelError(
            f"There is no route {route!r} from log-mels to sound: choose {', '.join(names)} or "
            f"{last}."
        )
    if route == VOCODER and not is_available():
        raise RavelError(
            f"The vocoder is missing: restore checkpoints/{CHECKPOINT}, or choose the route "
            f"{GRIFFIN_LIM}."
        )
    return route


def _path() -> Path:
    return checkpoint.SHIPPED / CHECKPOINT


@lru_cache(maxsize=2)
def _load(digest: str, device: str) -> Vocoder:
    """The shipped vocoder; `digest` makes the cache notice when its weights change."""
    from core.vocoder.vocode import load

    return load(_path(), device)
