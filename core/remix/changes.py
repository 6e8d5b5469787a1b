"""Changes of the channels of a mixture in a remix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.audio.clip import Clip
from core.dsae.instruments import InstrumentTable
from core.errors import RavelError

Giver = Clip | int  # the source of an instrument or a melody: a clip, or a channel's number


@dataclass(frozen=True, eq=False)
class Change:
    """The change of a channel; by default it stays as separated, at its level.

    `instrument`: a name in the model's instrument table, a clip, or a channel's number; `melody`: a
    clip or a channel's number; `level` in dB, None to mute it.
    """

    instrument: str | Giver | None = None
    melody: Giver | None = None
    level: float | None = 0.0

    @property
    def keeps(self) -> bool:
        """Whether the channel stays as separated, apart from its level."""
        return self.instrument is None and self.melody is None


def check(
    changes: Mapping[int, Change], count: int, instruments: InstrumentTable | None, model: str
) -> None:
    """Raise RavelError for a channel number beyond `count`, an instrument missing from the table of
    the `model`, or a level that is not a number."""
    for number, change in changes.items():
        givers = [giver for giver in (change.instrument, change.melody) if isinstance(giver, int)]
        for wanted in (number, *givers):
            if not 1 <= wanted <= count:
                raise RavelError(
                    f"There is no channel {wanted}: the separator makes {count}, so choose from 1 "
                    f"to {count}."
                )
        if change.level is not None and not np.isfinite(change.level):
            raise RavelError(f"Channel {number} cannot have a level of {change.level} dB.")
        if isinstance(change.instrument, str):
            require_instruments(instruments, model).mean(change.instrument)


def require_instruments(instruments: InstrumentTable | None, model: str) -> InstrumentTable:
    """The model's instrument table. Raises RavelError if it has none."""
    if instruments is None:
        raise RavelError(
            f"The checkpoint {model} has no instrument table: give a recording of an instrument, "
            "or run python -m core instruments."
        )
    return instruments
