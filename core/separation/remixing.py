"""Learning from a teacher's channels, mixed anew: RemixIT and Self-Remixing.

A teacher separates mixtures; its channels are exchanged between them; a student separates the new
mixtures. In RemixIT (Tzinis et al., JSTSP 2022) it must find the teacher's channels. In
Self-Remixing (Saijo and Ogawa, ICASSP 2023, and Interspeech 2023) its channels are put back, and
must add up to the mixtures. Neither needs a label or an isolated source.
B mixtures, M channels, S samples.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from core.separation.objective import negative_snr, pit


class Remix(NamedTuple):
    """Mixtures [B, S] made of the channels `references` [B, M, S] of others.

    The m-th channel of mixture b is that of mixture `places[m, b]`.
    """

    mixtures: Tensor
    references: Tensor
    places: Tensor


def remix(channels: Tensor) -> Remix:
    """Exchange channels [B, M, S] between mixtures at random.

    First the channels of each mixture are shuffled. Then each new mixture takes its channels from
    different mixtures, as far as there are enough ("constrained batch shuffle").
    """
    batch, m, _ = channels.shape
    order = torch.rand(batch, m).argsort(dim=1).to(channels.device)
    shuffled = channels.gather(1, order[..., None].expand_as(channels))
    places = draw_places(batch, m).to(channels.device)
    references = take(shuffled, places)
    return Remix(references.sum(dim=1), references, places)


def draw_places(batch: int, channels: int) -> Tensor:
    """For each channel a random permutation of the mixtures, [M, B].

    No mixture stands twice in a column unless there are fewer mixtures than channels: round a
    random circle of the mixtures, each channel is shifted by a different number of places.
    """
    circle = torch.randperm(batch)
    shifts = torch.randperm(max(batch, channels))[:channels] % batch
    places = torch.empty(channels, batch, dtype=torch.long)
    for row, shift in zip(places, shifts.tolist(), strict=True):
        row[circle] = circle.roll(-shift)
    return places


def take(channels: Tensor, places: Tensor) -> Tensor:
    """Channels [B, M, S] whose m-th in place b is the m-th of `places[m, b]`."""
    return torch.stack([channels[row, m] for m, row in enumerate(places)], dim=1)


def put_back(channels: Tensor, places: Tensor) -> Tensor:
    """The reverse of `take`: channels [B, M, S] to the mixtures that they were taken from."""
    return take(channels, places.argsort(dim=1))


def remixit(made: Remix, estimates: Tensor, snr_max: float = 30.0) -> Tensor:
    """RemixIT's loss [B]: the negative SNR in dB of the student's channels [B, M, S] against the
    teacher's, in the best permutation."""
    return pit(made.references, estimates, snr_max)[0]


def self_remixing(
    made: Remix, originals: Tensor, estimates: Tensor, snr_max: float = 30.0
) -> Tensor:
    """Self-Remixing's loss [B]: the negative SNR in dB of the mixtures [B, S] that the student's
    channels [B, M, S] add up to, once they are back where the teacher's came from.

    Which is which is decided as in `remixit`; no gradient goes through that.
    """
    _, order = pit(made.references, estimates.detach(), snr_max)
    aligned = estimates.gather(1, order.argsort(dim=1)[..., None].expand_as(estimates))
    return negative_snr(originals, put_back(aligned, made.places).sum(dim=1), snr_max)


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, decay: float) -> None:
    """Move the teacher's weights towards the student's: `decay` of them stay."""
    for own, other in zip(teacher.parameters(), student.parameters(), strict=True):
        own.lerp_(other.detach(), 1 - decay)
