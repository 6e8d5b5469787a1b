"""An instrument classifier that cannot go by register: a small network on a second of log-mel.

In training every register is as frequent with each instrument as with any other, so the register
tells nothing; and every collection as frequent as any other that has the instrument. Level,
equaliser, blur and noise floor are drawn anew for every excerpt, since models make smoother
log-mels than microphones do.

Letters: B batch, N excerpts or clips, T frames, M bands, L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.audio.mel import N_MELS
from core.dsae.evaluation.judge_clips import FRAMES, Excerpts
from core.errors import RavelError

STEPS, BATCH, RATE = 1000, 64, 2e-3
BIN = 3.0  # semitones of a register
FLOOR = 10.0  # nats below an excerpt's peak that are seen
HOP = FRAMES // 2  # frames between the excerpts that a clip is judged by


Cells = list[list[list[np.ndarray]]]  # rows of excerpts by register, label and collection


class Network(nn.Module):
    """Four strided convolutions; frequency is kept to the end, since timbre is bound to it.

    Time is halved first: it costs half and loses nothing that the spectrum tells.
    """

    def __init__(self, labels: int, width: int = 24) -> None:
        super().__init__()
        sizes = [2, width, 2 * width, 4 * width, 4 * width]
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(sizes)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(size) for size in sizes[1:])
        self.head = nn.Linear(sizes[-1] * -(-N_MELS // 16), labels)
        self.register_buffer("height", torch.linspace(-1, 1, N_MELS))

    def forward(self, x: Tensor) -> Tensor:
        """Excerpts [B, T, M] in nats below the peak to scores [B, L]."""
        x = functional.avg_pool2d(x[:, None], (2, 1))[:, 0]
        height = self.get_buffer("height").expand_as(x)
        h = torch.stack([x / FLOOR * 2 + 1, height], 1)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = functional.relu(norm(layer(h)))
        h = h.mean(2).flatten(1)  # over time
        return self.head(functional.dropout(h, 0.4, self.training))


class BalancedJudge:
    """Networks of several seeds that vote on the instrument of log-mels."""

    def __init__(self, labels: Sequence[str], networks: Sequence[Network]) -> None:
        self.labels = list(labels)
        self.networks = [network.eval() for network in networks]

    @torch.inference_mode()
    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        """The probability of each of `labels` for log-mels [N, T, M], [N, L].

        Averaged over the seeds and over overlapping seconds. Raises RavelError for clips that are
        shorter than a second.
        """
        clips = np.asarray(clips, np.float32)
        if clips.ndim != 3 or clips.shape[1] < FRAMES or clips.shape[2] != N_MELS:
            raise RavelError(
                f"The judge needs log-mels of {FRAMES} frames or more and {N_MELS} bands, got "
                f"shape {list(clips.shape)}."
            )
        x = torch.from_numpy(clips)
        starts = range(0, x.shape[1] - FRAMES + 1, HOP)
        total = torch.zeros(len(x), len(self.labels))
        for start in starts:
            part = below_peak(x[:, start : start + FRAMES])
            for network in self.networks:
                scores = torch.cat([network(some) for some in part.split(256)])
                total += scores.log_softmax(-1)
        return total.div(len(starts) * len(self.networks)).softmax(-1).numpy()

    def predict(self, clips: np.ndarray, among: Sequence[str]) -> np.ndarray:
        """The most likely of some labels for each log-mel of [N, T, M], [N]."""
        unknown = [label for label in among if label not in self.labels]
        if unknown:
            raise RavelError(
                f"The judge was not trained on '{unknown[0]}', only on {', '.join(self.labels)}."
            )
        columns = [self.labels.index(label) for label in among]
        return np.array(among)[self.probabilities(clips)[:, columns].argmax(1)]


def train(
    excerpts: Excerpts, *, seeds: int = 3, steps: int = STEPS, balanced: bool = True
) -> BalancedJudge:
    """A judge trained on excerpts, all instruments equally often in every register.

    `balanced=False` draws the excerpts as they come: the judge that goes by register, to compare.
    """
    labels, targets = np.unique(excerpts.label, return_inverse=True)
    if len(labels) < 2:
        raise RavelError("A judge needs recordings of two instruments or more.")
    cells = cells_of(targets, excerpts) if balanced else [[[np.arange(len(targets))]]]
    x = torch.from_numpy(excerpts.log_mel)
    with torch.random.fork_rng(devices=[]):
        networks = [_trained(x, targets, len(labels), cells, seed, steps) for seed in range(seeds)]
    return BalancedJudge([str(label) for label in labels], networks)


def below_peak(x: Tensor, floor: float | Tensor = FLOOR) -> Tensor:
    """Log-mels [B, T, M] relative to the peak of each, cut `floor` nats below it and at FLOOR."""
    x = x - x.amax((1, 2), keepdim=True)
    return torch.maximum(x, -torch.as_tensor(floor)).clamp(min=-FLOOR)


def cells_of(targets: np.ndarray, excerpts: Excerpts) -> Cells:
    """Excerpts by register, by label, and by collection.

    A register that only one label has is left out: it tells too much.
    """
    bins = np.floor(excerpts.register / BIN).astype(int)
    found = []
    for number in np.unique(bins):
        cells: dict[tuple[int, str], list[int]] = {}
        for row in np.flatnonzero(bins == number):
            cells.setdefault((int(targets[row]), str(excerpts.collection[row])), []).append(
                int(row)
            )
        labels = sorted({label for label, _ in cells})
        if len(labels) > 1:
            of = [[np.array(c) for (k, _), c in cells.items() if k == label] for label in labels]
            found.append(of)
    if not found:
        raise RavelError("No two instruments of the judge share a register: give it more sound.")
    return found


def _trained(
    x: Tensor,
    targets: np.ndarray,
    labels: int,
    cells: Cells,
    seed: int,
    steps: int,
) -> Network:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = Network(labels).train()
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    truth = torch.from_numpy(targets)
    for _ in range(steps):
        rows = [drawn(cells, rng) for _ in range(BATCH)]
        loss = functional.cross_entropy(
            network(_disturbed(x[rows].float())), truth[rows], label_smoothing=0.05
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network


def drawn(cells: Cells, rng: np.random.Generator) -> int:
    """An excerpt of a register, a label and a collection, each drawn evenly."""
    labels = cells[rng.integers(len(cells))]
    collections = labels[rng.integers(len(labels))]
    rows = collections[rng.integers(len(collections))]
    return int(rows[rng.integers(len(rows))])


def _disturbed(x: Tensor) -> Tensor:
    """Excerpts [B, T, M] through drawn equalisers, blurred in time, with a drawn noise floor."""
    batch = len(x)
    bands = torch.linspace(0, torch.pi, N_MELS)
    waves = torch.cos(bands[None] * torch.arange(1, 9)[:, None])  # [8, M]
    gains = torch.randn(batch, 8) * 0.4 / torch.arange(1, 9).sqrt()
    x = x + (gains @ waves)[:, None]
    smooth = functional.avg_pool1d(
        x.transpose(1, 2), 3, stride=1, padding=1, count_include_pad=False
    ).transpose(1, 2)
    x = torch.lerp(x, smooth, torch.rand(batch, 1, 1))
    return below_peak(x, 5 + 5 * torch.rand(batch, 1, 1))
