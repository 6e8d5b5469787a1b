"""How long a training run will take: from earlier runs like it, or from a few real steps."""

import json
import statistics
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from core import jobs
from core.errors import RavelError
from core.training.config import merge
from core.training.devices import resolve
from core.training.run import Run

PROBE_STEPS = 6  # of each stage; the first, which warms up, is not counted
PATIENCE_SECONDS = 180
# Settings that do not change the time of a step, or are accounted for elsewhere.
FREE = (
    *("steps", "learning_rate", "schedule", "warmup_steps", "half_life", "amsgrad"),
    *("gradient_clip", "seed"),
    *("snapshots", "patience", "checkpoint_every", "log_every", "validate_every", "tensorboard"),
)

Config = Mapping[str, Any]
StageOf = Callable[[int], str]


class Timing(NamedTuple):
    """Seconds of a step by stage, seconds of a validation, and where the figures are from."""

    step: dict[str, float]
    validation: float
    source: str

    def seconds(self, config: Config, stage: StageOf) -> float:
        """The time the whole run takes, early stopping aside."""
        training = config["training"]
        steps, every = training["steps"], training["validate_every"]
        slowest = max(self.step.values())
        # Stages are long, so a thousand evenly spaced steps give their shares.
        spaced = [i * steps // min(steps, 1000) for i in range(min(steps, 1000))]
        mean = statistics.fmean(self.step.get(stage(step), slowest) for step in spaced)
        return steps * mean + (1 + -(-steps // every)) * self.validation


def from_runs(config: Config, runs: Iterable[Run], stages: set[str]) -> Timing | None:
    """The speed of the latest comparable run on the same device, if there is one."""
    wanted = kind_of(config)
    for run in sorted(runs, key=lambda run: run.path.stat().st_mtime, reverse=True):
        try:
            # Settings that an older config lacks count as equal.
            own = merge({"training": {"processes": 1}}, run.config)
            alike = kind_of(merge(config, own)) == wanted
        except (RavelError, KeyError, TypeError, AttributeError):  # a damaged or foreign config
            continue
        found = timing(run.metrics(), f"run {run.path.name}") if alike else None
        if found and stages <= set(found.step):
            return found
    return None


def measure(config: Config, changes: Mapping[str, Any]) -> Timing:
    """The timing of a few real steps, in a process of its own. Takes seconds to minutes.

    `changes` are settings that bring every stage into PROBE_STEPS steps each. Raises RavelError
    with the worker's message when the steps fail.
    """
    quick = {"validate_every": 10**9, "checkpoint_every": 10**9, "log_every": 1, "patience": None}
    changes = {**{f"training.{k}": v for k, v in quick.items()}, **changes}
    with tempfile.TemporaryDirectory(prefix="ravel-") as folder:
        run = Run.create(Path(folder) / "estimate", merge(config, changes))
        arguments = ["train", "--resume", str(run.path)]
        try:
            done = jobs.run("core", arguments, seconds=PATIENCE_SECONDS)
        except TimeoutError:
            raise RavelError(
                f"A few steps took more than {PATIENCE_SECONDS // 60} minutes: choose a faster "
                "device, a smaller model or smaller batches."
            ) from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise RavelError(last.removeprefix("python -m core: "))
        found = timing(run.metrics(), "a few steps measured just now", skip=1)
    if found is None:
        raise RavelError("Too few steps were made to estimate how long the run would take.")
    return found


def timing(records: Iterable[Config], source: str, skip: int = 0) -> Timing | None:
    """The timing that a run's metrics show; `skip` records of each stage are not counted."""
    steps: dict[str, list[float]] = {}
    validations, before = [], None
    for record in records:
        if before and record["step"] >= before["step"]:
            passed, elapsed = record["step"] - before["step"], record["time"] - before["time"]
            if record["kind"] == "train" == before["kind"] and passed:
                steps.setdefault(record["stage"], []).append(elapsed / passed)
            elif record["kind"] == "validation" and not passed:
                validations.append(elapsed)
        before = record
    middle = {s: statistics.median(found[skip:]) for s, found in steps.items() if found[skip:]}
    if not middle:
        return None
    return Timing(middle, statistics.median(validations) if validations else 0.0, source)


def kind_of(config: Config) -> str:
    """Everything that the time of a step depends on, as one comparable text."""
    training = {k: v for k, v in config["training"].items() if k not in FREE}
    training["device"] = resolve(training["device"])
    # Numbers are weights of terms, which cost nothing; text chooses the terms.
    objective = {k: v for k, v in config.get("objective", {}).items() if isinstance(v, str)}
    others = {k: v for k, v in config.items() if k not in ("system", "objective", "training")}
    work = [config.get("system", "dsae"), others, objective, training]
    return json.dumps(work, sort_keys=True)
