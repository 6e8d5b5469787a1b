"""Scores separators and baselines on the same held-out mixtures, prints them and records them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from core.audio.decode import decode
from core.checkpoints.card import record_scores
from core.checkpoints.checkpoint import Checkpoint, find
from core.checkpoints.tables import aligned, format_score
from core.data import layouts, mixtures
from core.data.store import FeatureStore
from core.errors import RavelError
from core.registry import EvaluationOptions, Say
from core.separation import baselines
from core.separation.config import DataConfig
from core.separation.evaluate import Figures, figures, gained_over, joined, summary
from core.separation.separate import SeparationModel, load
from core.training.distributed import pick_device

COUNTS = {2: 300, 3: 100, 4: 100, 1: 100}  # mixtures of so many sources
SECONDS = 5.0
SEED = 1  # so that the mixtures differ from those used for validation in training
BATCH = 4
FUSS_SECONDS = 60.0  # a longer file cannot be a mixture of FUSS, which last 10 s
ORDER = ("separator", "untrained", "nothing", "nmf", "oracle-grouped nmf", "ideal ratio mask")
BLOCKS = {
    "median, dB": ("si_snri_2_median", "si_snri_3_median", "si_snri_4_median", "msi_median"),
    "mean, dB": ("si_snri_2_mean", "si_snri_3_mean", "si_snri_4_mean", "msi_mean", "over_nmf"),
    "mean over sources, dB": (*(f"si_snri_{n}_per_source" for n in (2, 3, 4)), "msi_per_source"),
    "MoMi and 1S, dB": ("momi_median", "momi_mean", "one_source_median", "one_source_mean"),
    "share of inputs": ("under", "equal", "over"),
}


class Mixed(NamedTuple):
    """Mixtures [B, S] and their references [B, N, S]."""

    mixture: Tensor
    references: Tensor


class MixtureSet(NamedTuple):
    """Mixtures in batches: their name in metrics.json, their number, and an iterator."""

    name: str
    size: int
    batches: Iterator[Mixed]


def evaluate(names: Sequence[str], options: EvaluationOptions, say: Say) -> None:
    """Score separators as `options` says. Raises RavelError for options that do not apply."""
    if options.real or options.duets or not options.data:
        raise RavelError(f"{names[0]} is a separator: score it on mixtures, with --data STORE.")
    on_store(names, options.data, say, options.alone)


def on_store(names: Sequence[str], path: str, say: Say, alone: bool = False) -> None:
    """Score checkpoints and baselines on the same mixtures; write metrics.json and the card.

    `path` is a feature store, whose held-out clips are mixed as in the first checkpoint's training,
    or FUSS's folder of published mixtures. NAME@STEP gets a row beside NAME's; a checkpoint with a
    snapshot of step 0 is compared with that, too. `alone` leaves out both that and the baselines.
    """
    device = str(pick_device("auto"))
    models = [load(name, device) for name in (names if alone else _with_untrained(names))]
    mixed = _mixture_set(Path(path), models[0].config.data)
    scores, counts = _measure(models, mixed, alone)
    for folder, m in {model.checkpoint.path: model.channels for model in models}.items():
        rows = {row: score for (owner, row), score in scores.items() if owner in (folder, m)}
        _keep(Checkpoint(folder), mixed.name, counts, rows)
        inputs = f"{counts['mixtures']} mixtures and {counts['single_sources']} single sources"
        say(f"\n{folder.name} on {mixed.name}: {inputs}, value [95 % interval]")
        say(table(rows))


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Rows of scores as text: systems down, scores across, in blocks that fit a screen."""
    blocks = []
    for title, names in BLOCKS.items():
        found = [name for name in names if any(name in row for row in rows.values())]
        cells = [
            [row, *(format_score(scores.get(name), digits=2) for name in found)]
            for row, scores in rows.items()
        ]
        blocks += ["\n" + aligned([[title, *found], *cells])] if found else []
    return "\n".join(blocks)


def _with_untrained(names: Sequence[str]) -> list[str]:
    """The names, each once, and the untrained snapshots of those that have one."""
    wanted = dict.fromkeys(map(str, names))
    found = {name: find(name) for name in wanted}
    for checkpoint in found.values():
        if checkpoint.snapshot is None and 0 in checkpoint.snapshots:
            wanted[f"{checkpoint.path}@0"] = None
    unique = {(find(name).path.resolve(), find(name).snapshot): name for name in wanted}
    return list(unique.values())


def _row(checkpoint: Checkpoint) -> str:
    if checkpoint.snapshot is None:
        return "separator"
    return f"step {checkpoint.snapshot}" if checkpoint.snapshot else "untrained"


def _measure(
    models: Sequence[SeparationModel], mixed: MixtureSet, alone: bool
) -> tuple[dict[tuple[Path | int, str], dict[str, Any]], dict[str, int]]:
    """Scores by owner (a checkpoint's folder, or M for the baselines) and row; and counts."""
    parts: dict[tuple[Path | int, str], list[Figures]] = {}
    with tqdm(total=mixed.size, unit="mixture") as bar:
        for mixture, references in mixed.batches:
            for key, channels in _separated(models, mixture, references, alone):
                parts.setdefault(key, []).append(figures(mixture, references, channels))
            bar.update(len(mixture))
    measured = {key: joined(some) for key, some in parts.items()}
    sources = next(iter(measured.values())).sources
    counts = {"mixtures": int((sources > 1).sum()), "single_sources": int((sources == 1).sum())}
    scores = {key: summary(one) for key, one in measured.items()}
    for model in () if alone else models:
        key = (model.checkpoint.path, _row(model.checkpoint))
        scores[key] |= gained_over(measured[key], measured[model.channels, "nmf"])
    return scores, counts


def _separated(
    models: Sequence[SeparationModel], mixture: Tensor, references: Tensor, alone: bool
) -> Iterator[tuple[tuple[Path | int, str], Tensor]]:
    for model in models:
        yield (model.checkpoint.path, _row(model.checkpoint)), model.batch(mixture).cpu()
    for m in () if alone else sorted({model.channels for model in models}):
        made = [baselines.all_of(*one, m) for one in zip(mixture, references, strict=True)]
        for row in made[0]:
            yield (m, row), torch.stack([channels[row] for channels in made])


def _keep(
    checkpoint: Checkpoint, where: str, counts: dict[str, int], rows: dict[str, dict[str, Any]]
) -> None:
    """Record rows, with earlier ones measured on the same number of mixtures, in a fixed order."""
    kept = checkpoint.metrics.get(where, {})
    if all(kept.get(name) == count for name, count in counts.items()):
        rows = {**{k: v for k, v in kept.items() if k not in counts}, **rows}
    steps = sorted((row for row in rows if row not in ORDER), key=lambda row: -int(row.split()[1]))
    order = [ORDER[0], *steps, *ORDER[1:]]
    rows = {row: rows[row] for row in order if row in rows}
    record_scores(checkpoint, where, {**counts, **rows})


def _mixture_set(path: Path, settings: DataConfig) -> MixtureSet:
    if (path / "store.json").exists() or not path.is_dir():
        return _of_store(FeatureStore.open(path), settings)
    scenes = list(layouts.mixtures(path))
    for split in ("eval", "validation"):
        chosen = [scene for scene in scenes if scene.name.startswith(f"{split}/")]
        if chosen:
            return MixtureSet(f"{path.name} {split}", len(chosen), map(_published, chosen))
    raise RavelError(f"{path} has training mixtures only: unpack its eval or validation part too.")


def _of_store(store: FeatureStore, settings: DataConfig) -> MixtureSet:
    """Mixtures of held-out clips, with at most as many sources as there are labels."""
    _, clips = mixtures.training_rows(store)
    kinds = len(set(store.labels.get(settings.factor, store.labels["name"])[clips]))
    counts = {n: count for n, count in COUNTS.items() if n <= max(2, kinds)}

    def batches() -> Iterator[Mixed]:
        for sources, count in counts.items():
            references, _ = mixtures.held_out(
                store, count, sources=sources, seconds=SECONDS, seed=SEED,
                spread=settings.level_spread, factor=settings.factor,
            )  # fmt: skip
            for some in references.split(BATCH):
                yield Mixed(some.sum(dim=1), some)

    return MixtureSet(store.path.name, sum(counts.values()), batches())


def _published(scene: layouts.Scene) -> Mixed:
    """A published mixture and its sources, cut or padded to its length."""
    mixture, *sources = (
        torch.from_numpy(decode(file, file.name, 0.0, None, FUSS_SECONDS))
        for file in (scene.mixture, *scene.sources)
    )
    size = len(mixture)
    same = [torch.nn.functional.pad(wave, (0, size - len(wave))) for wave in sources]
    return Mixed(mixture[None], torch.stack(same)[None])
