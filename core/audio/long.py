"""Sound of minutes from a log-mel, in bounded memory: piece by piece, joined where pieces agree."""

from __future__ import annotations

from collections.abc import Callable

import torch

from core.audio import invert
from core.audio.mel import HOP

ToWaveform = Callable[[torch.Tensor], torch.Tensor]  # log-mel [T, 80] to a wave [(T - 1) * 256]

PIECE = 1250  # frames, 20 s, that are turned into sound at a time
OVERLAP = 125  # frames, 2 s, that two pieces share
EDGE = 8 * HOP  # samples at each end of a piece that lack the context beyond it
FADE = 512  # samples, 32 ms, over which one piece passes into the next


def to_waveform(
    log_mel: torch.Tensor, make: ToWaveform = invert.to_waveform, *, piece: int = PIECE
) -> torch.Tensor:
    """A log-mel [T, 80] of any length as a wave float32 [(T - 1) * 256] at its own level.

    `make` is what turns a log-mel into sound, by default live Griffin-Lim. Of up to `piece` frames
    the wave is exactly what `make` gives; longer ones are made of overlapping pieces. Where `make`
    finds other phases for what two pieces share, they are joined where they differ least, which is
    in a rest if there is one. Raises RavelError as `make` does.
    """
    log_mel = torch.as_tensor(log_mel)
    frames = len(log_mel)
    if log_mel.ndim != 2 or frames <= piece:
        return make(log_mel)
    overlap = min(OVERLAP, piece // 2)
    starts = [*range(0, frames - piece, piece - overlap), frames - piece]
    whole = torch.zeros((frames - 1) * HOP)
    end = 0  # of the samples made so far
    for start in starts:
        made = make(log_mel[start : start + piece]).cpu()
        _join(whole, start * HOP, made, end - start * HOP)
        end = start * HOP + len(made)
    return whole


def _join(whole: torch.Tensor, at: int, made: torch.Tensor, shared: int) -> None:
    """Put `made` into `whole` from sample `at` on; its first `shared` samples are there already."""
    first = 0
    if shared > 0:
        before, after = whole[at : at + shared], made[:shared]
        first = _joint(before, after)
        ramp = (torch.arange(FADE) + 0.5) / FADE
        weight = torch.sin(torch.pi / 2 * ramp).square()
        part = slice(first, first + FADE)
        made = made.clone()
        made[part] = before[part] + weight * (after[part] - before[part])
    whole[at + first : at + len(made)] = made[first:]


def _joint(before: torch.Tensor, after: torch.Tensor) -> int:
    """Where in the samples [S] that two pieces share a fade between them is least audible."""
    edge = min(EDGE, (len(before) - FADE) // 2)
    apart = (before - after).double().square().cumsum(0)
    energy = (apart[FADE:] - apart[:-FADE])[edge : len(before) - FADE - edge + 1]
    return edge + 1 + int(energy.argmin()) if len(energy) else edge
