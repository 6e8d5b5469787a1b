"""The dimensions of a model's v, for the Dials: their KL, their order and presets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from core import service
from core.audio.clip import read
from core.checkpoints.checkpoint import Checkpoint
from lab.bundled import EXAMPLES, instruments

if TYPE_CHECKING:
    from core.dsae.latents import Latents


class Dimensions(NamedTuple):
    """The dimensions of a checkpoint's v; all lists have V numbers."""

    kl: list[float]  # nats, averaged over the bundled recordings
    order: list[int]  # the dimension with the largest KL first
    collapsed: list[bool]
    presets: dict[str, list[float]]  # the mean v of the bundled recordings, by instrument

    def split(self) -> tuple[list[int], list[int]]:
        """The dimensions in use and the collapsed ones, each in order."""
        return (
            [i for i in self.order if not self.collapsed[i]],
            [i for i in self.order if self.collapsed[i]],
        )


@service.keep(8)
def dimensions(checkpoint: Checkpoint) -> Dimensions:
    """A checkpoint's dimensions of v. Raises RavelError."""
    model = service.disentangler(checkpoint)
    from core.dsae import edits

    by_instrument: dict[str, list[Latents]] = {}
    for row in instruments().values():
        latents = model.encode(read(EXAMPLES / row["file"]))
        by_instrument.setdefault(row["instrument"], []).append(latents)
    kl = edits.global_kl([one for several in by_instrument.values() for one in several])
    return Dimensions(
        kl.tolist(),
        kl.argsort(descending=True).tolist(),
        (kl <= edits.COLLAPSED).tolist(),
        {name: edits.mean_v(several).tolist() for name, several in by_instrument.items()},
    )
