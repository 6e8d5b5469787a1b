"""The task the engine trains: a separator on mixtures of mixtures."""

import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.audio.clip import SAMPLE_RATE, write_wav
from core.checkpoints import checkpoint as checkpoints
from core.data import mixtures
from core.data.store import FeatureStore
from core.errors import RavelError
from core.separation import evaluate, objective, remixing
from core.separation.config import SeparationConfig
from core.separation.model import Separator
from core.training import distributed, memory

HELD_OUT = 96  # validation mixtures
HELD_OUT_SECONDS = 5.0
SINGLE = 32  # of their clips, each separated by itself as well


class SeparationTask:
    """MixIT over the sound of a feature store; or remixing, from a trained separator on; or
    supervised PIT, for comparison."""

    def __init__(self, config: SeparationConfig) -> None:
        self.config = config
        self.training = config.training
        self.samples_long = round(config.data.seconds * SAMPLE_RATE)

    def load(self, device: torch.device) -> int:
        """Load training clips and held-out mixtures; return the number of training clips."""
        store = FeatureStore.open(self.config.data.store)
        train, _ = mixtures.training_rows(store)
        examples = len(train)
        self.first, train = distributed.own(train)
        if len(train) < 2:
            raise RavelError(
                f"{store.path} has fewer than two training clips for each process, which a mixture "
                "needs."
            )
        self._take(store, train, device)
        factor = self.config.data.factor
        references, chosen = mixtures.held_out(
            store, HELD_OUT, seconds=HELD_OUT_SECONDS, spread=self.config.data.level_spread,
            factor=factor,
        )  # fmt: skip
        self.held_out = references.to(device)
        labels = store.labels.get(factor, store.labels["name"])
        self.names = [str(label) for label in labels[chosen[0]]]
        return examples

    def _take(self, store: FeatureStore, train: np.ndarray, device: torch.device) -> None:
        """Keep the sound on the device, or leave it on disk where it does not fit."""
        size = 2 * len(train) * (0 if store.audio is None else store.audio.shape[1])
        kept = memory.fits(size, device, self.training)
        self.where, self.from_disk = memory.said(len(train), size, kept, device), not kept
        self.waves = mixtures.Waves(store, train, device, mapped=not kept)

    def build(self) -> Separator:
        """A freshly initialised model, or that of `objective.start`. Raises RavelError."""
        start = self.config.objective.start
        if not start:
            return Separator(self.config.model)
        model, config, found = checkpoints.load(start, "separation")
        for name, value in config.model.model_dump().items():
            if value != (wanted := getattr(self.config.model, name)):
                raise RavelError(
                    f"{found.name} has model.{name} {value}, but this run {wanted}: give the run "
                    "the network of its start, whose card lists the settings."
                )
        return model

    def stage(self, step: int) -> str:
        """There is one stage, named after the objective."""
        return self.config.stage(step)

    def enter(self, model: Separator, stage: str, fresh: bool) -> None:
        """All parameters are trained throughout. The teacher, if any, begins as the model."""
        if self.config.objective.remixes:
            self.teacher = copy.deepcopy(model).eval().requires_grad_(False)

    def stepped(self, model: Separator, step: int) -> None:
        """Let the teacher follow the model, where an update is due."""
        given = self.config.objective
        if given.remixes and given.teacher_decay < 1 and step % given.teacher_every == 0:
            remixing.follow(self.teacher, model, given.teacher_decay)

    def kept(self) -> dict[str, Tensor]:
        """The teacher's weights."""
        if not self.config.objective.remixes:
            return {}
        return {f"teacher.{name}": value for name, value in self.teacher.state_dict().items()}

    def restore(self, kept: dict[str, Tensor]) -> None:
        """Give the teacher the weights it had."""
        if self.config.objective.remixes:
            weights = {name.removeprefix("teacher."): value for name, value in kept.items()}
            self.teacher.load_state_dict(weights)

    def batch(self, indices: Tensor) -> Tensor:
        """References [B, 2, S]: an excerpt of each clip, and one of a random other clip.

        In a share of them, `data.single`, the other one is silence.
        """
        spread = self.config.data.level_spread
        drawn = mixtures.draw(self.waves, indices, samples=self.samples_long, spread=spread)
        if self.config.data.single:
            alone = torch.rand(len(drawn)) < self.config.data.single
            drawn[:, 1] *= ~alone.to(drawn.device)[:, None]
        return drawn

    def losses(self, model: Separator, references: Tensor, stage: str) -> dict[str, Tensor]:
        """The loss, a negative SNR in dB plus the penalties that have a weight."""
        mixture = references.sum(dim=1)
        if self.config.objective.remixes:
            return {"loss": self._remixed(model, mixture).mean()}
        channels = model(mixture)
        find = objective.mixit if stage == "mixit" else objective.pit
        loss, _ = find(references, channels, self.config.objective.snr_max)
        if self.config.data.single:
            alone = ~references[:, 1].any(dim=1)
            kept = objective.whole(mixture, channels, self.config.objective.snr_max)
            loss = torch.where(alone, kept, loss)
        penalties = self._penalties(channels, mixture)
        if not penalties:
            return {"loss": loss.mean()}
        parts = {stage: loss.mean(), **{name: value.mean() for name, value in penalties.items()}}
        return {"loss": self._weighted(loss, penalties).mean(), **parts}

    def _remixed(self, model: Separator, mixtures: Tensor) -> Tensor:
        """The loss [B] of remixing mixtures [B, S]; what they are sums of is not used."""
        snr_max = self.config.objective.snr_max
        with torch.no_grad():
            made = remixing.remix(self.teacher(mixtures))
        estimates = model(made.mixtures)
        if self.config.objective.method == "remixit":
            return remixing.remixit(made, estimates, snr_max)
        return remixing.self_remixing(made, mixtures, estimates, snr_max)

    def _penalties(self, channels: Tensor, mixture: Tensor) -> dict[str, Tensor]:
        """The penalties [B] on channels [B, M, S], by name, that have a weight."""
        given = self.config.objective
        found = {}
        if given.sparsity:
            found["sparsity"] = objective.sparsity(channels)
        if given.covariance:
            found["covariance"] = objective.covariance(channels, mixture)
        return found

    def _weighted(self, loss: Tensor, penalties: dict[str, Tensor]) -> Tensor:
        weights = self.config.objective
        return loss + sum(getattr(weights, name) * value for name, value in penalties.items())

    def validate(self, model: Separator, stage: str) -> dict[str, float]:
        """Loss, MoMi, and the channels' balance and activity on held-out mixtures; 1S on clips.

        The criterion is MixIT's loss with its penalties, whatever the method. MoMi is the SI-SNR
        improvement of the best-assigned sums; with as many channels as clips it is close to
        `si_snri`, that of single channels. `one_source` is the SI-SNR of a single clip's best
        channel.
        """
        size = max(1, self.training.batch_size)
        parts = [self._figures(model, some) for some in self.held_out.split(size)]
        criterion, loss, momi, si_snri, balance, active = (
            torch.cat(part) for part in zip(*parts, strict=True)
        )
        alone = [self._alone(model, some) for some in self.held_out[:SINGLE, 0].split(size)]
        one_source, active_of_one = (torch.cat(part) for part in zip(*alone, strict=True))
        return {
            "criterion": float(criterion.mean()),
            "loss": float(loss.mean()),
            "momi_median": float(momi.median()),
            "momi_mean": float(momi.mean()),
            "si_snri_median": float(si_snri.median()),
            "channel_balance": float(balance.median()),
            "one_source_median": float(one_source.median()),
            "active": float(active.mean()),
            "active_of_one": float(active_of_one.mean()),
        }

    def _figures(self, model: Separator, references: Tensor) -> tuple[Tensor, ...]:
        mixture = references.sum(dim=1)
        channels = model(mixture)
        loss, assignment = objective.mixit(references, channels, self.config.objective.snr_max)
        momi = evaluate.momi(references, channels, assignment)
        before = objective.si_snr(mixture[:, None].expand_as(references), references)
        best = objective.best_pairs(objective.si_snr_of_pairs(channels, references))
        si_snri = (best - before).mean(dim=1)
        power = channels.square().mean(dim=-1)
        balance = 10 * torch.log10((power.amin(dim=1) + 1e-8) / (power.amax(dim=1) + 1e-8))
        criterion = self._weighted(loss, self._penalties(channels, mixture))
        return criterion, loss, momi, si_snri, balance, _count_active(channels)

    def _alone(self, model: Separator, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Of clips [B, S], each separated by itself: the best channel's SI-SNR, active channels."""
        channels = model(clips)
        best = objective.si_snr_of_pairs(channels, clips[:, None])[..., 0].amax(dim=1)
        return best, _count_active(channels)

    def samples(self, model: Separator, folder: Path) -> None:
        """A held-out mixture and its channels, as WAV files."""
        mixture = self.held_out[0].sum(dim=0)
        parts = {"0 mixture " + " and ".join(self.names): mixture}
        channels = model(mixture[None])[0]
        parts |= {f"{i} channel {i}": wave for i, wave in enumerate(channels, start=1)}
        loudest = max(float(wave.abs().max()) for wave in parts.values())
        folder.mkdir(parents=True, exist_ok=True)
        for name, wave in parts.items():
            safe = "".join(c if c.isalnum() or c in " -_" else "_" for c in name)
            write_wav(folder / f"{safe}.wav", (wave / max(loudest, 1.0)).float().cpu().numpy())


def _count_active(channels: Tensor) -> Tensor:
    return evaluate.active_channels(channels).float().sum(dim=-1)
