"""Checkpoints scored, each by its system: what `python -m core evaluate` and grids do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NoReturn

from core import registry
from core.checkpoints.checkpoint import find
from core.errors import RavelError
from core.registry import EvaluationOptions, Say
from core.vocoder.play import ROUTES


def evaluate(names: Sequence[str], options: EvaluationOptions, say: Say) -> None:
    """Print tables of scores and write them into each checkpoint's metrics.json and card.

    Raises RavelError when there is nothing to score on, a checkpoint is missing, or its system
    cannot be scored as `options` says.
    """
    if not (options.data or options.real or options.duets or options.players):
        raise RavelError(
            "There is nothing to evaluate on: give --data STORE, --real FOLDER, --duets FOLDER or "
            "--players FOLDER."
        )
    by_system: dict[str, list[str]] = {}
    for name in names:
        checkpoint = find(name)
        checkpoint.check_ours()
        by_system.setdefault(checkpoint.system, []).append(name)
    for system, its_names in by_system.items():
        registry.get(system).evaluate(its_names, options, say)
    if options.duets:
        from core.remix.report import on_duets

        on_duets(
            names, options.duets, options.separator, options.judge, options.most, say, options.route
        )


def options_of(arguments: argparse.Namespace) -> EvaluationOptions:
    """The options among parsed arguments."""
    given: dict[str, Any] = {}
    for field in fields(EvaluationOptions):
        value = getattr(arguments, field.name)
        given[field.name] = tuple(value) if isinstance(value, list) else value
    return EvaluationOptions(**given)


def parse_options(words: Sequence[str]) -> EvaluationOptions:
    """The options that command-line words give. Raises RavelError naming a mistake."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    add_options(parser)
    return options_of(parser.parse_args(list(words)))


class _Parser(argparse.ArgumentParser):
    """Raises RavelError instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise RavelError(f"These are not options of evaluate: {message}.")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each of the evaluation's options."""
    default = EvaluationOptions()
    add = parser.add_argument
    add("--data", metavar="STORE", help="feature store with a validation split")
    add(
        "--real",
        nargs="+",
        default=(),
        metavar="FOLDER",
        help="folders of real recordings to swap and classify",
    )
    add(
        "--duets",
        nargs="+",
        default=(),
        metavar="FOLDER",
        help="folders of real stems, by instrument and piece: they are mixed in pairs, separated, "
        "and their instruments exchanged",
    )
    _add_players(parser)
    add(
        "--separator",
        default=default.separator,
        metavar="NAME",
        help=f"the separator of duets (default: {default.separator})",
    )
    add(
        "--judge",
        nargs="+",
        default=(),
        metavar="FOLDER",
        help="what the independent classifier is trained on: audio folders and stores, neither in "
        "--real nor in --duets; of --players audio folders",
    )
    add(
        "--most",
        type=int,
        metavar="N",
        help="take at most N real recordings of each instrument, and N duets",
    )
    sound = parser.add_argument_group(
        "sound", "of disentangling models and vocoders, with --data"
    ).add_argument
    sound(
        "--melodies",
        type=int,
        metavar="N",
        default=default.melodies,
        help="resynthesise N validation clips, track their pitch by CREPE, and compute the Fréchet "
        f"audio distance; 0: neither (default: {default.melodies})",
    )
    sound(
        "--draws",
        type=int,
        metavar="N",
        default=default.draws,
        help="resynthesise N samples of the prior too, at most as many as clips: are they in the "
        f"corpus' scale, is the instrument recognised? 0: none (default: {default.draws})",
    )
    sound(
        "--crepe",
        choices=["tiny", "full"],
        help="size of CREPE (default: full on a GPU, else tiny)",
    )
    sound(
        "--route",
        choices=list(ROUTES),
        help="from log-mels to sound (default: paper; for real recordings the vocoder)",
    )
    sound(
        "--fad",
        choices=["crepe", "vggish"],
        default=default.fad,
        help="embedding of the Fréchet audio distance: CREPE's, which costs nothing more, or "
        f"VGGish's as well (default: {default.fad})",
    )
    sound("--vggish", metavar="FILE", help="VGGish's weights (default: downloaded once)")
    add(
        "--mixed",
        nargs="+",
        type=int,
        default=(),
        metavar="N",
        help="encoders: also on scenes of N sounds, mixed from the clips, with all their labels",
    )
    add(
        "--supervised",
        action="store_true",
        help="encoders: also train one of the same size on labels, for comparison",
    )
    add(
        "--swapped",
        metavar="MODEL",
        help="vocoders: play the clips of --data, a dMelodies store with audio, after MODEL has "
        "swapped them, and compare with true renderings of the other instrument",
    )
    add("--alone", action="store_true", help="encoders, separators: without any baseline")


def _add_players(parser: argparse.ArgumentParser) -> None:
    default = EvaluationOptions()
    add = parser.add_argument_group("players", "swaps that register alone cannot fool").add_argument
    add(
        "--players",
        nargs="+",
        default=(),
        metavar="FOLDER",
        help="folders of recordings of several instruments (metadata.csv with instrument, and "
        "f0_file where the pitch is known), swapped among themselves; with --judge a classifier "
        "that hears every instrument in every register",
    )
    add(
        "--judge-sets",
        nargs="+",
        default=(),
        metavar="SET",
        help="only these collections of --judge, by its column set",
    )
    add(
        "--judge-without",
        nargs="+",
        default=(),
        metavar="SET",
        help="not these, such as those that a model was trained on",
    )
    add(
        "--judge-check",
        nargs="+",
        default=(),
        metavar="FOLDER",
        help="folders of other recordings of the instruments, to say how good the judge is",
    )
    add(
        "--judge-own",
        action="store_true",
        help="let the judge learn from half of the recordings of --players too, in all registers, "
        "and ask it about the other half",
    )
    add(
        "--notes",
        nargs="+",
        default=(),
        metavar="FOLDER",
        help="folders of real notes with their pitch, which play other instruments' melodies: the "
        "judge's ceiling",
    )
    add(
        "--note-sets",
        nargs="+",
        default=(),
        metavar="SET",
        help="only these collections of --notes",
    )
    add(
        "--tracker",
        choices=["crepe", "crepe-full", "swift", "pyin"],
        default=default.tracker,
        help=f"of pitch (default: {default.tracker}; swift is for development)",
    )
    add(
        "--strengths",
        nargs="+",
        type=float,
        default=(),
        metavar="S",
        help="also swap by so much of the way from the source's v (0) to the target's (1) and "
        "beyond: the trade between melody and timbre",
    )
    add("--kept", metavar="FOLDER", help="keep what does not depend on the models, such as a judge")
