"""python -m core takeaway: a map with sounds as one HTML file."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.checkpoints.checkpoint import find
from core.cli.common import add_checkpoint, check_writable, command, say
from core.errors import RavelError

if TYPE_CHECKING:
    from core.maps.projection import Projection, Settings
    from core.service.maps import MapSpec

COMMANDS = ("takeaway",)


def add(commands: Any) -> None:
    """Add the command."""
    parser = command(
        commands,
        "takeaway",
        "Write a map, some of its clips and their swaps into one HTML file that needs no network.",
        "python -m core takeaway data/included --clips violin-1 trumpet-1 --out map.html",
        run_takeaway,
    )
    parser.add_argument("store", metavar="STORE", help="folder of the feature store")
    parser.add_argument(
        "--clips",
        nargs="+",
        default=[],
        metavar="NAME",
        help="the clips that get their sound (default: a few of each kind)",
    )
    add_checkpoint(parser)
    parser.add_argument("--split", metavar="NAME", help="only this split's clips (default: all)")
    parser.add_argument(
        "--space", metavar="NAME", help="of the model: v, z, frames or h (default: its first)"
    )
    parser.add_argument("--projection", choices=["UMAP", "PCA"], default="UMAP")
    parser.add_argument("--colour", default="", metavar="COLUMN", help="what colours the points")
    parser.add_argument(
        "--megabytes", type=float, default=5.0, metavar="N", help="size of the file (default: 5)"
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="HTML file to write")


def run_takeaway(arguments: argparse.Namespace) -> None:
    """Lay out the store's clips, make the swaps, write the file and say what was left out."""
    checkpoint = find(arguments.checkpoint)
    check_writable(arguments.out)
    if not 0.1 <= arguments.megabytes <= 100:
        raise RavelError(f"--megabytes is {arguments.megabytes:g}: choose from 0.1 to 100.")
    import numpy as np

    from core import registry
    from core.files import replace
    from core.maps.projection import Settings
    from core.service import corpora, maps, takeaways
    from core.service.maps import MapSpec, Subset

    if not registry.get(checkpoint.system).has_maps:
        raise RavelError(f"{checkpoint.name} has no maps: give a model that swaps, or an encoder.")
    store = Path(arguments.store)
    corpora.open_store(store)
    offered = list(maps.spaces(checkpoint).values())
    space = arguments.space or offered[0]
    if space not in offered:
        raise RavelError(f"{checkpoint.name} has no space {space!r}: {', '.join(offered)}.")
    spec = MapSpec(Subset(store, arguments.split), checkpoint, space)
    encoded = maps.points(spec)
    names = corpora.columns(store)["name"][encoded.rows][encoded.clips(space)]
    chosen = []
    for name in arguments.clips:
        found = np.flatnonzero(names == name)
        if not len(found):
            raise RavelError(f"{store} has no clip called {name!r} among those on the map.")
        chosen.append(int(found[0]))
    made = _lay_out(spec, Settings(arguments.projection))
    groups = takeaways.by_column(spec, arguments.colour)
    size = round(arguments.megabytes * 1e6)
    taken = takeaways.make(spec, made, chosen, groups, max_bytes=size)
    replace(Path(arguments.out), lambda temporary: temporary.write_bytes(taken.html))
    say(f"wrote {arguments.out}: {len(taken.html) / 1e6:.2f} MB")
    for line in taken.left_out:
        say(f"left out: {line}")


def _lay_out(spec: MapSpec, settings: Settings) -> Projection:
    """A projection; UMAP in a process of its own, because numba's threads slow down torch's."""
    from core.service import maps

    while (made := maps.projection(spec, settings)) is None:
        progress = maps.projection_progress(spec, settings)
        if progress.state == "failed":
            raise RavelError(f"The points could not be laid out: {progress.text}")
        if progress.state == "missing":
            maps.start_projection(spec, settings)
            say("laying out the points by UMAP")
        time.sleep(0.2)
    return made
