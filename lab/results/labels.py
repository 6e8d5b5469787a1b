"""Settings and scores of grids as a researcher would say them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from core import registry
from core.experiments.grid import spelt
from core.experiments.results import Spread

TITLES = {
    "views.pair": "Views",
    "views.separators": "Channels by",
    "views.specaugment": "SpecAugment",
    "views.random_pool": "Random draws",
    "objective.coincidence": "Objective",
    "objective.similarity": "Similarity",
    "objective.reduction": "Loss terms",
    "objective.variant": "Model",
    "objective.stage1_steps": "Constrained steps",
    "model.embedding": "Embedding",
    "model.encoder": "Encoder",
    "model.posterior": "Posterior of z",
    "model.decoder": "Decoder",
    "model.hidden": "Width",
    "model.decorrelate": "What v tells of z",
    "model.z_size": "Size of z",
    "model.v_size": "Size of v",
    "training.steps": "Steps",
    "training.amsgrad": "Optimiser",
    "data.store": "Corpus",
}
VALUES = {
    ("views.pair", "mixture-mixture"): "mixture vs mixture",
    ("views.pair", "mixture-channel"): "mixture vs channel",
    ("views.pair", "channel-channel"): "channel vs channel",
    ("views.specaugment", "true"): "with SpecAugment",
    ("views.specaugment", "false"): "without SpecAugment",
    ("views.random_pool", "1"): "one for the whole run",
    ("objective.coincidence", "0.0"): "similarity (SM)",
    ("objective.coincidence", "1.0"): "joint (SM + CP)",
    ("objective.reduction", "mean"): "means, as in the authors' code",
    ("objective.reduction", "elbo"): "sums, as in equation 2",
    ("objective.variant", "dsae"): "DSAE",
    ("objective.variant", "dsae-f"): "DSAE-f",
    ("objective.variant", "ts-dsae-no-swaps"): "TS-DSAE w/o swap terms",
    ("objective.variant", "ts-dsae"): "TS-DSAE",
    ("model.posterior", "factorised"): "factorised",
    ("model.posterior", "full"): "full",
    ("model.decoder", "framewise"): "frame-wise",
    ("model.decoder", "recurrent"): "richer (recurrent)",
    ("model.decoder", "convolutional"): "convolutional",
    ("model.decorrelate", "true"): "off z",
    ("model.decorrelate", "false"): "left in z",
    ("training.amsgrad", "true"): "AMSGrad",
    ("training.amsgrad", "false"): "Adam",
}
UNITS = {
    "model.z_size": "z {}",
    "model.v_size": "v {}",
    "model.hidden": "{} wide",
    "model.embedding": "{} dimensions",
    "views.random_pool": "{} random draws",
    "training.steps": "{} steps",
    "objective.stage1_steps": "{} constrained steps",
}
WEIGHTS = {
    "kl_z": "KL of z",
    "kl_v": "KL of v",
    "z_gswap": "z, global swap",
    "v_gswap": "v, global swap",
    "v_lswap": "v, local swap",
    "z_lswap": "z, local swap",
}
SEPARATORS = {"": "S2", "5000": "S1", "500": "F", "0": "N"}
HELP = {
    "views.pair": "The two views of a clip that the encoder learns to bring together.",
    "views.separators": "Who makes the channels. Snapshots of one separator: **S2** fully "
    "trained, **S1** after 5,000 steps, **F** after 500, **N** not trained at all. *Or*: one is "
    "drawn for each example.",
    "views.specaugment": "Whether patches are masked and warped.",
    "objective.coincidence": "**SM** is similarity maximisation (NT-Xent), **CP** coincidence "
    "prediction, joint is both.",
    "objective.variant": "**DSAE**: one stage. **DSAE-f**: two stages, the global encoder frozen "
    "in the second. **TS-DSAE w/o swap terms**: with the informed prior alone.",
    "model.posterior": "q(z) of each frame by itself, or given the whole sequence and v.",
    "model.z_size": "Numbers in the local latent of a frame.",
    "model.hidden": "Units in each layer of encoders and decoder.",
    "model.decorrelate": "Whether what v tells of the mean of z over a clip, by a linear "
    "regression, is taken off z.",
}
FIGURES = {  # the scores that a figure of the first paper draws, by how their names begin
    "Figure 3": ("f1_pre", "f1_global", "f1_local"),
    "Figure 4": ("fad_vggish", "fad_crepe", "fad_resynthesised"),
    "Figure 5": ("rpa_pre", "rpa_global", "rpa_local"),
}
BASELINES = {
    "untrained": "Untrained encoder",
    "supervised": "Supervised encoder",
    "log-mel statistics": "Log-mel statistics",
}


def setting(name: str) -> str:
    """A setting's heading."""
    last = name.rsplit(".", 1)[-1]
    if last in WEIGHTS:
        return f"Weight: {WEIGHTS[last]}"
    return TITLES.get(name, last.replace("_", " ").capitalize())


def value(name: str, given: Any) -> str:
    """A setting's value, under its heading."""
    text = spelt(given)
    if name == "views.separators":
        return " or ".join(separator(one) for one in text.split("+"))
    if (name, text) in VALUES:
        return VALUES[name, text]
    return text.replace("data/", "") if name == "data.store" else _number(text)


def phrase(name: str, given: Any) -> str:
    """A setting's value where no heading says what it is of."""
    last, text = name.rsplit(".", 1)[-1], value(name, given)
    if name in UNITS and (name, spelt(given)) not in VALUES:
        return UNITS[name].format(text)
    return f"{WEIGHTS[last]} × {text}" if last in WEIGHTS else text


def separator(name: str) -> str:
    """Who makes channels: a snapshot by the paper's letters, a random one in words."""
    snapshot = re.fullmatch(r"separator-scenes(?:@(\d+))?", name)
    step = snapshot and (snapshot[1] or "")
    return SEPARATORS.get(step, name) if snapshot else name.replace("-", " ")


def together(settings: Mapping[str, Any], names: Sequence[str]) -> str:
    """Some settings of a cell in one line."""
    return ", ".join(phrase(name, settings[name]) for name in names if name in settings)


def score(name: str, meanings: Mapping[str, str]) -> str:
    """A score's heading."""
    text = meanings.get(name, name.replace("_", " "))
    return text if text[:2] == "mA" else text[0].upper() + text[1:]


def wrapped(text: str, width: int = 36) -> str:
    """A heading in lines of a chart."""
    return "<br>".join(textwrap.wrap(text, width))


def default_scores(system: str, there: Sequence[str]) -> list[str]:
    """The scores that a paper tells, as far as they were measured."""
    usual = registry.get(system).default_scores
    return [name for name in usual if name in there] or list(there[:2])


def first(there: Sequence[str], start: str) -> str:
    """The first score that begins so, or nothing."""
    return next((name for name in there if name.startswith(start)), "")


def figures(there: Sequence[str]) -> dict[str, list[str]]:
    """The figures of the first paper whose scores were measured, with their scores."""
    found = {
        figure: [first(there, start) for start in starts] for figure, starts in FIGURES.items()
    }
    return {figure: list(filter(None, names)) for figure, names in found.items() if any(names)}


def figure(number: float) -> str:
    """A score in digits that fit its size."""
    return f"{number:.3f}" if abs(number) < 10 else f"{number:.1f}"


def spread(found: Spread | None) -> str:
    """Mean ± standard deviation; of a single run its value."""
    if found is None:
        return "–"
    return figure(found.mean) + ("" if found.sd is None else f" ± {figure(found.sd)}")


def _number(text: str) -> str:
    if text.isdigit():
        return f"{int(text):,}"
    return text.removesuffix(".0") if re.fullmatch(r"-?\d+\.0", text) else text
