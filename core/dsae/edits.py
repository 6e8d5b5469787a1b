"""Edits of latents: dials of v, morphs between two clips, edits of the melody.

Pure functions of latents; none changes its arguments. Letters: V size of v, T frames,
S frames of the other clip, Z size of z.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from core.audio.clip import SAMPLE_RATE
from core.audio.invert import MIN_FRAMES
from core.audio.mel import HOP
from core.dsae.latents import Latents
from core.dsae.layers import Gaussian
from core.dsae.objective import kl_standard
from core.errors import RavelError

if TYPE_CHECKING:
    from core.dsae.latents import Disentangler

What = Literal["global", "local", "both"]
Path = Literal["straight", "arc"]
FRAME_RATE = SAMPLE_RATE / HOP  # local latents a second
COLLAPSED = 0.02  # nats: as core.dsae.evaluation.scores counts active dimensions of v
MAX_SECONDS = 16.0  # of an edited track
FADE = 5  # frames over which a splice goes from one melody to the other
DECIBELS = 4.342944819  # per natural unit of log power


class Edit(NamedTuple):
    """One edit of a local track: its kind, a key of EDITS, and the numbers that function takes."""

    kind: str
    numbers: tuple[float, ...]


def point(v: Tensor, z: Tensor) -> Latents:
    """Latents at chosen values, v [V] and z [T, Z], with zero variance."""
    return Latents(v, torch.full_like(v, -torch.inf), z, torch.full_like(z, -torch.inf))


# The global latent


def global_kl(clips: Sequence[Latents]) -> Tensor:
    """KL(q(v | x) || N(0, I)) in nats by dimension, averaged over clips: [V]."""
    means, logvars = (torch.stack([getattr(c, k) for c in clips]) for k in ("v", "v_logvar"))
    return kl_standard(Gaussian(means, logvars)).mean(0)


def reach(model: Disentangler, latents: Latents, sds: float = 2.0) -> Tensor:
    """How much each dimension of v changes a clip's sound between -sds and +sds: [V].

    The mean change of the decoded log-mel over frames and bands, in dB.
    """
    found = []
    for i in range(len(latents.v)):
        low, high = (model.decode(turn(latents, {i: at}).v, latents.z) for at in (-sds, sds))
        found.append(DECIBELS * (high - low).abs().mean())
    return torch.stack(found)


def turn(latents: Latents, dials: Mapping[int, float]) -> Latents:
    """The latents with some dimensions of v set to given values."""
    v = latents.v.clone()
    for i, value in dials.items():
        v[i] = value
    return point(v, latents.z)


def mean_v(clips: Sequence[Latents]) -> Tensor:
    """The mean of the clips' v, [V]."""
    return torch.stack([clip.v for clip in clips]).mean(0)


# Between two clips


def morph(
    a: Latents, b: Latents, at: float, what: What = "both", path: Path = "straight"
) -> Latents:
    """A point between a (at 0) and b (at 1), exact at both ends.

    `global` moves v and keeps a's z, `local` moves z and keeps a's v. `path` is that of v: a
    straight line, or an arc that preserves its length. Melodies of S and T frames are first
    stretched to an interpolated length, so that their ends align.
    """
    v, z = a.v, a.z
    if what != "local":
        v = _arc(a.v, b.v, at) if path == "arc" else _between(a.v, b.v, at)
    if what != "global":
        frames = round((1 - at) * len(a.z) + at * len(b.z))
        z = _between(_resample(a.z, frames), _resample(b.z, frames), at)
    return point(v, z)


def _between(a: Tensor, b: Tensor, at: float) -> Tensor:
    return (1 - at) * a + at * b


def _arc(a: Tensor, b: Tensor, at: float) -> Tensor:
    """Spherical interpolation (Shoemake 1985) of the directions; lengths change in proportion."""
    lengths = torch.stack([a.norm(), b.norm()])
    if at in (0, 1) or bool((lengths < 1e-6).any()):  # an arc needs two directions
        return _between(a, b, at)
    angle = torch.arccos((a @ b / lengths.prod()).clamp(-1, 1))
    if angle.sin() < 1e-4:  # the same direction, or opposite ones: no unique arc
        return _between(a, b, at)
    one, other = ((1 - at) * angle).sin(), (at * angle).sin()
    direction = (one * a / lengths[0] + other * b / lengths[1]) / angle.sin()
    return direction * _between(lengths[0], lengths[1], at)


# The local track


def apply(z: Tensor, edits: Sequence[Edit], other: Tensor | None = None) -> Tensor:
    """A local track [T, Z] after all edits in order; `other` [S, Z] is for nudge, shift and splice.

    Raises RavelError for an edit that is unknown, lacks the other track, or leaves the track too
    short to play or longer than MAX_SECONDS.
    """
    for kind, numbers in edits:
        if kind not in EDITS:
            raise RavelError(f"There is no edit called {kind!r}: choose {', '.join(EDITS)}.")
        if kind in NEED_OTHER and other is None:
            raise RavelError(f"To {kind}, a second clip is needed: fill its slot.")
        z = EDITS[kind](z, *([other] if kind in NEED_OTHER else []), *numbers)
        _check_length(len(z), kind)
    return z


def hold(z: Tensor, start: float, end: float, at: float) -> Tensor:
    """z [T, Z], frozen from `start` to `end` s at its value at `at` s."""
    first, last, moment = (_frame(seconds, len(z)) for seconds in (start, end, at))
    held = z.clone()
    held[first:last] = z[min(moment, len(z) - 1)]
    return held


def nudge(z: Tensor, other: Tensor, amount: float) -> Tensor:
    """z [T, Z] moved towards another track [S, Z], frame by frame; 1 gives that track.

    The other track is first stretched to T frames.
    """
    return _between(z, _resample(other, len(z)), amount)


def shift(z: Tensor, other: Tensor, amount: float) -> Tensor:
    """z [T, Z] shifted as a whole, from its own mean towards that of the other track [S, Z]."""
    return z + amount * (other.mean(0) - z.mean(0))


def stretch(z: Tensor, factor: float) -> Tensor:
    """z [T, Z] stretched to `factor` times as many frames by linear interpolation."""
    return _resample(z, max(1, round(factor * len(z))))


def splice(z: Tensor, other: Tensor, until: float, since: float, fade: int = FADE) -> Tensor:
    """z [T, Z] up to `until` s, then the other track [S, Z] from `since` s to its end.

    They crossfade at the joint over `fade` frames, or fewer if either is shorter.
    """
    cut, join = _frame(until, len(z)), _frame(since, len(other))
    whole = torch.cat([z[:cut], other[join:]])
    before = min(fade // 2, cut, join)
    after = min(fade - fade // 2, len(z) - cut, len(other) - join)
    steps = before + after
    weight = torch.arange(1, steps + 1, dtype=z.dtype)[:, None] / (steps + 1)
    mixed = (1 - weight) * z[cut - before : cut + after]
    mixed = mixed + weight * other[join - before : join + after]
    whole[cut - before : cut + after] = mixed
    return whole


EDITS: dict[str, Callable[..., Tensor]] = {
    "hold": hold,
    "nudge": nudge,
    "shift": shift,
    "stretch": stretch,
    "splice": splice,
}
NEED_OTHER = ("nudge", "shift", "splice")


def _resample(z: Tensor, frames: int) -> Tensor:
    """z [T, Z] at `frames` evenly spaced positions from its first frame to its last."""
    if frames == len(z):
        return z
    return F.interpolate(z.T[None], size=frames, mode="linear", align_corners=True)[0].T


def _frame(seconds: float, frames: int) -> int:
    return min(max(round(seconds * FRAME_RATE), 0), frames)


def _check_length(frames: int, kind: str) -> None:
    seconds = (frames - 1) / FRAME_RATE
    if frames < MIN_FRAMES:
        raise RavelError(
            f"After this {kind} only {max(frames - 1, 0) / FRAME_RATE:.2f} s would be left, and "
            f"{(MIN_FRAMES - 1) / FRAME_RATE:.2f} s is the shortest that can be played: keep more."
        )
    if seconds > MAX_SECONDS:
        raise RavelError(
            f"After this {kind} the melody would last {seconds:.1f} s, and {MAX_SECONDS:g} s is "
            "the longest allowed: undo an edit, or stretch less."
        )
