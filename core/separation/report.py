"""Separators and baselines scored on the same held-out mixtures, printed and kept."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from core.audio.decode import decode
from core.checkpoints.card import record_scores
from core.checkpoints.checkpoint import Checkpoint, find
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
SEED = 1  # other mixtures than those that training chose its best state by
BATCH = 4
FUSS_SECONDS = 60.0  # beyond which a file is none of FUSS's mixtures, which last 10
ORDER = ("separator", "untrained", "nothing", "nmf", "oracle-grouped nmf", "ideal ratio mask")
BLOCKS = {
    "median, dB": ("si_snri_2_median", "si_snri_3_median", "si_snri_4_median", "msi_median"),
    "mean, dB": ("si_snri_2_mean", "si_snri_3_mean", "si_snri_4_mean", "over_nmf"),
    "MoMi and 1S, dB": ("momi_median", "momi_mean", "one_source_median", "one_source_mean"),
    "share of inputs": ("under", "equal", "over"),
}


class Mixed(NamedTuple):
    """Mixtures [B, S] and their references [B, N, S]."""

    mixture: Tensor
    references: Tensor


class Corpus(NamedTuple):
    """Mixtures in batches: what metrics.json calls them, how many, and a way through them."""

    name: str
    count: int
    batches: Iterator[Mixed]


def evaluate(names: Sequence[str], options: EvaluationOptions, say: Say) -> None:
    """Score separators as `options` says. Raises RavelError for what they cannot be scored on."""
    if options.real or options.duets or not options.data:
        raise RavelError(f"{names[0]} separates: score it on mixtures, with --data STORE.")
    on_store(names, options.data, say)


def on_store(names: Sequence[str], path: str, say: Say) -> None:
    """Score checkpoints and baselines on the same mixtures; keep it in metrics.json and the card.

    `path` is a feature store, whose held-out clips are mixed as the first checkpoint's training
    mixed others, or FUSS's folder of published mixtures. NAME@STEP is a row of its own beside
    NAME's; a checkpoint that has a snapshot of step 0 is compared with that, too.
    """
    device = str(pick_device("auto"))
    models = [load(name, device) for name in _with_untrained(names)]
    corpus = _corpus(Path(path), models[0].config.data)
    scores, counts = _measure(models, corpus)
    for folder, m in {model.checkpoint.path: model.channels for model in models}.items():
        rows = {row: score for (owner, row), score in scores.items() if owner in (folder, m)}
        _keep(Checkpoint(folder), corpus.name, counts, rows)
        inputs = f"{counts['mixtures']} mixtures and {counts['single_sources']} single sources"
        say(f"\n{folder.name} on {corpus.name}: {inputs}, value [95 % interval]")
        say(table(rows))


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Rows of scores as text: systems down, metrics across, in blocks that fit a screen."""
    width = max(map(len, rows)) + 2
    lines = []
    for title, names in BLOCKS.items():
        there = [name for name in names if any(name in row for row in rows.values())]
        if there:
            heads = "".join(f"{name:<22}" for name in there)
            lines.append(f"\n{title:<{width}}{heads}".rstrip(" "))
            for row, scores in rows.items():
                cells = "".join(f"{_cell(scores.get(name)):<22}" for name in there)
                lines.append(f"{row:<{width}}{cells}".rstrip())
    return "\n".join(lines)


def _cell(score: dict[str, float] | None) -> str:
    return "{value:.2f} [{low:.2f}, {high:.2f}]".format(**score) if score else ""


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
    models: Sequence[SeparationModel], corpus: Corpus
) -> tuple[dict[tuple[Path | int, str], dict[str, Any]], dict[str, int]]:
    """Scores by whose they are (a checkpoint's folder, or the baselines' M) and row; counts."""
    parts: dict[tuple[Path | int, str], list[Figures]] = {}
    with tqdm(total=corpus.count, unit="mixture") as bar:
        for mixture, references in corpus.batches:
            for key, channels in _taken_apart(models, mixture, references):
                parts.setdefault(key, []).append(figures(mixture, references, channels))
            bar.update(len(mixture))
    measured = {key: joined(some) for key, some in parts.items()}
    sources = next(iter(measured.values())).sources
    counts = {"mixtures": int((sources > 1).sum()), "single_sources": int((sources == 1).sum())}
    scores = {key: summary(one) for key, one in measured.items()}
    for model in models:
        key = (model.checkpoint.path, _row(model.checkpoint))
        scores[key] |= gained_over(measured[key], measured[model.channels, "nmf"])
    return scores, counts


def _taken_apart(
    models: Sequence[SeparationModel], mixture: Tensor, references: Tensor
) -> Iterator[tuple[tuple[Path | int, str], Tensor]]:
    for model in models:
        yield (model.checkpoint.path, _row(model.checkpoint)), model.batch(mixture).cpu()
    for m in sorted({model.channels for model in models}):
        made = [baselines.all_of(*one, m) for one in zip(mixture, references, strict=True)]
        for row in made[0]:
            yield (m, row), torch.stack([channels[row] for channels in made])


def _keep(
    checkpoint: Checkpoint, where: str, counts: dict[str, int], rows: dict[str, dict[str, Any]]
) -> None:
    """Lay rows over those that were measured on as many mixtures; in one order always."""
    kept = checkpoint.metrics.get(where, {})
    if all(kept.get(name) == count for name, count in counts.items()):
        rows = {**{k: v for k, v in kept.items() if k not in counts}, **rows}
    steps = sorted((row for row in rows if row not in ORDER), key=lambda row: -int(row.split()[1]))
    order = [ORDER[0], *steps, *ORDER[1:]]
    rows = {row: rows[row] for row in order if row in rows}
    record_scores(checkpoint, where, {**counts, **rows})


def _corpus(path: Path, settings: DataConfig) -> Corpus:
    if (path / "store.json").exists() or not path.is_dir():
        return _of_store(FeatureStore.open(path), settings)
    scenes = list(layouts.mixtures(path))
    for split in ("eval", "validation"):
        chosen = [scene for scene in scenes if scene.name.startswith(f"{split}/")]
        if chosen:
            return Corpus(f"{path.name} {split}", len(chosen), map(_published, chosen))
    raise RavelError(f"{path} has training mixtures only: unpack its eval or validation part too.")


def _of_store(store: FeatureStore, settings: DataConfig) -> Corpus:
    """Mixtures of held-out clips, of as many sources as there are kinds of them."""
    clips = store.indices("validation")
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

    return Corpus(store.path.name, sum(counts.values()), batches())


def _published(scene: layouts.Scene) -> Mixed:
    """A mixture as it was published, and its sources, cut or padded to its length."""
    mixture, *sources = (
        torch.from_numpy(decode(file, file.name, 0.0, None, FUSS_SECONDS))
        for file in (scene.mixture, *scene.sources)
    )
    size = len(mixture)
    same = [torch.nn.functional.pad(wave, (0, size - len(wave))) for wave in sources]
    return Mixed(mixture[None], torch.stack(same)[None])
