"""What the commands share. Imports of torch and what needs it stand inside the commands."""

import argparse
from pathlib import Path
from typing import Any

from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT
from core.errors import RavelError
from core.vocoder.play import ROUTES, default_route


def command(commands: Any, name: str, summary: str, example: str, run: Any) -> Any:
    """A subcommand with its help and an example; `run` takes the parsed arguments."""
    parser = commands.add_parser(
        name,
        help=summary.replace("%", "%%"),  # argparse formats it, and not the description
        description=summary,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_checkpoint(parser: Any, default: str = DEFAULT_CHECKPOINT) -> None:
    parser.add_argument(
        "--checkpoint",
        default=default,
        metavar="NAME",
        help="name, NAME@STEP for a snapshot, folder, or OWNER/NAME on the Hugging Face Hub "
        f"(default: {default})",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def add_route(parser: Any) -> None:
    parser.add_argument(
        "--route",
        choices=list(ROUTES),
        help="how log-mels become sound: "
        + "; ".join(f"{way}: {says}" for way, says in ROUTES.items())
        + f" (default: {default_route()})",
    )


def load_model(arguments: argparse.Namespace) -> Any:
    from core.dsae.latents import load
    from core.training.distributed import pick_device

    return load(arguments.checkpoint, device=str(pick_device(arguments.device)))


def check_writable(path: str) -> None:
    if not Path(path).parent.is_dir():
        raise RavelError(f"The folder {Path(path).parent} does not exist: make it first.")
    if Path(path).is_dir():
        raise RavelError(f"{path} is a folder: give the name of a file to write.")


def say(text: str) -> None:
    print(text, flush=True)
