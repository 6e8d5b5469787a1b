"""The task the engine trains: a vocoder on the sound of feature stores."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.audio.clip import write_wav
from core.data.store import FeatureStore
from core.errors import RavelError
from core.statistics import spread_evenly
from core.training import distributed, memory
from core.training.schedule import learning_rate
from core.vocoder import objective
from core.vocoder.config import VocoderConfig
from core.vocoder.model import VocoderNetwork, synthesise
from core.vocoder.sounds import Excerpts, Sounds
from core.vocoder.vocode import network

HELD_OUT = 16  # validation clips of each store
AT_ONCE = 8
HEADROOM = 0.5

Rebuild = Callable[[str, FeatureStore, np.ndarray, torch.device], np.ndarray]


class VocoderTask:
    """Predict spectra of true sound from its log-mels and from models' reconstructions of them.

    `rebuild` gives the log-mels [N, T, M] that a named model makes of those of some clips.
    """

    def __init__(self, config: VocoderConfig, rebuild: Rebuild) -> None:
        self.config, self.rebuild = config, rebuild
        self.training = config.training

    def load(self, device: torch.device) -> int:
        """Open the stores and reconstruct clips; return the number of training clips."""
        self.device, data = device, self.config.data
        stores = {name: FeatureStore.open(name) for name in (data.store, *data.more)}
        parts = [store.training_rows() for store in stores.values()]
        of_stores = list(zip(stores.items(), parts, strict=True))
        size = sum(store.size * len(train) // len(store) for (_, store), (train, _) in of_stores)
        count = sum(len(train) for train, _ in parts)
        kept = memory.fits(size, torch.device("cpu"), self.training)
        self.where, self.from_disk = memory.said(count, size, kept, torch.device("cpu")), not kept
        self.train = [self._sounds(*it, train, data.rebuilt_clips) for it, (train, _) in of_stores]
        held_out = [self._sounds(*it, rows, HELD_OUT) for it, (_, rows) in of_stores]
        self.held_out = [batch for some in held_out for batch in some.whole(HELD_OUT, AT_ONCE)]
        if not self.held_out:
            raise RavelError(f"{data.store} has no clips to train on: choose another store.")
        counts = [len(sounds.rows) for sounds in self.train]
        numbers = np.repeat(np.arange(len(counts)), counts)
        self.first, mine = distributed.own(np.arange(count))
        self.of, self.row = numbers[mine], np.concatenate([s.rows for s in self.train])[mine]
        return count

    def _sounds(self, name: str, store: FeatureStore, rows: np.ndarray, count: int) -> Sounds:
        sounds = Sounds(store, rows, self.device)
        for model in self.config.data.models_of(name) if len(sounds.rows) else ():
            some = sounds.rows[spread_evenly(len(sounds.rows), count)]
            sounds.add(some, self.rebuild(model, store, some, self.device))
        return sounds

    def build(self) -> VocoderNetwork:
        """A freshly initialised network."""
        return network(self.config.model)

    def stage(self, step: int) -> str:
        """`spectra`, then `noise`."""
        return self.config.stage(step)

    def learning_rate(self, step: int) -> float:
        """Each stage runs the whole schedule."""
        first = self.config.spectra_steps
        begun, steps = (0, first) if step < first else (first, self.training.steps - first)
        return learning_rate(self.training.model_copy(update={"steps": steps}), step - begun)

    def enter(self, model: VocoderNetwork, stage: str, fresh: bool) -> None:
        """Freeze the noise head in the first stage, and everything else in the second."""
        model.requires_grad_(stage == "spectra")
        model.tonal.requires_grad_(stage == "noise")

    def batch(self, indices: Tensor) -> Excerpts:
        """An excerpt of each clip, randomly attenuated, some with a reconstructed log-mel."""
        data = self.config.data
        draw = np.random.default_rng(int(torch.randint(2**62, ())))
        some = indices.numpy()
        chosen = zip(self.of[some].tolist(), self.row[some].tolist(), strict=True)
        parts = [
            self.train[number].excerpt(row, data.crop, draw, rebuilt=data.rebuilt)
            for number, row in chosen
        ]
        below = torch.from_numpy(draw.uniform(0, data.quietest, len(parts)))
        device = torch.device("cpu") if self.from_disk else self.device
        return Excerpts.of(parts, device).levelled(below.float().to(device))

    def losses(self, model: VocoderNetwork, batch: Excerpts, stage: str) -> dict[str, Tensor]:
        """The terms of the stage's objective."""
        spectra = model(batch.log_mel)
        if stage == "noise":
            score = objective.tonality(spectra, batch.spectrum)
            return {"loss": score, "tonality": score}
        return objective.losses(spectra, batch.spectrum, self.config.objective.model_dump())

    def validate(self, model: VocoderNetwork, stage: str) -> dict[str, float]:
        """The terms over held-out clips, and the distance of their synthesised sound.

        The criterion is the objective of the stage. If models reconstruct log-mels, each clip
        counts once per model, too.
        """
        figures: dict[str, float] = {}
        for batch in self.held_out:
            batch = batch.levelled()
            spectra = model(batch.log_mel)
            terms = objective.losses(spectra, batch.spectrum, self.config.objective.model_dump())
            terms["tonality"] = objective.tonality(spectra, batch.spectrum)
            ratio, decibels = objective.stft_distance(synthesise(spectra), batch.wave)
            terms |= {"stft_convergence": ratio.mean(), "stft_decibels": decibels.mean()}
            for name, value in terms.items():
                figures[name] = figures.get(name, 0.0) + float(value) / len(self.held_out)
        return {"criterion": figures["tonality" if stage == "noise" else "loss"], **figures}

    def samples(self, model: VocoderNetwork, folder: Path) -> None:
        """The first held-out clip and the sound made from its log-mel, as WAV files."""
        folder.mkdir(parents=True, exist_ok=True)
        batch = self.held_out[0]
        made = model.waves(batch.log_mel[:1])[0]
        for name, wave in (("1 original", batch.wave[0]), ("2 by the vocoder", made)):
            level = HEADROOM / max(1.0, float(wave.abs().max()))
            write_wav(folder / f"{name}.wav", (level * wave).float().cpu().numpy())
