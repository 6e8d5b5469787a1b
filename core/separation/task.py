"""The task the engine trains: a separator on mixtures of mixtures."""

from pathlib import Path

import torch
from torch import Tensor

from core.audio.clip import SAMPLE_RATE, write_wav
from core.data import mixtures
from core.data.store import FeatureStore
from core.errors import RavelError
from core.separation import evaluate, objective
from core.separation.config import SeparationConfig
from core.separation.model import Separator

HELD_OUT = 96  # validation mixtures
HELD_OUT_SECONDS = 5.0


class SeparationTask:
    """MixIT (or supervised PIT, for comparison) over the sound of a feature store."""

    def __init__(self, config: SeparationConfig) -> None:
        self.config = config
        self.training = config.training
        self.samples_long = round(config.data.seconds * SAMPLE_RATE)

    def load(self, device: torch.device) -> int:
        """Load training clips and held-out mixtures; return the number of training clips."""
        store = FeatureStore.open(self.config.data.store)
        self.waves = mixtures.Waves(store, store.indices("train"), device)
        if len(self.waves) < 2:
            raise RavelError(
                f"{store.path} has fewer than two training clips, which a mixture needs."
            )
        factor = self.config.data.factor
        references, chosen = mixtures.held_out(
            store, HELD_OUT, seconds=HELD_OUT_SECONDS, spread=self.config.data.level_spread,
            factor=factor,
        )  # fmt: skip
        self.held_out = references.to(device)
        labels = store.labels.get(factor, store.labels["name"])
        self.names = [str(label) for label in labels[chosen[0]]]
        return len(self.waves)

    def build(self) -> Separator:
        """A freshly initialised model."""
        return Separator(self.config.model)

    def stage(self, step: int) -> str:
        """There is one stage, named after the objective."""
        return self.config.stage(step)

    def enter(self, model: Separator, stage: str, fresh: bool) -> None:
        """All parameters are trained throughout."""

    def batch(self, indices: Tensor) -> Tensor:
        """References [B, 2, S]: an excerpt of each clip, and one of a random other clip."""
        spread = self.config.data.level_spread
        return mixtures.draw(self.waves, indices, samples=self.samples_long, spread=spread)

    def losses(self, model: Separator, references: Tensor, stage: str) -> dict[str, Tensor]:
        """The loss, a negative SNR in dB."""
        channels = model(references.sum(dim=1))
        find = objective.mixit if stage == "mixit" else objective.pit
        loss, _ = find(references, channels, self.config.objective.snr_max)
        return {"loss": loss.mean()}

    def validate(self, model: Separator, stage: str) -> dict[str, float]:
        """Loss, MoMi and the balance of the channels on held-out mixtures.

        The criterion is the loss. MoMi is the SI-SNR improvement of the best-assigned sums; with as
        many channels as clips it is close to `si_snri`, that of single channels.
        """
        size = max(1, self.training.batch_size)
        parts = [self._figures(model, some) for some in self.held_out.split(size)]
        loss, momi, si_snri, balance = (torch.cat(part) for part in zip(*parts, strict=True))
        return {
            "criterion": float(loss.mean()),
            "loss": float(loss.mean()),
            "momi_median": float(momi.median()),
            "momi_mean": float(momi.mean()),
            "si_snri_median": float(si_snri.median()),
            "channel_balance": float(balance.median()),
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
        return loss, momi, si_snri, balance

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
