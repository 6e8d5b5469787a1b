"""What the commands share. Imports of torch and what needs it stand inside the commands."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import cluster
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


def add_launcher(parser: Any, of: str, *, nodes: bool = True) -> None:
    """Flags that make a command a job of a cluster, or several; `of`: what the jobs do."""
    group = parser.add_argument_group("cluster", f"{of} as jobs, by submitit")
    group.add_argument("--launcher", choices=cluster.LAUNCHERS, help="submit to Slurm, or locally")
    if nodes:
        group.add_argument("--nodes", type=int, default=1, metavar="N", help="machines a job (1)")
    group.add_argument("--gpus", type=int, metavar="N", help="GPUs on each machine")
    group.add_argument("--hours", type=float, default=24.0, help="time limit of a job (24)")
    group.add_argument(
        "--job", action="append", default=[], metavar="KEY=VALUE",
        help="an option of submitit, such as slurm_partition=gpu; may be repeated",
    )  # fmt: skip


LAUNCHER_FLAGS = ("--launcher", "--nodes", "--gpus", "--hours", "--job")


def place_of(
    arguments: argparse.Namespace, *, tasks: int = 1, gpus: int = 0, at_once: int | None = None
) -> cluster.Place:
    """Where the jobs run. Raises RavelError for what cannot be, before anything is written."""
    cluster.check(arguments.launcher)
    nodes = getattr(arguments, "nodes", 1)
    if nodes < 1 or arguments.hours <= 0 or (arguments.gpus or 0) < 0:
        raise RavelError("--nodes and --hours must be above zero, and --gpus not below.")
    if arguments.launcher == "local" and nodes > 1:
        raise RavelError("--launcher local has one machine: leave --nodes out.")
    return cluster.Place(
        arguments.launcher,
        nodes,
        tasks,
        gpus if arguments.gpus is None else arguments.gpus,
        arguments.hours,
        at_once,
        cluster.parse_options(arguments.job),
    )


def without(words: Sequence[str], flags: Sequence[str]) -> list[str]:
    """A command line without some flags and their values."""
    kept: list[str] = []
    is_value = False
    for word in words:
        flag, equals, _ = word.partition("=")
        if is_value:
            is_value = False
        elif flag in flags:
            is_value = not equals
        else:
            kept.append(word)
    return kept


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
