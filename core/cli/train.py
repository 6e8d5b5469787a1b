"""python -m core train, export, evaluate: from a config to a scored checkpoint."""

import argparse
import os
from pathlib import Path
from typing import Any

from core import registry as systems
from core.checkpoints import card as cards
from core.checkpoints.checkpoint import find
from core.cli.common import command, say
from core.errors import RavelError
from core.training.config import flat_fields, merge
from core.vocoder.play import PAPER, ROUTES


def add(commands: Any) -> None:
    """Add the commands."""
    _add_train(commands)
    _add_export(commands)
    _add_evaluate(commands)


def _add_train(commands: Any) -> None:
    train = command(
        commands,
        "train",
        "Train a model, or continue a run.",
        "python -m core train dsae --preset quick --data data/dmelodies --out runs/first\n"
        "  python -m core train separation --preset small --data data/scenes --out runs/apart\n"
        "  python -m core train --resume runs/first\n"
        "  torchrun --nproc-per-node 2 -m core train dsae --data data/dmelodies --out runs/two",
        run_train,
    )
    train.add_argument(
        "system", nargs="?", choices=list(systems.SCHEMAS), default="dsae", help="what to train"
    )
    presets = sorted({name for known in systems.PRESETS.values() for name in known})
    train.add_argument("--preset", choices=presets, default="paper", help="starting values")
    train.add_argument("--data", metavar="STORE", help="feature store to train on")
    train.add_argument("--out", metavar="FOLDER", help="folder of the new run", dest="folder")
    train.add_argument("--resume", metavar="FOLDER", help="run to continue")
    train.add_argument(
        "--queue", action="store_true", help="wait for the device until earlier runs are done"
    )
    settings = train.add_argument_group("settings", "each overrides the preset")
    for name, described in _settings().items():
        settings.add_argument(f"--{name}", metavar="VALUE", help=described, default=None)


def _settings() -> dict[str, str]:
    """Every setting of every system with its description; those of one system name it."""
    told: dict[str, dict[str, str]] = {}
    for system, schema in systems.SCHEMAS.items():
        for name, field in flat_fields(schema).items():
            if "." in name:
                text = f"{field.description} (default: {cards.spelt(field.default)})"
                told.setdefault(name, {})[system] = text
    merged = {}
    for name, by_system in told.items():
        texts = set(by_system.values())
        if len(texts) == 1 and len(by_system) == len(systems.SCHEMAS):
            merged[name] = texts.pop()
        else:
            merged[name] = "; ".join(f"{system}: {text}" for system, text in by_system.items())
    return {name: text.replace("%", "%%") for name, text in merged.items()}


def run_train(arguments: argparse.Namespace) -> None:
    """Make a run, or open one, and train it."""
    from core.training import processes
    from core.training.run import Run

    run = Run.open(arguments.resume) if arguments.resume else _new_run(arguments)
    processes.tie(run)
    if not arguments.queue:
        return _train(run)
    from core.training.queue import turn

    with turn(run) as granted:
        if granted:
            _train(run)
        else:
            say(f"stopped while it was queued: {run.path}")


def _train(run: Any) -> None:
    from core.training import processes

    if (count := processes.asked_for(run.config)) > 1:
        return processes.train_together(run, count)
    from core.training.engine import train

    final = train(systems.task(systems.parse(run.config)), run)
    if _is_main():
        say(f"{final['reason']} at step {final['step']}: {run.path}")


def _new_run(arguments: argparse.Namespace) -> Any:
    from core.training.run import Run

    if not arguments.folder:
        raise RavelError("A new run needs a folder: give --out FOLDER, or --resume one there is.")
    given = {k: v for k, v in vars(arguments).items() if "." in k and v is not None}
    values = systems.preset(arguments.system, arguments.preset)
    values = merge(values, {k: _value(v) for k, v in given.items()})
    if arguments.data:
        values = merge(values, {"data.store": arguments.data})
    config = systems.parse({**values, "system": arguments.system})
    if not _is_main():  # the main process makes the folder
        return _wait_for(arguments.folder)
    return Run.create(arguments.folder, config.model_dump())


def _is_main() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _wait_for(folder: str) -> Any:
    import time

    from core.training.run import Run

    for _ in range(600):
        if (Path(folder) / "state.json").exists():
            return Run.open(folder)
        time.sleep(0.1)
    raise RavelError(f"The main process made no run at {folder} within a minute.")


def _value(text: str) -> Any:
    return None if text.lower() == "none" else text


def _add_export(commands: Any) -> None:
    export = command(
        commands,
        "export",
        "Make a checkpoint of a run's best state.",
        "python -m core export runs/first checkpoints/mine --title 'TS-DSAE on my recordings'",
        run_export,
    )
    export.add_argument("folder", metavar="RUN", help="folder of the run")
    export.add_argument("out", metavar="CHECKPOINT", help="folder to write")
    export.add_argument("--title", default="", help="heading of the card")
    export.add_argument("--state", default="best", help="best, last or step_N (default: best)")
    export.add_argument("--half", action="store_true", help="keep weights in half precision")
    export.add_argument("--notes", metavar="FILE", help="text about the data, put into the card")


def run_export(arguments: argparse.Namespace) -> None:
    """Write a run's weights and config as a checkpoint, with a card."""
    checkpoint = systems.export_run(
        arguments.folder,
        arguments.out,
        title=arguments.title,
        state=arguments.state,
        notes=arguments.notes,
        half=arguments.half,
    )
    say(f"wrote {checkpoint.path}")


def _add_evaluate(commands: Any) -> None:
    evaluate = command(
        commands,
        "evaluate",
        "Score checkpoints as in the paper, and write metrics.json into each.",
        "python -m core evaluate ts-dsae-dmelodies dsae-dmelodies --data data/dmelodies",
        run_evaluate,
    )
    evaluate.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT", help="name or folder")
    evaluate.add_argument("--data", metavar="STORE", help="feature store with a validation split")
    evaluate.add_argument(
        "--real", nargs="+", metavar="FOLDER", help="folders of real recordings to swap and judge"
    )
    evaluate.add_argument(
        "--duets",
        nargs="+",
        metavar="FOLDER",
        help="folders of real stems, by instrument and piece: mixed two by two, separated, and "
        "their instruments exchanged",
    )
    evaluate.add_argument(
        "--separator",
        default="separator-duets",
        metavar="NAME",
        help="what takes duets apart (default: separator-duets)",
    )
    evaluate.add_argument(
        "--judge",
        nargs="+",
        metavar="FOLDER",
        default=[],
        help="what the separate judge learns from: audio folders and stores, neither in --real "
        "nor in --duets",
    )
    evaluate.add_argument(
        "--most",
        type=int,
        metavar="N",
        help="take at most N real recordings of each instrument, and N duets",
    )
    heard = evaluate.add_argument_group(
        "what is heard", "of disentangling models and vocoders, with --data"
    )
    heard.add_argument(
        "--melodies",
        type=int,
        metavar="N",
        default=100,
        help="make N validation clips sound again and follow their pitch by CREPE; 0: nothing "
        "is heard, no Fréchet audio distance either (default: 100)",
    )
    heard.add_argument(
        "--draws",
        type=int,
        metavar="N",
        default=50,
        help="make N draws from the prior sound too, at most as many as clips: are they in the "
        "corpus' scale, is the instrument known? 0: none (default: 50)",
    )
    heard.add_argument(
        "--crepe",
        choices=["tiny", "full"],
        help="size of CREPE (default: full on a GPU, else tiny)",
    )
    heard.add_argument(
        "--route",
        choices=list(ROUTES),
        help="from log-mels to sound (default: paper, of real recordings the vocoder)",
    )
    heard.add_argument(
        "--fad",
        choices=["crepe", "vggish"],
        default="crepe",
        help="embedding of the Fréchet audio distance: CREPE's, which costs nothing more, or "
        "VGGish's beside it (default: crepe)",
    )
    heard.add_argument(
        "--vggish", metavar="FILE", help="VGGish's weights (default: fetched once over https)"
    )
    evaluate.add_argument(
        "--supervised",
        action="store_true",
        help="of encoders: also train one of the same size by labels, for comparison",
    )
    evaluate.add_argument(
        "--swapped",
        metavar="MODEL",
        help="of vocoders: play what this model swapped of --data, a dMelodies store with audio, "
        "and compare it with the other instrument's true renderings",
    )
    evaluate.add_argument(
        "--alone", action="store_true", help="of encoders: without any baseline beside them"
    )


def run_evaluate(arguments: argparse.Namespace) -> None:
    """Print a table of scores and keep each checkpoint's figures in its folder."""
    if not (arguments.data or arguments.real or arguments.duets):
        raise RavelError(
            "There is nothing to evaluate on: give --data STORE, --real FOLDER or --duets FOLDER."
        )
    names: dict[str, list[str]] = {}
    for name in arguments.checkpoints:
        found = find(name)
        found.check_ours()
        names.setdefault(found.system, []).append(name)
    for system, those in names.items():
        _evaluate(system, those, arguments)


def _evaluate(system: str, names: list[str], arguments: argparse.Namespace) -> None:
    systems.schema(system)
    real = arguments.real or arguments.duets
    if system == "separation":
        from core.separation import report as separation

        if real:
            raise RavelError(f"{names[0]} separates: score it on mixtures, with --data STORE.")
        return separation.on_store(names, arguments.data, say)
    if system == "contrastive":
        from core.contrastive import report as contrastive

        if real:
            raise RavelError(f"{names[0]} makes embeddings: score it on clips, with --data STORE.")
        return contrastive.on_store(
            names, arguments.data, say, arguments.supervised, arguments.alone
        )
    if system == "vocoder":
        return _evaluate_vocoders(names, arguments)
    from core.dsae.evaluation import report

    if arguments.data:
        wanted = arguments.fad == "vggish" or bool(arguments.vggish)
        hearing = report.Hearing(
            arguments.melodies,
            arguments.draws,
            arguments.crepe,
            arguments.route or PAPER,
            wanted,
            arguments.vggish,
        )
        report.on_store(names, arguments.data, say, hearing)
    if arguments.real:
        chosen = (arguments.real, arguments.judge, arguments.most)
        report.on_recordings(names, *chosen, say, arguments.route)
    if arguments.duets:
        from core.remix.report import on_duets

        given = (arguments.duets, arguments.separator, arguments.judge, arguments.most)
        on_duets(names, *given, say, arguments.route)


def _evaluate_vocoders(names: list[str], arguments: argparse.Namespace) -> None:
    from core.vocoder import report

    if arguments.real or arguments.duets:
        raise RavelError(f"{names[0]} is a vocoder: score it on clips with sound, by --data STORE.")
    if not arguments.swapped:
        return report.on_store(names, arguments.data, say, arguments.melodies)
    count = report.enough(arguments.melodies)
    pairs, where = systems.swapped_sounds(arguments.swapped, arguments.data, count)
    report.on_pairs(names, pairs, where, say)
