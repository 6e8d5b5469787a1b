"""python -m core encoder: add an encoder that Ravel did not train."""

import argparse
import re
from pathlib import Path
from typing import Any

from core.checkpoints import checkpoint as checkpoints
from core.cli.common import command, say
from core.errors import RavelError

COMMANDS = ("encoder",)


def add(commands: Any) -> None:
    """Add the command."""
    encoder = command(
        commands,
        "encoder",
        "Add an encoder that Ravel did not train to Map, Find and evaluate.",
        "python -m core encoder panns --hear hearbaseline.panns --weights Cnn14_mAP=0.431.pth\n"
        "  python -m core encoder birds --table embeddings.parquet",
        run_encoder,
    )
    encoder.add_argument(
        "name", metavar="NAME", help="what it is called, or the folder to write (with a slash)"
    )
    kind = encoder.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        "--hear",
        metavar="MODULE",
        help="a module that follows the HEAR common API: its name, or the path of a .py file or of "
        "a package. Its code is run, with your rights",
    )
    kind.add_argument(
        "--table", metavar="FILE", help=".npz or .parquet: a name and an embedding for each clip"
    )
    encoder.add_argument("--weights", metavar="FILE", help="what the module's load_model is given")
    encoder.add_argument(
        "--names", metavar="COLUMN", help="of --table: the names (default: the only such column)"
    )
    encoder.add_argument(
        "--values", metavar="COLUMN", help="of --table: the embeddings (default: likewise)"
    )


def run_encoder(arguments: argparse.Namespace) -> None:
    """Check the module or the table by using it, and write a checkpoint's folder."""
    out = _folder(arguments.name)
    unused = ("names", "values") if arguments.hear else ("weights",)
    for flag in unused:
        if getattr(arguments, flag):
            kind = "--table" if arguments.hear else "--hear"
            raise RavelError(f"--{flag} goes with {kind}: leave it out.")
    from core.contrastive.external import folder

    if arguments.hear:
        made = folder.make_hear(out, arguments.hear, arguments.weights, say)
        rate = made.external["sample_rate"]
        say(f"embeddings of {made.config['model']['embedding']} numbers, from sound at {rate} Hz")
        if rate > 16_000:
            say("note: clips are at 16 kHz and are resampled; what is above 8 kHz is missing")
    else:
        made = folder.make_table(out, Path(arguments.table), arguments.names, arguments.values)
        size = made.config["model"]["embedding"]
        say(f"{made.external['clips']:,} embeddings of {size} numbers")
        _say_covered(made)
    say(f"wrote {made.path}")


def _folder(name: str) -> Path:
    if "/" in name:
        return Path(name)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,59}", name):
        raise RavelError(
            f"An encoder cannot be called {name!r}: use up to 60 letters, digits, dots, dashes and "
            "underscores, and begin with a letter or a digit."
        )
    return checkpoints.SHIPPED / name


def _say_covered(made: checkpoints.Checkpoint) -> None:
    from core.contrastive.external import folder
    from core.service import corpora

    for name, path in corpora.stores().items():
        names = corpora.columns(path)["name"].tolist()
        if found := folder.covered(made, names):
            say(f"{name}: {found:,} of {len(names):,} clips")
