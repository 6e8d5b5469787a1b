"""The task the engine trains: TS-DSAE or one of its baselines."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.data import players
from core.data.store import FeatureStore
from core.dsae import objective, player_objective, related, samples
from core.dsae.clips import Batch, Clips
from core.dsae.config import DsaeConfig
from core.dsae.decorrelation import Regression
from core.dsae.evaluation.scores import active_units
from core.dsae.evaluation.swap_f1 import LabelledBatch, swap_f1
from core.dsae.model import Dsae
from core.dsae.perturbation import with_dynamics_of
from core.errors import RavelError
from core.training import distributed, engine, memory
from core.training.reading import place

SIGNAL_CLIPS = 240  # validation clips that the collapse signals are computed on
REGRESSION_CLIPS = 4_000  # training clips for the regression from v to z


class TwoExcerpts(NamedTuple):
    """Clips, another excerpt of the player of each, and what z is computed from, if not the clips:
    log-mels [B, T, M] of the same phrases, some by other players."""

    clips: Batch
    others: Batch
    renditions: Tensor | None = None


class Pairs:
    """For each clip another one of its player or phrase, where there is one; else the clip."""

    def __init__(self, numbers: np.ndarray) -> None:
        """`numbers` [N]: the player of each clip, or the phrase that it plays."""
        self.order = np.argsort(numbers, kind="stable")  # clips by player
        self.place = np.argsort(self.order)  # where a clip is in that order
        _, player, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        self.first = (np.cumsum(counts) - counts)[player]  # where each clip's player begins
        self.count = counts[player]

    def draw(self, indices: Tensor) -> Tensor:
        """A random other clip of each clip's player or phrase."""
        rows = indices.cpu().numpy()
        steps = 1 + (torch.rand(len(rows)).numpy() * (self.count[rows] - 1)).astype(int)
        return self._on(rows, steps).to(indices.device)

    def next(self, indices: Tensor) -> Tensor:
        """The next clip of each clip's player, and after its last one the first."""
        return self._on(indices.cpu().numpy(), 1).to(indices.device)

    def _on(self, rows: np.ndarray, steps: np.ndarray | int) -> Tensor:
        position = (self.place[rows] - self.first[rows] + steps) % self.count[rows]
        return torch.from_numpy(self.order[self.first[rows] + position])


class DsaeTask:
    """The two stages of training (section 3.2) over a feature store."""

    def __init__(self, config: DsaeConfig) -> None:
        self.config = config
        self.training = config.training
        self.informed = config.objective.variant in ("ts-dsae-no-swaps", "ts-dsae")
        self.swaps = config.objective.variant == "ts-dsae"
        self.of_players = config.objective.variant == "ts-dsae-players"
        if config.objective.adversary and not config.model.adversary:
            raise RavelError(
                "objective.adversary needs the adversary's network: set model.adversary to true."
            )

    def load(self, device: torch.device) -> int:
        """Load training and validation clips to the device; return the number of training clips."""
        store = FeatureStore.open(self.config.data.store)
        train, held_out = store.training_rows()
        self.renditions, phrases = None, players.of_phrases(store.labels)
        if not (self.of_players and self.config.objective.same_phrase):
            phrases = None
        # Renditions are by any player, whichever process has it.
        shared = phrases is not None and distributed.place()[1] > 1
        examples = len(train)
        self.first, train = (0, train) if shared else distributed.own(train)
        self._take(store, train, held_out, device, shared=shared)
        factor = labels_of(store, self.config.data.factor)
        if phrases is not None:
            self.renditions = Pairs(phrases[train])
        if self.of_players:
            numbers = players.of_store(store.labels)
            self.pairs, self.held_out_pairs = Pairs(numbers[train]), Pairs(numbers[held_out])
        self.factor, self.held_out_factor = factor[train], factor[held_out]
        return examples

    def _take(
        self,
        store: FeatureStore,
        train: np.ndarray,
        held_out: np.ndarray,
        device: torch.device,
        *,
        shared: bool,
    ) -> None:
        """Keep the clips on the device, or leave them on disk where they do not fit, and where each
        of several processes would have to keep all of them."""
        floor, self.device = self.config.model.floor, device
        count = len(train) + len(held_out)
        size = count * math.prod(store.log_mel.shape[1:]) * store.log_mel.dtype.itemsize
        wish = self.training.in_memory
        kept = memory.fits(size, device, self.training) and not (shared and wish == "auto")
        self.where, self.from_disk = memory.said(count, size, kept, device), not kept
        self.train = Clips(store, train, device, floor, mapped=not kept)
        idle = distributed.place()[0] > 0  # the main process validates for all
        self.held_out = Clips(store, held_out, device, floor, mapped=idle or not kept)

    def build(self) -> Dsae:
        """A freshly initialised model."""
        return Dsae(self.config.model)

    def stage(self, step: int) -> str:
        """The name of the stage, see `DsaeConfig.stage`."""
        return self.config.stage(step)

    def enter(self, model: Dsae, stage: str, fresh: bool) -> None:
        """Freeze what the stage keeps fixed; take the snapshot when stage 2 begins."""
        constrained = stage == "constrained"
        if stage == "prior":
            model.requires_grad_(False)
            model.prior.requires_grad_(True)
            return
        model.local_encoder.requires_grad_(not constrained)
        model.prior.requires_grad_(not constrained)
        # DSAE-f keeps the global encoder of stage 1.
        model.global_encoder.requires_grad_(stage != "informed" or self.informed)
        if fresh and stage == "informed":
            model.take_snapshot()

    def learning_rate(self, step: int) -> float:
        """The schedule of each part: the transition prior that is fitted last begins anew."""
        last = self.config.objective.prior_steps if self.of_players else 0
        joint = self.training.model_copy(update={"steps": self.training.steps - last})
        if step < joint.steps:
            return engine.learning_rate(joint, step)
        rest = self.training.model_copy(update={"steps": last})
        return engine.learning_rate(rest, step - joint.steps)

    def batch(self, indices: Tensor) -> Batch | TwoExcerpts:
        """Training clips, cropped if the config says so, and of players another excerpt of each."""
        if not self.of_players:
            return self._excerpts(indices, self.config.data.crop)
        if self.renditions is None:
            clips, renditions = self._excerpts(indices, self.config.data.crop), None
        else:
            clips, renditions = self._with_renditions(indices, self.renditions)
        others = self.pairs.draw(indices)
        return TwoExcerpts(clips, self._excerpts(others, self.config.data.other_crop), renditions)

    def _placed(self, clips: Clips, indices: Tensor) -> Batch:
        """Whole clips, on the device of the model."""
        return place(clips.whole(indices), self.device)

    def _excerpts(self, indices: Tensor, crop: int | None) -> Batch:
        return self.train.crop(indices, crop) if crop else self.train.whole(indices)

    def _with_renditions(self, indices: Tensor, pairs: Pairs) -> tuple[Batch, Tensor]:
        """Clips, and the same part of their phrases; of a share of them by another player."""
        given = self.config.objective
        frames = self.config.data.crop or self.train.frames
        positions = self.train.draw(indices, frames)
        chosen = torch.rand(len(indices), device=indices.device) < given.same_phrase
        played = torch.where(chosen, pairs.draw(indices), indices)
        clips, renditions = (self.train.excerpts(rows, positions) for rows in (indices, played))
        if not given.same_dynamics:
            return clips, renditions.x
        alike = torch.rand(len(indices), device=indices.device) < given.same_dynamics
        matched = with_dynamics_of(clips.x, renditions.x, self.config.model.floor)
        return clips, torch.where(alike[:, None, None], matched, renditions.x)

    def losses(self, model: Dsae, batch: Batch | TwoExcerpts, stage: str) -> dict[str, Tensor]:
        """The objective of the stage, term by term."""
        if isinstance(batch, TwoExcerpts):
            if stage == "prior":
                return player_objective.prior_losses(model, *batch.clips)
            return player_objective.losses(
                model,
                *batch.clips,
                *batch.others,
                self.config.objective,
                swaps=stage == "swaps",
                renditions=batch.renditions,
            )
        if of_related := related.LOSSES.get(self.config.objective.variant):
            return of_related(model, *batch, self.config.objective)
        informed = stage == "informed"
        return objective.losses(
            model,
            *batch,
            self.config.objective,
            informed=informed and self.informed,
            swaps=informed and self.swaps,
        )

    def validate(self, model: Dsae, stage: str) -> dict[str, float]:
        """The losses over the validation clips, and early signs of a collapse.

        The criterion is equation 2, as in the paper; the authors' code adds the swap terms. The
        regression from v to z, if any, is fitted exactly first, so that the saved states hold it.
        """
        if model.local_encoder.without_v is not None:
            self._regress(model, model.local_encoder.without_v)
        sums: dict[str, float] = {}
        size = min(self.training.batch_size, 128)
        for start in range(0, len(self.held_out), size):
            rows = torch.arange(start, min(start + size, len(self.held_out)))
            clips = self._placed(self.held_out, rows)
            batch: Batch | TwoExcerpts = clips
            if self.of_players:
                others = self.held_out_pairs.next(rows)
                batch = TwoExcerpts(clips, self._placed(self.held_out, others))
            share = len(clips.x) / len(self.held_out)
            for name, value in self.losses(model, batch, stage).items():
                sums[name] = sums.get(name, 0.0) + share * float(value)
        return {"criterion": sums["elbo_loss"], **sums, **self._signals(model)}

    @torch.no_grad()
    def _regress(self, model: Dsae, regression: Regression) -> None:
        """Fit the regression from v to z on training clips rather than the latest batches."""
        local, parts = model.local_encoder, []
        for some in spread(len(self.train), REGRESSION_CLIPS).split(128):
            x, lengths = self._placed(self.train, some)
            q_v = model.global_encoder(x, lengths)
            parts.append((q_v.mean, local.means(local(x, q_v.mean, lengths), q_v, lengths)))
        regression.fit(*map(torch.cat, zip(*parts, strict=True)))

    def _signals(self, model: Dsae) -> dict[str, float]:
        """Signs of a collapse: swap F1 and active units, on a sample of the clips."""
        rows = spread(len(self.train), 2 * SIGNAL_CLIPS)
        train = LabelledBatch(*self._placed(self.train, rows), self.factor[rows.numpy()])
        rows = spread(len(self.held_out), SIGNAL_CLIPS)
        held_out = LabelledBatch(
            *self._placed(self.held_out, rows), self.held_out_factor[rows.numpy()]
        )
        signals = active_units(model, held_out.x, held_out.lengths)
        if len(train.labels) <= len(set(train.labels)):  # too few clips for a classifier
            return signals
        return swap_f1(model, train, held_out) | signals

    def samples(self, model: Dsae, folder: Path) -> None:
        """Two validation clips of different labels, reconstructed and swapped, as WAV files.

        Also the latents of the clips that the signals are computed on.
        """
        labels = self.held_out_factor
        other = next((i for i, label in enumerate(labels) if label != labels[0]), len(labels) - 1)
        two = self._placed(self.held_out, torch.tensor([0, other]))
        samples.write_sounds(model, *two, folder)
        some = spread(len(self.held_out), SIGNAL_CLIPS)
        batch = self._placed(self.held_out, some)
        samples.write_latents(model, *batch, labels[some.numpy()], folder)


def labels_of(store: FeatureStore, factor: str) -> np.ndarray:
    """A store's labels of a factor [N], which score a model and do not train it; empty words for
    a store without the default factor. Raises RavelError for another that it does not have."""
    if factor in store.labels:
        return store.labels[factor]
    if factor == DsaeConfig().data.factor:
        return np.full(len(store), "")
    raise RavelError(
        f"{store.path} has no label column called {factor!r}: set data.factor to one of "
        f"{', '.join(store.labels)}."
    )


def spread(total: int, count: int) -> Tensor:
    """At most `count` of the indices 0 to `total` - 1, evenly spaced."""
    return torch.linspace(0, total - 1, min(count, total)).long()
