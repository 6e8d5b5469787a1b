"""From a run to a checkpoint: weights, config, and a card that tells how to train it again."""

from pathlib import Path
from typing import Any

from core import checkpoints
from core.dsae.config import DsaeConfig
from core.errors import RavelError
from core.files import replace
from core.training.run import Run

NAMES = {
    "dsae": "the plain disentangled sequential autoencoder, trained in one stage",
    "dsae-f": "DSAE-f: two stages, the global encoder frozen in the second",
    "ts-dsae-no-swaps": "TS-DSAE without the four swap terms",
    "ts-dsae": "TS-DSAE, with constrained training, informed prior and swap terms",
}
MEANINGS = {
    "clips": "validation clips",
    "mse": "squared error of the reconstruction, a bin",
    "f1_pre": "macro-F1 of the reconstruction",
    "f1_global": "macro-F1 after a global swap",
    "f1_local": "macro-F1 after a local swap",
    "counterfactual_error": "squared error of a swap to the true rendering, a bin",
    "counterfactual_closer": "swaps nearer to the true rendering than to the original",
    "active_v": "dimensions of v in use",
    "active_z": "dimensions of z in use",
    "kl_v": "KL of v to N(0, I), nats",
    "melody": "melody kept (raw pitch accuracy, CREPE tiny, 50 cents)",
    "own_encoder": "instrument by the model's own encoder (macro-F1)",
    "judge": "instrument by a judge of real and rendered sound (macro-F1)",
    "real_judge": "instrument by a judge of real sound only (macro-F1)",
    "pairs": "swaps, every pair both ways",
}
BEGIN, END = "<!-- scores: written by `python -m core evaluate` -->", "<!-- end of scores -->"


def export_run(
    folder: str | Path, out: str | Path, title: str, state: str = "best", notes: str | None = None
) -> checkpoints.Checkpoint:
    """Write a run's saved state as a checkpoint with its card.

    `notes` is a file of Markdown about the data: how they were made, whose they are. Raises
    RavelError when the run has no such state or the file is not there.
    """
    run = Run.open(folder)
    config = DsaeConfig.parse(run.config)
    weights, _, progress = run.load(state)
    try:
        about_data = Path(notes).read_text(encoding="utf-8").strip() if notes else ""
    except OSError as error:
        raise RavelError(f"The notes {notes} cannot be read: {error.strerror}.") from None
    checkpoint = checkpoints.write(out, config.model_dump(), weights)
    text = _card(config, progress, title or checkpoint.name, about_data, checkpoint.name)
    replace(checkpoint.path / "README.md", lambda path: path.write_text(text, encoding="utf-8"))
    refresh_scores(checkpoint)
    return checkpoint


def refresh_scores(checkpoint: checkpoints.Checkpoint) -> None:
    """Put what metrics.json says into the card's table of scores."""
    path = checkpoint.path / "README.md"
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if begin and end:
        table = _tables(checkpoint.metrics) or "Not evaluated yet.\n"
        text = f"{head}{BEGIN}\n{table}{END}{tail}"
        replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def train_command(config: DsaeConfig, run: str) -> str:
    """The command that trains with this config: every setting that is not the default."""
    default, given = DsaeConfig().model_dump(), config.model_dump()
    lines = [f"python -m core train dsae --out runs/{run} --data {config.data.store}"]
    for section, values in given.items():
        if isinstance(values, dict):
            changed = {k: v for k, v in values.items() if v != default[section][k] and k != "store"}
            lines += [f"    --{section}.{k} {_spelt(v)}" for k, v in changed.items()]
    return " \\\n".join(lines)


def _spelt(value: Any) -> str:
    return "none" if value is None else str(value)


def shown(value: Any) -> str:
    """A score with its interval, or a plain number."""
    if isinstance(value, dict):
        return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _card(config: DsaeConfig, progress: dict, title: str, about_data: str, name: str) -> str:
    model = config.model
    return f"""---
license: mit
tags: [audio, music, disentanglement]
---
# {title}

{NAMES[config.objective.variant][0].upper()}{NAMES[config.objective.variant][1:]} (Luo, Ewert and
Dixon, IJCAI 2022). It splits four seconds of one instrument into a global latent `v`
({model.v_size} numbers: the instrument) and local latents `z` ({model.z_size} numbers a frame of
16 ms: the melody). Posterior {model.posterior}, decoder {model.decoder}, {model.hidden} units wide.

```python
from core.audio.clip import read
from core.audio.invert import to_waveform
from core.dsae.latents import load

model = load("{name}")
violin, trumpet = (model.encode(read(file)) for file in ("violin.wav", "trumpet.wav"))
sound = to_waveform(model.swap(violin, trumpet))  # the violin's melody, the trumpet's sound
```

## Data

{about_data or f"Trained on the feature store `{config.data.store}`."}

## Train it again

```
{train_command(config, name)}
python -m core export runs/{name} checkpoints/{name}
```

The weights are those of step {progress["step"]:,} of {config.training.steps:,}.

## Scores

{BEGIN}
{END}

Licence: MIT. The weights carry no recording.
"""


def _tables(metrics: dict[str, Any]) -> str:
    return "\n".join(_table(where, scores) for where, scores in metrics.items())


def _table(where: str, scores: dict[str, Any]) -> str:
    lines = [f"\n**{where}**\n\n| what | value [95 % interval] |\n|---|---|"]
    for name, value in scores.items():
        if isinstance(value, dict) and "value" not in value:
            lines += [f"| {name}: {MEANINGS.get(k, k)} | {shown(v)} |" for k, v in value.items()]
        else:
            lines.append(f"| {MEANINGS.get(name, name)} | {shown(value)} |")
    return "\n".join(lines) + "\n"
