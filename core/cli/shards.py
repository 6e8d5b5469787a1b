"""python -m core data: corpora in shards, by one machine or many, and their merging."""

import argparse
from pathlib import Path
from typing import Any

from core import cluster
from core.cli.common import LAUNCHER_FLAGS, add_launcher, command, place_of, say, without
from core.data.shard import WHOLE, Shard
from core.errors import RavelError


def add_shards(parser: Any, run: Any, *, shards: bool) -> None:
    """Flags by which `run` builds a part of a corpus, if it can, or is done by a cluster."""
    if shards:
        parser.add_argument(
            "--shard", metavar="I/N", type=_shard, default=WHOLE,
            help="build only this part, 2/8 for the second of eight; 'data merge' joins the parts",
        )  # fmt: skip
        parser.add_argument(
            "--shards", type=int, default=1, metavar="N",
            help="with --launcher: build so many shards, each as a job",
        )  # fmt: skip
    add_launcher(parser, "build")

    def build(arguments: argparse.Namespace) -> None:
        if arguments.launcher:
            return _submit(arguments)
        if getattr(arguments, "shards", 1) != 1:
            raise RavelError("--shards needs --launcher; without it build one at a time: --shard.")
        run(arguments)

    parser.set_defaults(run=build)


def _submit(arguments: argparse.Namespace) -> None:
    """Build as a job of a cluster, or as one for each shard."""
    place, of = place_of(arguments), getattr(arguments, "shards", 1)
    if of < 1 or (of > 1 and arguments.shard != WHOLE):
        raise RavelError("--shards must be 1 or more, and without --shard, as it builds them all.")
    out = Path(arguments.out)
    words = without(arguments.words, (*LAUNCHER_FLAGS, "--shards", "--out"))
    parts = [out.with_name(f"{out.name}-{n}-of-{of}") for n in range(1, of + 1)]
    commands = (
        [[*words, "--out", str(part), "--shard", f"{n}/{of}"] for n, part in enumerate(parts, 1)]
        if of > 1
        else [[*words, "--out", str(out)]]
    )
    folder = out.parent / ".jobs" / out.name
    jobs = cluster.submit([cluster.Command([c]) for c in commands], place, folder, out.name)
    say(f"submitted to {place.launcher}: {', '.join(jobs)}; what they print is in {folder}")
    if of > 1:
        say(f"then: python -m core data merge {' '.join(map(str, parts))} --out {out}")


def _shard(text: str) -> Shard:
    try:
        return Shard.parse(text)
    except RavelError as error:  # which argparse would not show
        raise argparse.ArgumentTypeError(str(error)) from None


def add_merge(corpora: Any) -> None:
    """Add the command."""
    parser = command(
        corpora,
        "merge",
        "Join the shards that were built with --shard into one store.",
        "python -m core data folder audioset/ --shard 1/2 --out data/audioset-1\n"
        "  python -m core data folder audioset/ --shard 2/2 --out data/audioset-2\n"
        "  python -m core data merge data/audioset-* --out data/audioset",
        run_merge,
    )
    parser.add_argument("shards", nargs="+", metavar="SHARD", help="all shards, in any order")
    parser.add_argument("--out", required=True, metavar="STORE", help="folder of the feature store")


def run_merge(arguments: argparse.Namespace) -> None:
    """Join shards."""
    from core.data.merge import merge

    say(splits(merge(arguments.shards, arguments.out)))


def splits(store: Any) -> str:
    """How many clips a store has of each split, as a sentence."""
    splits = ", ".join(f"{len(store.indices(s))} {s}" for s in sorted(set(store.labels["split"])))
    return f"{len(store)} clips in {store.path}: {splits}"
