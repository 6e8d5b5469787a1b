"""Settings and scores of grids in a researcher's words."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from core import registry
from core.experiments.grid import spelt
from core.experiments.results import Published, Spread


class Words(NamedTuple):
    """A setting's heading and help, its values in words, and how a value reads without heading."""

    title: str
    values: Mapping[str, str] = {}
    unit: str = "{}"
    help: str = ""


SETTINGS = {
    "views.pair": Words(
        "Views",
        {
            "mixture-mixture": "mixture vs mixture",
            "mixture-channel": "mixture vs channel",
            "channel-channel": "channel vs channel",
        },
        help="The two views of a clip that the encoder learns to bring together.",
    ),
    "views.separators": Words(
        "Channels by",
        help="The model that makes the channels. Snapshots of one separator: **S2** fully trained, "
        "**S1** after 5,000 steps, **F** after 500, **N** untrained. *Or*: one of them is drawn "
        "for each example.",
    ),
    "views.specaugment": Words(
        "SpecAugment",
        {"true": "with SpecAugment", "false": "without SpecAugment"},
        help="Whether patches are masked and warped.",
    ),
    "views.mix": Words(
        "Mixing",
        {"0": "no mixing"},
        "mixed {}",
        help="Share of the patches to which another clip is added.",
    ),
    "views.random_pool": Words("Random draws", {"1": "one for the whole run"}, "{} random draws"),
    "objective.coincidence": Words(
        "Objective",
        {"0.0": "similarity (SM)", "1.0": "joint (SM + CP)"},
        help="**SM** is similarity maximisation (NT-Xent), **CP** coincidence prediction; joint is "
        "both.",
    ),
    "objective.similarity": Words("Similarity"),
    "objective.reduction": Words(
        "Loss terms",
        {"mean": "means, as in the authors' code", "elbo": "sums, as in equation 2"},
    ),
    "objective.variant": Words(
        "Model",
        {
            "dsae": "DSAE",
            "dsae-f": "DSAE-f",
            "ts-dsae-no-swaps": "TS-DSAE w/o swap terms",
            "fhvae": "FHVAE",
            "r-wae": "R-WAE",
            "c-dsvae": "C-DSVAE",
            "s3-vae": "S3-VAE",
            "ts-dsae": "TS-DSAE",
            "ts-dsae-players": "TS-DSAE for players",
        },
        help="**DSAE**: one stage. **DSAE-f**: two stages, with the global encoder frozen in the "
        "second. **TS-DSAE w/o swap terms**: with the informed prior alone.",
    ),
    "objective.other_excerpt": Words(
        "v from", {"true": "another excerpt", "false": "the clip itself"}
    ),
    "objective.same_phrase": Words("Renditions", unit="renditions {}"),
    "objective.same_dynamics": Words("Renditions' dynamics", unit="dynamics {}"),
    "objective.perturb": Words("Perturbed", unit="perturbed {}"),
    "objective.new_player": Words("New players", unit="new players {}"),
    "objective.adversary": Words("Weight: adversary"),
    "objective.stage1_steps": Words("Constrained steps", unit="{} constrained steps"),
    "model.embedding": Words("Embedding", unit="{} dimensions"),
    "model.encoder": Words("Encoder"),
    "model.posterior": Words(
        "Posterior of z",
        help="q(z) of each frame on its own, or given the whole sequence and v.",
    ),
    "model.decoder": Words(
        "Decoder",
        {"framewise": "frame-wise", "recurrent": "richer (recurrent)", "film": "residual (FiLM)"},
    ),
    "model.hidden": Words(
        "Width", unit="{} wide", help="Units in each layer of the encoders and the decoder."
    ),
    "model.decorrelate": Words(
        "Decorrelation",
        {"true": "z decorrelated", "false": "z as encoded"},
        help="Remove from z the part of its clip mean that v predicts linearly.",
    ),
    "model.adversary": Words("Adversary", {"true": "adversary", "false": "no adversary"}),
    "model.equaliser": Words("Equaliser", {"0": "no equaliser"}),
    "model.global_encoder": Words(
        "Global encoder", {"framewise": "frame-wise", "pooling": "pooled statistics"}
    ),
    "model.z_levels": Words("Quantised z", {"0": "z not quantised"}, "{} levels of z"),
    "model.z_size": Words("Size of z", unit="z {}", help="Dimensions of a frame's local latent."),
    "model.v_size": Words("Size of v", unit="v {}"),
    "training.steps": Words("Steps", unit="{} steps"),
    "training.amsgrad": Words("Optimiser", {"true": "AMSGrad", "false": "Adam"}),
    "data.store": Words("Corpus"),
}
WEIGHTS = {
    "kl_z": "KL of z",
    "kl_v": "KL of v",
    "z_gswap": "z, global swap",
    "v_gswap": "v, global swap",
    "v_lswap": "v, local swap",
    "z_lswap": "z, local swap",
    "kl_z_swaps": "KL of z, with swaps",
    "back_translation": "back-translation",
}
SEPARATORS = {"": "S2", "5000": "S1", "500": "F", "0": "N"}
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
MISSING = "–"


def setting(name: str) -> str:
    """A setting's heading."""
    last = name.rsplit(".", 1)[-1]
    if last in WEIGHTS:
        return f"Weight: {WEIGHTS[last]}"
    return SETTINGS[name].title if name in SETTINGS else last.replace("_", " ").capitalize()


def value(name: str, given: Any) -> str:
    """A setting's value, under its heading."""
    text = spelt(given)
    if name == "views.separators":
        return " or ".join(separator(one) for one in text.split("+"))
    if name in SETTINGS and text in SETTINGS[name].values:
        return SETTINGS[name].values[text]
    return text.replace("data/", "") if name == "data.store" else _number(text)


def phrase(name: str, given: Any) -> str:
    """A setting's value without its heading."""
    last, text = name.rsplit(".", 1)[-1], value(name, given)
    if last in WEIGHTS:
        return f"{WEIGHTS[last]} × {text}"
    words = SETTINGS.get(name)
    return words.unit.format(text) if words and spelt(given) not in words.values else text


def separator(name: str) -> str:
    """The model that makes channels: a snapshot by the paper's letter, a random one in words."""
    snapshot = re.fullmatch(r"separator-scenes(?:@(\d+))?", name)
    return SEPARATORS.get(snapshot[1] or "", name) if snapshot else name.replace("-", " ")


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


def default_scores(system: str, measured: Sequence[str]) -> list[str]:
    """The system's main scores, as far as they were measured."""
    main = registry.get(system).default_scores
    return [name for name in main if name in measured] or list(measured[:2])


def figures(measured: Sequence[str]) -> dict[str, list[str]]:
    """The figures of the first paper whose scores were measured, with their scores."""
    found = {
        figure: [name for start in starts for name in _first(measured, start)]
        for figure, starts in FIGURES.items()
    }
    return {figure: names for figure, names in found.items() if names}


def figure(number: float) -> str:
    """A score in digits that fit its size."""
    return f"{number:.3f}" if abs(number) < 10 else f"{number:.1f}"


def spread(found: Spread | None) -> str:
    """Mean ± standard deviation; of a single run its value."""
    if found is None:
        return MISSING
    return figure(found.mean) + ("" if found.sd is None else f" ± {figure(found.sd)}")


def of_run(line: pd.Series, score: str) -> str:
    """A score in a line of a grid's table, with its interval."""
    value, low, high = (line.get(f"{score}{end}") for end in ("", "_low", "_high"))
    if pd.isna(value):
        return MISSING
    interval = "" if pd.isna(low) or pd.isna(high) else f" [{figure(low)}, {figure(high)}]"
    return figure(value) + interval


def baseline(line: pd.Series) -> str:
    """A baseline's name."""
    return BASELINES.get(line["row"], line["row"])


def published(one: Published) -> str:
    """A published figure as it was given."""
    given = one.given
    if "mean" not in given:
        return f"≥ {given['low']}" if "low" in given else MISSING
    return given["mean"] + (f" ± {given['sd']}" if "sd" in given else "")


def other(one: Published) -> str:
    """The name of another author's system."""
    return f"{one.method}, {one.note}" if one.note else one.method


def _first(measured: Sequence[str], start: str) -> list[str]:
    return [name for name in measured if name.startswith(start)][:1]


def _number(text: str) -> str:
    if text.isdigit():
        return f"{int(text):,}"
    return text.removesuffix(".0") if re.fullmatch(r"-?\d+\.0", text) else text
