"""python -m core instruments: each instrument's mean v, from a labelled store."""

import argparse
from typing import Any

from core.checkpoints.checkpoint import find
from core.cli.common import command, say

COMMANDS = ("instruments",)


def add(commands: Any) -> None:
    """Add the command."""
    instruments = command(
        commands,
        "instruments",
        "Compute each instrument's mean v from a labelled store, and save it in the checkpoint.",
        "python -m core instruments checkpoints/mine --data data/instruments",
        run_instruments,
    )
    instruments.add_argument("checkpoint", metavar="CHECKPOINT", help="name or folder")
    instruments.add_argument("--data", required=True, metavar="STORE", help="feature store")
    instruments.add_argument(
        "--factor", default="instrument", help="its column of labels (default: instrument)"
    )
    instruments.add_argument(
        "--where",
        metavar="COLUMN=VALUE",
        type=_condition,
        help="only clips with this label, such as source=sampled",
    )


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not (column and equals and value):
        raise argparse.ArgumentTypeError(f"expected COLUMN=VALUE, got {text!r}")
    return column, value


def run_instruments(arguments: argparse.Namespace) -> None:
    """Encode clips of each instrument, and write instruments.json beside the weights."""
    from core.data.store import FeatureStore

    find(arguments.checkpoint).check_ours()
    store = FeatureStore.open(arguments.data)
    from tqdm import tqdm

    from core.dsae.instruments import compute_instruments, write_instruments
    from core.dsae.latents import load

    model = load(arguments.checkpoint)
    with tqdm(unit="clip") as bar:

        def progress(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        found = compute_instruments(
            model, store, arguments.factor, where=arguments.where, progress=progress
        )
    path = write_instruments(model.checkpoint, found)
    say(f"wrote {path}: {', '.join(found.names)}")
