"""python -m core train, export, evaluate: from a config to a scored checkpoint."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from core import registry
from core.checkpoints import card
from core.cli.common import add_launcher, command, place_of, say
from core.errors import RavelError
from core.experiments import evaluation
from core.training.config import flat_fields, flat_values, merge

COMMANDS = ("train", "export", "evaluate")
DEFAULT_SYSTEM = "dsae"
SUMMARY = "Train a model, or continue a run."
SWITCHES = ("--queue", "--help", "-h")  # flags of train that take no value


def add(commands: Any, words: list[str]) -> None:
    """Add the commands. `words`: the command line, which says whose settings `train` has."""
    if words[:1] not in (["export"], ["evaluate"]):
        _add_train(commands, words[1:] if words[:1] == ["train"] else [])
    _add_export(commands)
    _add_evaluate(commands)


def _add_train(commands: Any, words: Sequence[str]) -> None:
    systems = registry.systems()
    named = _system_in(words)
    system = systems.get(named, systems[DEFAULT_SYSTEM])
    presets = list(system.presets)
    default = "paper" if "paper" in presets else presets[0]
    of = f" {named}" if named in systems else ""
    train = command(
        commands,
        "train",
        f"Train a model ({system.title}), or continue a run." if of else SUMMARY,
        f"python -m core train{of or ' dsae'} --preset {presets[min(1, len(presets) - 1)]} "
        f"--data {system.config.parse({}).data.store} --out runs/first\n"
        "  python -m core train --resume runs/first\n"
        f"  torchrun --nproc-per-node 2 -m core train{of or ' dsae'} --data "
        f"{system.config.parse({}).data.store} --out runs/two",
        run_train,
    )
    if not of:
        train.description = _about_systems()
    train.usage = (
        f"python -m core train{of or ' [SYSTEM]'} [--preset NAME] [--data STORE] --out FOLDER "
        "[--SECTION.SETTING VALUE ...]\n       python -m core train --resume FOLDER"
    )
    train.add_argument(
        "system",
        nargs="?",
        choices=list(systems),
        default=DEFAULT_SYSTEM,
        metavar="SYSTEM",
        help=f"{', '.join(systems)} (default: {DEFAULT_SYSTEM})",
    )
    train.add_argument(
        "--preset",
        default=default,
        metavar="NAME",
        help=f"starting values: {', '.join(presets)} (default: {default})",
    )
    train.add_argument("--data", metavar="STORE", help="feature store to train on")
    train.add_argument("--out", metavar="FOLDER", help="folder of the new run", dest="folder")
    train.add_argument("--resume", metavar="FOLDER", help="run to continue")
    train.add_argument(
        "--queue", action="store_true", help="wait for the device until earlier runs are done"
    )
    add_launcher(train, "train, with training.processes on each machine,")
    _add_settings(train, system, shown=bool(of))


def _system_in(words: Sequence[str]) -> str:
    """The first word that is neither a flag nor a flag's value."""
    is_value = False
    for word in words:
        if word.startswith("-"):
            is_value = "=" not in word and word not in SWITCHES
        elif is_value:
            is_value = False
        else:
            return word
    return ""


def _about_systems() -> str:
    lines = [f"  {name:<12} {one.title}" for name, one in registry.systems().items()]
    systems = "\n".join(lines)
    return (
        f"{SUMMARY} There are these systems; each has settings of its own, which\n"
        f"`python -m core train SYSTEM --help` lists:\n\n{systems}"
    )


def _add_settings(train: Any, system: registry.System, shown: bool) -> None:
    """A flag for each setting of a system, by section; `shown` in the help."""
    default = flat_values(system.config.parse({}))
    groups: dict[str, Any] = {}
    for name, field in flat_fields(system.config).items():
        section, dot, _ = name.partition(".")
        if not dot:
            continue
        if section not in groups:
            groups[section] = train.add_argument_group(section if shown else None)
        choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        text = f"{field.description} (default: {card.spelt(default[name])})".replace("%", "%%")
        groups[section].add_argument(
            f"--{name}",
            metavar="|".join(map(str, choices)) or "VALUE",
            help=text if shown else argparse.SUPPRESS,
        )


def run_train(arguments: argparse.Namespace) -> None:
    """Make a run, or open one, and train it."""
    from core.training import processes
    from core.training.run import Run

    if arguments.launcher:
        return _submit(arguments)
    run = Run.open(arguments.resume) if arguments.resume else _new_run(arguments)
    processes.tie(run)
    if run.state().get("job") and run.state()["state"] == "queued" and run.asked_to_stop:
        if _is_main():
            run.write_state(state="stopped", reason="stopped while queued", message="", job=None)
        return say(f"stopped while it was queued: {run.path}")
    if not arguments.queue:
        return _train(run)
    from core.training.queue import turn

    with turn(run) as granted:
        if granted:
            _train(run)
        else:
            say(f"stopped while it was queued: {run.path}")


def _submit(arguments: argparse.Namespace) -> None:
    """Train as a job of a cluster, which goes on in a new job where its time is too short."""
    from core.training.launcher import submit
    from core.training.run import Run

    place = place_of(arguments)
    run = Run.open(arguments.resume) if arguments.resume else _new_run(arguments)
    jobs = submit(run, place, graphics=arguments.gpus)
    say(f"submitted to {place.launcher} as job {jobs[0]}: {run.path}")


def _train(run: Any) -> None:
    from core.training import processes

    _fetch_initial(run)
    if (count := processes.process_count(run.config)) > 1:
        return processes.train_together(run, count)
    from core.training.engine import train

    final = train(registry.task(registry.parse(run.config)), run)
    if _is_main():
        say(f"{final['reason']} at step {final['step']}: {run.path}")


def _fetch_initial(run: Any) -> None:
    """Put the weights that training starts from into a new run. Raises RavelError."""
    from core.checkpoints import checkpoint as checkpoints
    from core.training.run import INITIAL

    name = registry.parse(run.config).training.start_from
    if name and _is_main() and not run.has("last") and not run.has(INITIAL):
        run.save_initial(checkpoints.find(name).weights())


def _new_run(arguments: argparse.Namespace) -> Any:
    from core.training.run import Run

    if not arguments.folder:
        raise RavelError("A new run needs a folder: give --out FOLDER, or --resume a run.")
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
    checkpoint = card.export_run(
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
