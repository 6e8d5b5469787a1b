"""python -m core mushra: summarise the ratings of a MUSHRA listening test."""

import argparse
from pathlib import Path
from typing import Any

from core.cli.common import check_writable, command, say
from core.errors import RavelError

COMMANDS = ("mushra",)


def add(commands: Any) -> None:
    """Add the command."""
    parser = command(
        commands,
        "mushra",
        "Summarise MUSHRA ratings, one CSV file a listener: means and medians with 95 % intervals.",
        "python -m core mushra mushra-*.csv --out summary.csv",
        run_mushra,
    )
    parser.add_argument("files", nargs="+", metavar="CSV", help="as the Explore page writes them")
    parser.add_argument(
        "--everybody",
        action="store_true",
        help="keep listeners who rate the hidden reference below 90 in more than 15 %% of trials",
    )
    parser.add_argument("--out", metavar="FILE", help="CSV file to write the summary to")


def run_mushra(arguments: argparse.Namespace) -> None:
    """Read the ratings, leave out whom post-screening excludes, print the conditions."""
    import pandas as pd

    from core.files import replace
    from core.listening import mushra

    if arguments.out:
        check_writable(arguments.out)
    ratings = []
    for path in map(Path, arguments.files):
        try:
            ratings += mushra.read_csv(path.read_bytes(), path.name)
        except OSError as error:
            raise RavelError(f"{path} cannot be read ({error.strerror}).") from error
    summary = mushra.summarise(ratings, screen=not arguments.everybody)
    table = pd.DataFrame(mushra.table(summary))
    say(table.to_string(index=False, na_rep="-"))
    for line in mushra.remarks(summary):
        say(line)
    if arguments.out:
        text = table.to_csv(index=False)
        replace(Path(arguments.out), lambda temporary: temporary.write_text(text))
        say(f"wrote {arguments.out}")
