"""What becomes of the channels of a mixture that is remixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.audio.clip import Clip
from core.dsae.instruments import InstrumentTable
from core.errors import RavelError

Giver = Clip | int  # who gives an instrument or a melody: a clip, or a channel by its number


@dataclass(frozen=True, eq=False)
class Change:
    """What becomes of a channel; by default it stays as it was separated, at its level.

    `instrument`: the name of one that the model knows, a clip, or the number of a channel;
    `melody`: a clip or the number of a channel; `level` in dB, None to mute it.
    """

    instrument: str | Giver | None = None
    melody: Giver | None = None
    level: float | None = 0.0

    @property
    def keeps(self) -> bool:
        """Whether the channel stays as it was separated, but for its level."""
        return self.instrument is None and self.melody is None


def check(
    changes: Mapping[int, Change], count: int, instruments: InstrumentTable | None, model: str
) -> None:
    """Raise RavelError for a change of, or by, a channel that there is not among `count`, to an
    instrument that the `model` does not know, or to a level that is no number."""
    for number, change in changes.items():
        givers = [giver for giver in (change.instrument, change.melody) if isinstance(giver, int)]
        for asked in (number, *givers):
            if not 1 <= asked <= count:
                raise RavelError(
                    f"There is no channel {asked}: the separator makes {count}, so choose from 1 "
                    f"to {count}."
                )
        if change.level is not None and not np.isfinite(change.level):
            raise RavelError(f"Channel {number} cannot have a level of {change.level} dB.")
        if isinstance(change.instrument, str):
            require_instruments(instruments, model).mean(change.instrument)


def require_instruments(instruments: InstrumentTable | None, model: str) -> InstrumentTable:
    """The instruments that a model knows. Raises RavelError if it was never told of any."""
    if instruments is None:
        raise RavelError(
            f"The checkpoint {model} was never told of any instrument: give a recording of one, or "
            "run python -m core instruments."
        )
    return instruments
