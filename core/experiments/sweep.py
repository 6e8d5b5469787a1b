"""What is left of a grid, and how long that takes: by runs at hand, else by a few steps."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from core.errors import RavelError
from core.experiments.grid import Planned, is_trained, scores
from core.training import estimate as times
from core.training.estimate import PROBE_STEPS, Timing
from core.training.run import Run

Say = Callable[[str], None]


class Left(NamedTuple):
    """A planned run: scored, trained, begun or new, and which part of its training is left."""

    planned: Planned
    state: str
    part: float


class Estimate(NamedTuple):
    """Seconds of training and of scoring that are left, and where the figures are from.

    `scoring` is None where no run at hand was scored. `sources` counts runs by where their speed is
    from.
    """

    training: float
    scoring: float | None
    sources: Counter[str]


def left(planned: Sequence[Planned], folder: Path) -> list[Left]:
    """How far each planned run is, by its folder below `folder`."""
    found = []
    for one in planned:
        if not (folder / one.name / "config.json").exists():
            found.append(Left(one, "new", 1.0))
            continue
        run = Run.open(folder / one.name)
        if is_trained(run):
            found.append(Left(one, "scored" if scores(run) else "trained", 0.0))
        else:
            done = run.state().get("step") or 0
            found.append(Left(one, "begun", max(0.0, 1 - done / one.config.training.steps)))
    return found


def at_hand(folder: Path) -> list[Run]:
    """The runs whose speed may be known: the grid's own, and those beside it."""
    places = (folder, folder.parent)
    return [Run(file.parent) for place in places for file in place.glob("[!.]*/config.json")]


def estimate(runs: Sequence[Left], known: Sequence[Run], say: Say) -> Estimate:
    """How long it takes to train and score what is left, one run after the other.

    The speed of each kind of run is that of the latest of `known` that was alike on this machine,
    or is measured by a few steps of each stage. Early stopping is not foreseen. Raises RavelError
    where nothing can be measured, as without the corpus.
    """
    timings: dict[str, Timing] = {}
    training, sources = 0.0, Counter[str]()
    for one in runs:
        if not one.part:
            continue
        config = one.planned.config
        values, kind = config.model_dump(), times.kind_of(config.model_dump())
        if kind not in timings:
            timings[kind] = _timing(one.planned, known)
            fastest = min(timings[kind].step.values())
            say(f"{one.planned.name}: {fastest:.3g} s a step or more, by {timings[kind].source}")
        training += one.part * timings[kind].seconds(values, config.stage)
        sources["runs at hand" if timings[kind].source.startswith("run ") else "measured"] += 1
    return Estimate(training, _scoring(runs, known), sources)


def said(found: Estimate, devices: Sequence[str]) -> str:
    """An estimate in a sentence or two."""
    hours, side = found.training / 3600, len(devices)
    kinds = Counter(devices)
    where = ", ".join(f"{count} on {name}" for name, count in sorted(kinds.items()))
    by = " and ".join(f"{count} by {source}" for source, count in found.sources.items())
    text = f"training: {hours:.1f} hours of one run after the other ({by or 'nothing is left'}), "
    text += f"{hours / side:.1f} with {side} at once ({where}); early stopping is not foreseen"
    if "cpu" in kinds and side > 1:
        text += "; runs that share a CPU slow each other down"
    if found.scoring is None:
        return f"{text}. Scoring is not counted: no run has been scored yet."
    return f"{text}. Scoring: {found.scoring / 3600:.1f} hours more."


def _timing(planned: Planned, known: Sequence[Run]) -> Timing:
    config = planned.config
    values, steps = config.model_dump(), config.training.steps
    stages = {config.stage(i * steps // min(steps, 1000)) for i in range(min(steps, 1000))}
    found = times.from_runs(values, _with_metrics(known), stages)
    if found:
        return found
    try:
        return times.measure(values, config.shortened(PROBE_STEPS))
    except RavelError as error:
        raise RavelError(f"The speed of {planned.name} cannot be measured: {error}") from None


def _with_metrics(known: Iterable[Run]) -> list[Run]:
    return [run for run in known if (run.path / "metrics.jsonl").exists()]


def _scoring(runs: Sequence[Left], known: Sequence[Run]) -> float | None:
    taken = [float(s) for run in known if (s := run.state().get("score_seconds"))]
    count = sum(one.state != "scored" for one in runs)
    return count * statistics.median(taken) if taken or not count else None
