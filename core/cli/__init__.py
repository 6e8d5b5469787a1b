"""The command line: python -m core COMMAND. Bad input ends in one sentence and exit status 2."""

import argparse
import difflib
import itertools
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from core.cli import data, encoder, grid, hub, instruments, mushra, remix, takeaway, train, use
from core.errors import RavelError

ROOMS: tuple[Any, ...] = (
    data,
    train,
    grid,
    use,
    remix,
    takeaway,
    mushra,
    instruments,
    encoder,
    hub,
)  # as --help lists them
INVALID = re.compile(r"invalid choice: '(?P<word>.*)' \(choose from (?P<choices>.*)\)")


class Parser(argparse.ArgumentParser):
    """Reports a mistake in one sentence, with the nearest name, without the list of all flags."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"allow_abbrev": False})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, but an unknown flag is reported by the parser of its command, which knows
        the others, and before its value is taken for something else."""
        flags = self._option_string_actions
        if args is not None and self._subparsers is None:
            before = itertools.takewhile(lambda word: word != "--", args)
            for word in (word.partition("=")[0] for word in before if word.startswith("--")):
                if word not in flags:
                    self.error(f"there is no flag {word}{did_you_mean(word, flags)}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit with status 2."""
        if invalid := INVALID.search(message):
            choices = invalid["choices"].replace("'", "").split(", ")
            if hint := did_you_mean(invalid["word"], choices):
                message = f"{message[: invalid.start()]}there is no '{invalid['word']}'{hint}"
        end = " See" if message.endswith("?") else "; see"
        self.exit(2, f"{self.prog}: {message}{end} {self.prog} --help.\n")


def did_you_mean(word: str, names: Any) -> str:
    """The name that a mistyped word was meant to be, as the end of a sentence; "" for none."""
    near = difflib.get_close_matches(word, list(names), n=1, cutoff=0.75)
    return f": did you mean {near[0]}?" if near else ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = Parser(
        prog="python -m core", description="Ravel: take sounds apart, from the command line."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    named = [room for room in ROOMS if words[:1] and words[0] in room.COMMANDS]
    for room in named or ROOMS:  # all for --help, and for a word that is no command
        if room is train:
            train.add(commands, words)
        else:
            room.add(commands)
    arguments = parser.parse_args(words)
    arguments.words = words  # what a job of a cluster is to do
    try:
        arguments.run(arguments)
    except RavelError as error:
        print(f"python -m core: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("python -m core: interrupted.", file=sys.stderr)
        return 130
    return 0
