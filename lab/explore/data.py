"""The dimensions of a model's v, for the Dials: their effect, their order and presets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from core import service
from core.audio.clip import read
from core.checkpoints.checkpoint import Checkpoint
from lab.bundled import EXAMPLES, instruments

if TYPE_CHECKING:
    from core.dsae.latents import Latents

PROBES = ("violin-1.flac", "trumpet-1.flac")  # bundled recordings that the order is measured on


class Dimensions(NamedTuple):
    """The dimensions of a checkpoint's v; all lists have V numbers."""

    kl: list[float]  # nats, averaged over the bundled recordings
    reach: list[float]  # dB that the sound changes from -2 to +2, averaged over PROBES
    order: list[int]  # the dimension with the largest reach first
    collapsed: list[bool]
    equaliser: int  # how many of the last dimensions are an equaliser's
    presets: dict[str, list[float]]  # the mean v of the bundled recordings, by instrument

    def split(self) -> tuple[list[int], list[int], list[int]]:
        """The dimensions in use and the collapsed ones, each in order, and the equaliser's."""
        first = len(self.kl) - self.equaliser
        return (
            [i for i in self.order if i < first and not self.collapsed[i]],
            [i for i in self.order if i < first and self.collapsed[i]],
            list(range(first, len(self.kl))),
        )

    def name(self, i: int) -> str:
        """The name of a dimension, counted from 0."""
        first = len(self.kl) - self.equaliser
        return f"v {i + 1}" if i < first else f"EQ {i - first}"


@service.keep(8)
def dimensions(checkpoint: Checkpoint) -> Dimensions:
    """A checkpoint's dimensions of v. Raises RavelError."""
    model = service.disentangler(checkpoint)
    from core.dsae import edits

    reach = [edits.reach(model, model.encode(read(EXAMPLES / name))) for name in PROBES]
    effect = (sum(reach[1:], reach[0]) / len(reach)).tolist()
    by_instrument: dict[str, list[Latents]] = {}
    for row in instruments().values():
        latents = model.encode(read(EXAMPLES / row["file"]))
        by_instrument.setdefault(row["instrument"], []).append(latents)
    kl = edits.global_kl([one for several in by_instrument.values() for one in several])
    return Dimensions(
        kl.tolist(),
        effect,
        sorted(range(len(effect)), key=lambda i: -effect[i]),
        (kl <= edits.COLLAPSED).tolist(),
        int(checkpoint.config["model"].get("equaliser", 0)),
        {name: edits.mean_v(several).tolist() for name, several in by_instrument.items()},
    )
