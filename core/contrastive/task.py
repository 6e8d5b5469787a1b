"""The task the engine trains: an encoder on separated scenes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.contrastive import objective, probe, sources, views
from core.contrastive.config import RANDOM, SMALLEST_BATCH, ContrastiveConfig
from core.contrastive.model import Contrastive
from core.data.joined import Rows
from core.data.store import FeatureStore
from core.errors import RavelError
from core.statistics import spread_evenly
from core.training import distributed, memory

PROBED = 4_000  # clips for the probe, where they are read from disk
HELD_OUT = 256  # validation clips for the losses

LoadSeparator = Callable[[str, str], Any]
UntrainedSeparator = Callable[[int, torch.device], sources.Process]


class ContrastiveTask:
    """Similarity maximisation and coincidence prediction over views of a store's clips.

    `load_separator` loads a separator by name and device; `untrained_separator` makes one of random
    weights from a seed.
    """

    smallest_batch = SMALLEST_BATCH

    def __init__(
        self,
        config: ContrastiveConfig,
        load_separator: LoadSeparator,
        untrained_separator: UntrainedSeparator,
    ) -> None:
        self.config = config
        self.training = config.training
        self.load_separator, self.untrained_separator = load_separator, untrained_separator

    def load(self, device: torch.device) -> int:
        """Compute or load the views of all clips; return the number of training clips.

        Raises RavelError for fewer training clips than a batch needs.
        """
        store = FeatureStore.open(self.config.data.store)
        train, held_out = store.training_rows()
        if len(train) < SMALLEST_BATCH:
            raise RavelError(
                f"{store.path} has {len(train)} training clip, but clips are distinguished from "
                f"others: an encoder needs {SMALLEST_BATCH} or more."
            )
        examples, self.device = len(train), device
        self.first, train = distributed.own(train)
        names = self.config.views.separators
        if self.config.views.pair == "mixture-mixture":
            names = ()
        kept = {
            name: views.channels(store, self.load_separator(name, str(device)))
            for name in names
            if name not in RANDOM
        }
        mixtures, frames = views.mixtures(store), views.frames_of(store)
        count = len(train) + len(held_out)
        size = sum(array.nbytes for array in (mixtures, *kept.values())) * count // len(store)
        resident = memory.fits(size, device, self.training)
        self.where, self.from_disk = memory.said(count, size, resident, device), not resident
        place = device if resident else torch.device("cpu")

        def part(rows: np.ndarray) -> views.Views:
            assert store.audio is not None  # views.mixtures has checked it

            def of(array: np.ndarray) -> np.ndarray | Rows:
                return array[rows] if resident else Rows(array, rows)

            processors = [
                of(kept[name]) if name in kept else self._drawn(name, of(store.audio), place)
                for name in names
            ]
            return views.Views(self.config.views, [of(mixtures), *processors], frames[rows], place)

        self.train, self.held_out = part(train), part(held_out)
        column = store.labels.get(self.config.data.factor)  # for the probe only
        self.labels = None if column is None else (column[train], column[held_out])
        return examples

    def _drawn(self, name: str, waves: np.ndarray | Rows, device: torch.device) -> sources.Drawn:
        """A random processor of the named kind, with seeds that start from this run's."""
        first = self.training.seed * self.config.views.random_pool
        make: dict[str, sources.Make] = {
            "random-separator": lambda seed: self.untrained_separator(seed, device),
            "random-filter": sources.random_filter,
            "random-equaliser": sources.random_equaliser,
        }
        pool = self.config.views.random_pool
        return sources.Drawn(waves, lambda n: make[name](first + n), pool, device)

    def build(self) -> Contrastive:
        """A freshly initialised model."""
        return Contrastive(self.config.model)

    def stage(self, step: int) -> str:
        """There is one stage, named after the objectives."""
        return self.config.stage(step)

    def enter(self, model: Contrastive, stage: str, fresh: bool) -> None:
        """A head without an objective is frozen; everything else is trained throughout."""
        weights = self.config.objective
        for name, parameter in model.named_parameters():
            if name.startswith("projection"):
                parameter.requires_grad_(weights.similarity > 0)
            if name.startswith("coincidence"):
                parameter.requires_grad_(weights.coincidence > 0)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Two views [B, F, 64] of training clips."""
        return self.train.draw(indices.to(self.train.frames.device))

    def losses(
        self, model: Contrastive, batch: tuple[Tensor, Tensor], stage: str
    ) -> dict[str, Tensor]:
        """The proxy tasks' losses, term by term."""
        weights = self.config.objective
        return objective.losses(
            model, *batch, weights.similarity, weights.coincidence, weights.temperature
        )

    def validate(self, model: Contrastive, stage: str) -> dict[str, float]:
        """Losses, alignment and uniformity on held-out pairs, and a quick probe of h.

        The criterion is the loss: no label decides which weights are kept.
        """
        count = min(HELD_OUT, len(self.held_out))
        rows = torch.linspace(0, len(self.held_out) - 1, count).long()
        pairs = self.held_out.draw(rows.to(self.held_out.frames.device))
        a, b = (view.to(self.device) for view in pairs)
        figures: dict[str, list[float]] = {}
        size = min(self.training.batch_size, count)
        for part in zip(a.split(size), b.split(size), strict=True):
            if len(part[0]) == size:  # the loss depends on the batch size
                for name, value in self.losses(model, part, stage).items():
                    figures.setdefault(name, []).append(float(value.detach()))
        means = {name: float(np.mean(values)) for name, values in figures.items()}
        h_a, h_b = (model.encoder(view) for view in (a, b))
        return {
            "criterion": means["loss"],
            **means,
            "alignment": float(objective.alignment(h_a, h_b)),
            **({"uniformity": float(objective.uniformity(h_a))} if count > 1 else {}),
            **self._probe(model),
        }

    def _probe(self, model: Contrastive) -> dict[str, float]:
        if self.labels is None:
            return {}
        # Of clips that are read from disk a sample will do.
        most = PROBED if self.from_disk else len(self.train)
        embeddings, labels = [], []
        for part, column in zip((self.train, self.held_out), self.labels, strict=True):
            some = spread_evenly(len(part), most)
            log_mels, frames = part.whole(some)
            embeddings.append(
                probe.embed_all(
                    model.encoder, log_mels.to(self.device), frames, self.config.views.frames
                )
            )
            labels.append(column[some])
        return probe.quick(*embeddings, *labels)
