"""python -m core train, export, evaluate: from a config to a scored checkpoint."""

import argparse
import os
from pathlib import Path
from typing import Any

from core import registry
from core.checkpoints import card as cards
from core.cli.common import command, say
from core.errors import RavelError
from core.experiments import evaluation
from core.training.config import flat_fields, merge


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
        "system", nargs="?", choices=list(registry.systems()), default="dsae", help="what to train"
    )
    presets = sorted({name for one in registry.systems().values() for name in one.presets})
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
    for system, about in registry.systems().items():
        for name, field in flat_fields(about.config).items():
            if "." in name:
                text = f"{field.description} (default: {cards.spelt(field.default)})"
                told.setdefault(name, {})[system] = text
    merged = {}
    for name, by_system in told.items():
        texts = set(by_system.values())
        if len(texts) == 1 and len(by_system) == len(registry.systems()):
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

    final = train(registry.task(registry.parse(run.config)), run)
    if _is_main():
        say(f"{final['reason']} at step {final['step']}: {run.path}")


def _new_run(arguments: argparse.Namespace) -> Any:
    from core.training.run import Run

    if not arguments.folder:
        raise RavelError("A new run needs a folder: give --out FOLDER, or --resume one there is.")
    given = {k: v for k, v in vars(arguments).items() if "." in k and v is not None}
    values = registry.preset(arguments.system, arguments.preset)
    values = merge(values, {k: _value(v) for k, v in given.items()})
    if arguments.data:
        values = merge(values, {"data.store": arguments.data})
    config = registry.parse({**values, "system": arguments.system})
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
    checkpoint = cards.export_run(
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
    evaluation.add_options(evaluate)


def run_evaluate(arguments: argparse.Namespace) -> None:
    """Print a table of scores and write each checkpoint's scores into its folder."""
    evaluation.evaluate(arguments.checkpoints, evaluation.options_of(arguments), say)
