"""python -m core data: corpora as feature stores."""

import argparse
from pathlib import Path
from typing import Any

from core.cli.common import command, say
from core.cli.shards import add_merge, add_shards, splits
from core.errors import RavelError

COMMANDS = ("data",)


def add(commands: Any) -> None:
    """Add the command."""
    data = command(
        commands,
        "data",
        "Build a corpus: dMelodies, many instruments, URMP, or a folder of your recordings.",
        "python -m core data dmelodies --out data/dmelodies",
        None,
    )
    corpora = data.add_subparsers(metavar="CORPUS", required=True)
    _add_dmelodies(corpora)
    _add_instruments(corpora)
    _add_players(corpora)
    _add_urmp(corpora)
    _add_folder(corpora)
    add_merge(corpora)


def _add_build(
    corpora: Any, name: str, summary: str, example: str, run: Any, *, shards: bool = True
) -> Any:
    parser = command(corpora, name, summary, example, run)
    parser.add_argument("--out", required=True, metavar="STORE", help="folder of the feature store")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: all cores)")
    add_shards(parser, run, shards=shards)
    return parser


def _add_dmelodies(corpora: Any) -> None:
    parser = _add_build(
        corpora,
        "dmelodies",
        "Render dMelodies; without options, the paper's set.",
        "python -m core data dmelodies --out data/dmelodies\n"
        "  python -m core data dmelodies --out data/two-octaves --octaves 4 5",
        run_dmelodies,
    )
    parser.add_argument("--instruments", nargs="+", default=["Violin", "Trumpet"], metavar="NAME")
    parser.add_argument("--count", type=int, default=3000, help="melodies (default: 3000)")
    parser.add_argument("--tonics", nargs="+", default=["C"], metavar="NAME", help="C C# ... B")
    parser.add_argument("--octaves", nargs="+", type=int, default=[4], help="4, 5, 6")
    parser.add_argument(
        "--scales", nargs="+", default=["major"], metavar="NAME", help="major, minor, blues"
    )
    parser.add_argument("--seed", type=int, default=888, help="which melodies (default: 888)")
    parser.add_argument(
        "--synthesiser", default="auto", choices=["auto", "fluidsynth", "tinysoundfont"]
    )
    parser.add_argument("--soundfont", metavar="FILE", help="an SF2 or SF3 file")
    parser.add_argument("--no-audio", action="store_true", help="keep log-mels only")


def run_dmelodies(arguments: argparse.Namespace) -> None:
    """Build a dMelodies store."""
    from core.data import dmelodies

    wrong = [name for name in arguments.tonics if name not in dmelodies.TONICS]
    if wrong:
        raise RavelError(f"{wrong[0]!r} is no tonic: choose from {' '.join(dmelodies.TONICS)}.")
    store = dmelodies.build(
        arguments.out,
        instruments=arguments.instruments,
        count=arguments.count,
        tonics=[dmelodies.TONICS.index(name) for name in arguments.tonics],
        octaves=arguments.octaves,
        scales=arguments.scales,
        synthesiser=arguments.synthesiser,
        soundfont=arguments.soundfont,
        audio=not arguments.no_audio,
        seed=arguments.seed,
        shard=arguments.shard,
        workers=arguments.workers,
    )
    say(f"{len(store)} clips in {store.path}, played by {store.synthesiser}")


def _add_instruments(corpora: Any) -> None:
    parser = _add_build(
        corpora,
        "instruments",
        "Render phrases of many instruments, fonts, rooms and levels, for models of real sound.",
        "python -m core data instruments --out data/instruments --real recordings/",
        run_instruments,
    )
    parser.add_argument("--instruments", nargs="+", metavar="NAME", help="default: ten of them")
    parser.add_argument("--count", type=int, default=12_000, help="phrases (default: 12000)")
    parser.add_argument("--soundfonts", nargs="+", default=[], metavar="FILE", help="further fonts")
    parser.add_argument(
        "--real", metavar="FOLDER", help="recordings to mix in (metadata.csv with 'instrument')"
    )
    parser.add_argument(
        "--copies", type=int, default=24, help="augmented copies of each recording (default: 24)"
    )
    parser.add_argument("--noise", metavar="FOLDER", help="recordings to use as background")
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn (default: 0)")
    parser.add_argument("--audio", action="store_true", help="keep the sound beside the log-mels")


def run_instruments(arguments: argparse.Namespace) -> None:
    """Build a store of many instruments."""
    from core.data import instruments

    store = instruments.build(
        arguments.out,
        instruments=arguments.instruments or instruments.INSTRUMENTS,
        count=arguments.count,
        soundfonts=arguments.soundfonts,
        real=arguments.real,
        real_copies=arguments.copies,
        noise=arguments.noise,
        audio=arguments.audio,
        seed=arguments.seed,
        shard=arguments.shard,
        workers=arguments.workers,
    )
    say(f"{len(store)} clips in {store.path}, played by {store.synthesiser}")


def _add_players(corpora: Any) -> None:
    parser = _add_build(
        corpora,
        "players",
        "Render and cut players: the same voice in the same room, over its whole range.",
        "python -m core data players --out data/players\n"
        "  python -m core data players --notes notes/ --recordings solos/ --out data/players",
        run_players,
    )
    parser.add_argument("--count", type=int, default=1_400, help="rendered players (default: 1400)")
    parser.add_argument(
        "--notes", nargs="+", default=[], metavar="FOLDER",
        help="folders of single notes (metadata.csv with 'player' or 'instrument', and "
        "'midi_pitch' or 'f0_midi_est') that samplers play phrases with",
    )  # fmt: skip
    parser.add_argument("--sampled", type=int, default=750, help="their players (default: 750)")
    parser.add_argument(
        "--recordings", nargs="+", default=[], metavar="FOLDER",
        help="folders of solo recordings, cut into excerpts; 'player' says which belong together",
    )  # fmt: skip
    parser.add_argument("--recorded", type=int, default=750, help="their players (default: 750)")
    parser.add_argument(
        "--leave-out", nargs="+", default=[], metavar="SET",
        help="collections (the column 'set') that are not used: keep those for evaluation",
    )  # fmt: skip
    parser.add_argument("--phrases", type=int, default=4, help="clips per player (default: 4)")
    parser.add_argument(
        "--shared", type=int, default=0, metavar="N",
        help="phrases of other players that each plays as well, for objective.same_phrase "
        "(default: 0)",
    )  # fmt: skip
    parser.add_argument("--rooms", type=int, default=2, help="rooms per voice (default: 2)")
    parser.add_argument(
        "--beyond", type=int, default=12, metavar="SEMITONES",
        help="how far past an instrument's range it plays, formants kept (default: 12)",
    )  # fmt: skip
    parser.add_argument("--soundfonts", nargs="+", default=[], metavar="FILE", help="further fonts")
    parser.add_argument("--noise", metavar="FOLDER", help="recordings to use as background")
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn (default: 0)")
    parser.add_argument("--audio", action="store_true", help="keep the sound beside the log-mels")


def run_players(arguments: argparse.Namespace) -> None:
    """Build a store of players."""
    from core.data import players

    store = players.build(
        arguments.out,
        count=arguments.count,
        sampled=arguments.sampled,
        recorded=arguments.recorded,
        notes=arguments.notes,
        recordings=arguments.recordings,
        leave_out=arguments.leave_out,
        phrases_each=arguments.phrases,
        shared=arguments.shared,
        rooms=arguments.rooms,
        beyond=arguments.beyond,
        soundfonts=arguments.soundfonts,
        noise=arguments.noise,
        audio=arguments.audio,
        seed=arguments.seed,
        shard=arguments.shard,
        workers=arguments.workers,
    )
    say(f"{splits(store)}; {len(set(store.labels['player']))} players")


def _add_urmp(corpora: Any) -> None:
    parser = _add_build(
        corpora,
        "urmp",
        "Take URMP's single parts; without options, the paper's set (violin and trumpet).",
        "python -m core data urmp URMP/Dataset --out data/urmp\n"
        "  python -m core data urmp URMP/Dataset --out data/urmp-all --instruments all",
        run_urmp,
        shards=False,
    )
    parser.add_argument("folder", metavar="FOLDER", help="URMP's folder Dataset")
    parser.add_argument(
        "--instruments",
        nargs="+",
        default=["violin", "trumpet"],
        metavar="NAME",
        help="names, or URMP's short forms such as vn and tpt, or all (default: violin trumpet)",
    )
    parser.add_argument(
        "--confidence",
        type=float,
        metavar="C",
        help="keep segments of a higher mean CREPE confidence (default: 0.85 by full as in the "
        "paper, and 0.79 by tiny, which is that much less sure)",
    )
    parser.add_argument(
        "--crepe",
        default="auto",
        choices=["auto", "tiny", "full"],
        help="full as in the paper, or tiny, thirty times as fast (default: full on a GPU)",
    )
    parser.add_argument(
        "--step", type=float, default=1.0, help="seconds between segments (default: 1)"
    )
    parser.add_argument(
        "--split",
        default="segments",
        choices=["segments", "pieces"],
        help="hold out single segments as in the paper, though they overlap, or whole pieces",
    )
    parser.add_argument("--seed", type=int, default=0, help="which are held out (default: 0)")
    parser.add_argument("--no-audio", action="store_true", help="keep log-mels only")


def run_urmp(arguments: argparse.Namespace) -> None:
    """Build a store of URMP."""
    from core.data import urmp

    named = arguments.instruments
    store = urmp.build(
        arguments.folder,
        arguments.out,
        instruments=None if named == ["all"] else named,
        confidence=arguments.confidence,
        crepe=arguments.crepe,
        step=arguments.step,
        split=arguments.split,
        audio=not arguments.no_audio,
        seed=arguments.seed,
        workers=arguments.workers,
    )
    say(splits(store))


def _add_folder(corpora: Any) -> None:
    parser = _add_build(
        corpora,
        "folder",
        "Take folders of recordings: your own, with an optional metadata.csv (file, labels ...), "
        "or AudioSet, ESC-50, ESC-10, FSD50K, FUSS, Medley-solos-DB and URMP as they are "
        "published.",
        "python -m core data folder recordings/ --out data/mine --validation-fold 4\n"
        "  python -m core data folder ESC-50-master/ FUSS/ --seconds 5 --out data/scenes",
        run_folder,
    )
    parser.add_argument("folder", nargs="+", metavar="FOLDER", help="folders of audio files")
    parser.add_argument("--labels", nargs="+", metavar="COLUMN", help="labels to keep (all)")
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="length of the segments (default: 4)"
    )
    parser.add_argument(
        "--validation", type=float, default=0.1, help="part of the files held out (default: 0.1)"
    )
    parser.add_argument("--validation-fold", metavar="FOLD", help="hold out this fold instead")
    parser.add_argument("--seed", type=int, default=0, help="which files are held out (default: 0)")
    parser.add_argument("--no-audio", action="store_true", help="keep log-mels only")


def run_folder(arguments: argparse.Namespace) -> None:
    """Build a store of audio folders."""
    from core.data import audioset, folder

    for note in filter(None, map(audioset.summary, map(Path, arguments.folder))):
        say(note)
    store = folder.build(
        arguments.folder,
        arguments.out,
        labels=arguments.labels,
        seconds=arguments.seconds,
        validation=arguments.validation,
        validation_fold=arguments.validation_fold,
        audio=not arguments.no_audio,
        seed=arguments.seed,
        shard=arguments.shard,
        workers=arguments.workers,
    )
    say(splits(store))
