"""Sounds and latents that a model makes of a store's clips, during training and for vocoders."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.audio.clip import write_wav
from core.audio.invert import to_waveform
from core.data.store import FeatureStore
from core.dsae import trajectory
from core.dsae.latents import load
from core.dsae.layers import masked_mean
from core.dsae.model import Dsae
from core.errors import RavelError
from core.statistics import spread_evenly

AT_ONCE = 32  # clips
HEADROOM = 0.5  # rebuilt sound may peak above the recordings, which peak at 1
NAMES = (  # of the sounds, in the order of `write_sounds`
    "1 source rebuilt",
    "2 target rebuilt",
    "3 source melody, target instrument",
    "4 target melody, source instrument",
)


@torch.no_grad()
def write_sounds(model: Dsae, x: Tensor, lengths: Tensor | None, folder: Path) -> None:
    """Write a WAV file for each of NAMES from two log-mels x [2, T, M], reconstructed and swapped.

    Posterior means only: nothing is random.
    """
    v, z = (posterior.mean for posterior in model.encode(x, lengths))
    melodies, instruments = [0, 1, 0, 1], [0, 1, 1, 0]
    of_melody = None if lengths is None else lengths[melodies]
    made = model.decoder(z[melodies], v[instruments], of_melody)
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        frames = made.shape[1] if of_melody is None else int(of_melody[number])
        wave = HEADROOM * to_waveform(made[number, :frames].float().cpu())
        write_wav(folder / f"{name}.wav", wave.numpy())


@torch.no_grad()
def write_latents(
    model: Dsae, x: Tensor, lengths: Tensor | None, labels: np.ndarray, folder: Path
) -> None:
    """Write posterior means of v [N, V] and of z averaged over time [N, Z], with labels [N], for
    log-mels x [N, T, M]."""
    q_v, q_z = model.encode(x, lengths)
    v, z = q_v.mean, masked_mean(q_z.mean, lengths)
    trajectory.write(folder, v.float().cpu().numpy(), z.float().cpu().numpy(), labels)


def rebuild_by_name(
    name: str, store: FeatureStore, rows: np.ndarray, device: torch.device
) -> np.ndarray:
    """The same by a checkpoint: what a vocoder is trained on beside true log-mels."""
    return rebuilt(load(name, str(device)).model, store, rows)


def swap_by_name(
    name: str, store: FeatureStore, count: int
) -> tuple[list[Tensor], np.ndarray, str]:
    """As `swapped`, by a checkpoint, whose name comes last: what a vocoder is scored on."""
    model = load(name)
    return *swapped(model.model, store, model.config.data.factor, count), model.name


@torch.no_grad()
def rebuilt(model: Dsae, store: FeatureStore, rows: np.ndarray) -> np.ndarray:
    """Reconstructions of some clips from the posterior means, log-mels float16 [N, T, M]."""
    made = [model.decoder(z, v, lengths) for v, z, lengths in _means(model, store, rows)]
    return np.concatenate([one.half().cpu().numpy() for one in made])


def _means(
    model: Dsae, store: FeatureStore, rows: np.ndarray
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Posterior means of clips in batches: v [B, V], z [B, T, Z], and lengths [B] or None."""
    device = next(model.parameters()).device
    for some in np.array_split(rows, -(-len(rows) // AT_ONCE)):
        x = torch.from_numpy(store.log_mel[some]).float().to(device)
        ends = torch.from_numpy(store.lengths[some].astype("int64")).to(device)
        lengths = ends if (ends != x.shape[1]).any() else None
        q_v, q_z = model.encode(x.clamp(min=model.config.floor), lengths)
        yield q_v.mean, q_z.mean, lengths


@torch.no_grad()
def swapped(
    model: Dsae, store: FeatureStore, factor: str, count: int
) -> tuple[list[Tensor], np.ndarray]:
    """Swaps with a true rendering: log-mels [T, M] and the rows of those renderings, `count` each.

    Each validation clip keeps its melody and takes the mean v of another label. The renderings are
    evenly spaced. Raises RavelError for a store without counterfactuals.
    """
    truth = store.indices("counterfactual")
    if not len(truth) or factor not in store.labels:
        raise RavelError(
            f"{store.path} has no true renderings of swaps: build it with 'python -m core data "
            "dmelodies'."
        )
    truth = truth[spread_evenly(len(truth), count)]
    held_out, labels, melody = (
        store.indices("validation"), store.labels[factor], store.labels["melody"]
    )  # fmt: skip
    row_of = dict(zip(melody[held_out], held_out, strict=True))
    rows = np.array([row_of[name] for name in melody[truth]])
    means_of_v = torch.cat([v for v, _, _ in _means(model, store, held_out)])
    mean = {name: means_of_v[labels[held_out] == name].mean(0) for name in set(labels[truth])}
    made: list[Tensor] = []
    for some in np.array_split(np.arange(len(truth)), -(-len(truth) // AT_ONCE)):
        ((_, z, lengths),) = _means(model, store, rows[some])
        v = torch.stack([mean[name] for name in labels[truth[some]]])
        made += model.decoder(z, v, lengths)
    ends = store.lengths[rows]
    return [one[:end].float().cpu() for one, end in zip(made, ends, strict=True)], truth
