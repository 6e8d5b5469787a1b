"""python -m core hub push-space, push-checkpoint, pull: the demo and the models on the Hub."""

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from core.checkpoints import hub
from core.checkpoints.checkpoint import Checkpoint, check, find
from core.cli.common import command, say
from core.errors import RavelError

COMMANDS = ("hub",)

KEPT = ("*.json", "*.md", "*.safetensors", "recordings.csv")  # of a checkpoint, when it is pushed


def add(commands: Any) -> None:
    """Add the commands."""
    rooms = commands.add_parser(
        "hub", help="Put the demo and models on the Hugging Face Hub, and fetch models from there."
    ).add_subparsers(metavar="COMMAND", required=True)
    space = command(
        rooms,
        "push-space",
        "Make a Space of the demo: the files it needs, of those that git tracks, in one commit.",
        "python -m core hub push-space OWNER/ravel --dry-run\n"
        "  python -m core hub push-space OWNER/ravel --models OWNER/ts-dsae-plus",
        run_push_space,
    )
    _add_target(space)
    space.add_argument(
        "--hardware", help="what a new Space runs on (default: README.md's suggested_hardware)"
    )
    space.add_argument(
        "--models", nargs="+", metavar="OWNER/NAME", help="models on the Hub to name on its page"
    )
    model = command(
        rooms,
        "push-checkpoint",
        "Put a checkpoint on the Hub, with its card.",
        "python -m core hub push-checkpoint ts-dsae-plus OWNER/ts-dsae-plus",
        run_push_checkpoint,
    )
    model.add_argument("checkpoint", metavar="NAME", help="name or folder")
    _add_target(model)
    pull = command(
        rooms,
        "pull",
        "Fetch a checkpoint from the Hub, so that it is there without a network.",
        "python -m core hub pull OWNER/NAME\n"
        "  python -m core hub pull OWNER/NAME --revision v1 --out checkpoints/mine",
        run_pull,
    )
    pull.add_argument("source", metavar="OWNER/NAME", help="on the Hub; OWNER/NAME@REVISION too")
    pull.add_argument("--revision", help="branch, tag or commit (default: the newest)")
    pull.add_argument("--out", metavar="FOLDER", help="copy it into this new folder as well")


def _add_target(parser: Any) -> None:
    parser.add_argument("to", metavar="OWNER/NAME", help="where on the Hub; made if not there yet")
    parser.add_argument("--private", action="store_true", help="make a new one private")
    parser.add_argument(
        "--dry-run", action="store_true", help="only list the files; ask no network"
    )


def run_push_space(arguments: argparse.Namespace) -> None:
    """Assemble the demo's files, start it from them, and upload them."""
    from lab.demo import deploy

    hub.required(arguments.to)
    models = [hub.required(name).repo for name in arguments.models or []]
    front, names = deploy.front_matter(deploy.ROOT), deploy.files(deploy.ROOT)
    with tempfile.TemporaryDirectory(prefix="ravel-space-") as home:
        folder = Path(home)
        deploy.assemble(deploy.ROOT, names, folder, models)
        say("starting the demo from the files to be pushed ...")
        deploy.check_start(folder)
        _push(
            {name: folder / name for name in names},
            arguments,
            kind="space",
            mark=str(front["app_file"]),
            message=f"Ravel {deploy.version(deploy.ROOT)}",
            space_sdk="gradio",
            space_hardware=arguments.hardware or front.get("suggested_hardware"),
        )


def run_push_checkpoint(arguments: argparse.Namespace) -> None:
    """Check a checkpoint, address its card to where it goes, and upload both."""
    from core.checkpoints import card

    wanted = hub.required(arguments.to)
    found = find(arguments.checkpoint)
    if found.snapshot is not None:
        raise RavelError(f"{found.name} is a snapshot: push {found.path.name}, which brings them.")
    if not (found.path / "README.md").exists():
        raise RavelError(f"{found.path} has no card, README.md: export its run again.")
    check(found.path, found.name)
    with tempfile.TemporaryDirectory(prefix="ravel-checkpoint-") as home:
        folder = Path(home)
        for file in [path for pattern in KEPT for path in found.path.glob(pattern)]:
            shutil.copyfile(file, folder / file.name)
        copy = Checkpoint(folder)
        card.refresh_front(copy)
        card.address(copy, found.name, wanted.repo)
        _push(
            {path.name: path for path in folder.iterdir()},
            arguments,
            kind="model",
            mark="config.json",
            message=f"{found.title}",
        )


def _push(files: dict[str, Path], arguments: argparse.Namespace, **how: Any) -> None:
    sizes = {name: path.stat().st_size for name, path in sorted(files.items())}
    for name, size in sizes.items():
        say(f"{size:>12,}  {name}")
    say(f"{sum(sizes.values()):>12,}  bytes in {len(sizes)} files")
    if arguments.dry_run:
        return say(f"nothing was pushed to {arguments.to}: a dry run")
    address = hub.push(files, arguments.to, private=arguments.private or None, **how)
    say(f"pushed to {address}")


def run_pull(arguments: argparse.Namespace) -> None:
    """Fetch a checkpoint into the cache, and copy it if a folder is asked for."""
    wanted = hub.required(arguments.source)
    if arguments.revision:
        wanted = wanted._replace(revision=arguments.revision)
    out = Path(arguments.out) if arguments.out else None
    if out and out.exists():
        raise RavelError(f"{out} is there already: give a new folder, or delete it first.")
    if out and not out.parent.is_dir():
        raise RavelError(f"The folder {out.parent} does not exist: make it first.")
    folder = hub.fetch(wanted, check)
    if out:
        _copy(folder, out)
    say(f"{wanted}: {out or folder}")


def _copy(folder: Path, out: Path) -> None:
    """Copy a checkpoint's files into a new folder, which is there whole or not at all."""
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as home:
        made = Path(home) / out.name
        made.mkdir()
        for file in [path for pattern in hub.FILES for path in folder.glob(pattern)]:
            shutil.copyfile(file, made / file.name)
        os.rename(made, out)
