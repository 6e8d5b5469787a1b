"""A separate judge of the instrument: a small classifier of log-mels that never sees the model.

The paper's swap F1 is told by the model's own encoder, which flatters; this one is not.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.audio.mel import N_MELS

CROP = 96  # frames, 1.5 s
FLOOR = 12.0  # nats under a clip's peak that still count; below is noise and digital silence


class Judge(nn.Module):
    """Log-mels [B, T, M] to logits over `labels`: three convolutions over time, mean and max."""

    def __init__(self, labels: Sequence[str], hidden: int = 64) -> None:
        super().__init__()
        self.labels = list(labels)
        layers: list[nn.Module] = []
        for inputs in (N_MELS, hidden, hidden):
            layers += [nn.Conv1d(inputs, hidden, 3, padding=1), nn.BatchNorm1d(hidden), nn.ReLU()]
        self.frames = nn.Sequential(*layers)
        self.out = nn.Sequential(nn.Dropout(0.3), nn.Linear(2 * hidden, len(self.labels)))

    def forward(self, x: Tensor) -> Tensor:
        h = self.frames(relative(x).transpose(1, 2))
        return self.out(torch.cat([h.mean(2), h.amax(2)], dim=1))

    @torch.inference_mode()
    def tell(self, log_mels: Sequence[Tensor]) -> np.ndarray:
        """The most likely label of each log-mel [T, M]."""
        self.eval()
        return np.array([self.labels[int(self(x[None]).argmax())] for x in log_mels])


def relative(x: Tensor) -> Tensor:
    """Log-mels [B, T, M] under their own peak, floored, scaled to about [-1, 1]."""
    peak = x.amax(dim=(1, 2), keepdim=True)
    return (x - peak).clamp(min=-FLOOR) / (0.5 * FLOOR) + 1


def train_judge(
    sources: Sequence[tuple[Sequence[Tensor], Sequence[str]]],
    *,
    steps: int = 800,
    batch_size: int = 48,
    seed: int = 0,
) -> Judge:
    """A judge trained on log-mels [T, M] with their labels.

    Every source (real recordings, say, and rendered ones) and within it every label has the same
    share, however many clips there are. Excerpts are equalised at random, so that the judge
    listens to more than the colour of a room.
    """
    labels = sorted({label for _, names in sources for label in names})
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = Judge(labels).train()
        optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        pools = [_by_label(clips, names) for clips, names in sources]
        for _ in range(steps):
            x, y = _draw(pools, labels, batch_size, rng)
            loss = F.cross_entropy(judge(x), y, label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return judge.eval()


def _by_label(clips: Sequence[Tensor], names: Sequence[str]) -> dict[str, list[Tensor]]:
    pool: dict[str, list[Tensor]] = {}
    for clip, name in zip(clips, names, strict=True):
        pool.setdefault(name, []).append(clip)
    return pool


def _draw(pools, labels, count, rng) -> tuple[Tensor, Tensor]:
    crops, targets = [], []
    for number in range(count):
        pool = pools[number % len(pools)]
        label = labels[rng.integers(len(labels))]
        if label not in pool:
            label = list(pool)[rng.integers(len(pool))]
        clip = pool[label][rng.integers(len(pool[label]))]
        crops.append(_augment(clip, rng))
        targets.append(labels.index(label))
    return torch.stack(crops), torch.tensor(targets)


def _augment(clip: Tensor, rng: np.random.Generator) -> Tensor:
    """A random excerpt, through a smooth equaliser of a few decibels, over a random noise floor."""
    start = rng.integers(max(1, len(clip) - CROP + 1))
    x = clip[start : start + CROP].float()
    if len(x) < CROP:  # a shorter recording goes round
        x = x.repeat(-(-CROP // len(x)), 1)[:CROP]
    knots = torch.from_numpy(rng.normal(0, 0.7, 6)).float()
    curve = F.interpolate(knots[None, None], N_MELS, mode="linear", align_corners=True)[0, 0]
    floor = x.max() - rng.uniform(6, FLOOR + 4)
    return torch.logaddexp(x + curve, floor + 0.5 * torch.randn_like(x))
