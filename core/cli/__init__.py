"""The command line: python -m core COMMAND. Bad input ends in one sentence and exit status 2."""

import argparse
import sys
from typing import NoReturn

from core.cli import data, grid, hub, instruments, remix, train, use
from core.errors import RavelError


class Parser(argparse.ArgumentParser):
    """Says what was wrong with the arguments in one sentence, without the list of all flags."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit with status 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help.\n")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = Parser(
        prog="python -m core", description="Ravel: take sounds apart, from the command line."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for room in (data, train, grid, use, remix, instruments, hub):
        room.add(commands)
    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
    except RavelError as error:
        print(f"python -m core: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("python -m core: interrupted.", file=sys.stderr)
        return 130
    return 0
