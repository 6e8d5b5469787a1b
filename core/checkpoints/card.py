"""A checkpoint's card: what the model is, on what data, how to train it again, what it scored."""

from pathlib import Path
from typing import Any, NamedTuple

from core import registry
from core.checkpoints.checkpoint import Checkpoint, write
from core.checkpoints.tables import score_table
from core.errors import RavelError
from core.files import replace
from core.training.config import RunConfig
from core.training.run import Run

BEGIN, END = "<!-- scores: written by `python -m core evaluate` -->", "<!-- end of scores -->"


class About(NamedTuple):
    """What a system puts into its models' cards: tags and the Hub's name of the task for the front
    matter, and what it is in Markdown, with an example of its use."""

    tags: str
    text: str
    task: str = "audio-to-audio"


def export_run(
    folder: str | Path,
    out: str | Path,
    *,
    title: str = "",
    state: str = "best",
    notes: str | None = None,
    half: bool = False,
) -> Checkpoint:
    """Write a run's saved state, and its snapshots beside it, as a checkpoint with its card.

    `notes` is a Markdown file about the data: how they were made, whose they are. `half` stores the
    weights in half precision. Raises RavelError when there is no such run, state or file; then
    nothing is written.
    """
    run = Run.open(folder)
    config = registry.parse(run.config)
    weights, _, progress = run.load(state)
    try:
        about_data = Path(notes).read_text(encoding="utf-8").strip() if notes else ""
    except OSError as error:
        raise RavelError(f"The notes {notes} cannot be read: {error.strerror}.") from None
    early = [step for step in run.snapshots if step != progress["step"]]
    snapshots = {step: run.load(f"step_{step}")[0] for step in early}
    checkpoint = write(out, config.model_dump(), weights, snapshots, half=half)
    about = registry.get(config.system).card.about(config, checkpoint.name)
    text = _card(about, config, progress, title or checkpoint.name, about_data, checkpoint)
    replace(checkpoint.path / "README.md", lambda path: path.write_text(text, encoding="utf-8"))
    refresh_scores(checkpoint)
    return checkpoint


def record_scores(checkpoint: Checkpoint, where: str, scores: dict[str, Any]) -> None:
    """Write scores into a checkpoint's metrics.json, under the corpus or task they were measured
    on, and into its card. Raises RavelError for a copy of the Hub's."""
    checkpoint.write_metrics({where: scores})
    refresh_scores(checkpoint)


def refresh_scores(checkpoint: Checkpoint) -> None:
    """Write the scores of metrics.json into the card's table."""
    path = checkpoint.path / "README.md"
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if begin and end:
        meanings = registry.get(checkpoint.system).meanings
        tables = [
            score_table(where, scores, meanings) for where, scores in checkpoint.metrics.items()
        ]
        table = "\n".join(tables) or "Not evaluated yet.\n"
        text = f"{head}{BEGIN}\n{table}{END}{tail}"
        replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def refresh_front(checkpoint: Checkpoint) -> None:
    """Replace a card's front matter by today's. Raises RavelError when the config is damaged."""
    config = registry.parse(checkpoint.config)
    about = registry.get(config.system).card.about(config, checkpoint.name)
    path = checkpoint.path / "README.md"
    text = path.read_text(encoding="utf-8")
    body = text.split("\n---\n", 1)[-1] if text.startswith("---\n") else text
    text = _front(about) + body
    replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def address(checkpoint: Checkpoint, name: str, new: str) -> None:
    """Let the examples in a card load `new`, a Hub id, where they load `name`."""
    path = checkpoint.path / "README.md"
    text = path.read_text(encoding="utf-8")
    for before, after in (('load("', '")'), ("--checkpoint ", " "), ("`", "@")):
        text = text.replace(f"{before}{name}{after}", f"{before}{new}{after}")
    replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def train_command(config: RunConfig, run: str) -> str:
    """The command that trains with this config: every setting that is not the default."""
    default, given = type(config).parse({}).model_dump(), config.model_dump()
    store = given["data"]["store"]
    lines = [f"python -m core train {given['system']} --out runs/{run} --data {store}"]
    for section, values in given.items():
        if isinstance(values, dict):
            changed = {k: v for k, v in values.items() if v != default[section][k] and k != "store"}
            lines += [f"    --{section}.{k} {spelt(v)}" for k, v in changed.items()]
    return " \\\n".join(lines)


def spelt(value: Any) -> str:
    """A setting as it is typed."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _card(
    about: About,
    config: RunConfig,
    progress: dict[str, Any],
    title: str,
    about_data: str,
    checkpoint: Checkpoint,
) -> str:
    given = config.model_dump()
    name, steps = checkpoint.name, given["training"]["steps"]
    snapshots = ", ".join(f"`{name}@{step}`" for step in checkpoint.snapshots)
    kept = f"\nSnapshots of the same run, by their step: {snapshots}.\n" if snapshots else ""
    return f"""{_front(about)}# {title}

{about.text}

## Data

{about_data or f"Trained on the feature store `{given['data']['store']}`."}

## Train it again

```
{train_command(config, name)}
python -m core export runs/{name} checkpoints/{name}
```

The weights are those of step {progress["step"]:,} of {steps:,}.
{kept}
## Scores

{BEGIN}
{END}

Licence: MIT. The weights carry no recording.
"""


def _front(about: About) -> str:
    """What the Hub reads of a card."""
    return f"""---
license: mit
library_name: ravel
pipeline_tag: {about.task}
tags: [{about.tags}]
---
"""
