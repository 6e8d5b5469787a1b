"""Fréchet audio distance (Kilgour et al. 2019): how far two sets of sounds are from each other.

The frames' embeddings of each set are taken for a Gaussian. The distance depends on the embedding,
and it grows as frames get fewer: only figures of one embedding and as many clips can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import RavelError
from core.statistics import draw_weights, percentile_interval

RESAMPLES = 200

Frames = Sequence[np.ndarray]  # of each clip, its frames' embeddings [F, D]


@dataclass(frozen=True, eq=False)
class Moments:
    """Of each of N clips: how many frames [N], their sum [N, D], their squares' sum [N, D, D]."""

    count: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @classmethod
    def of(cls, clips: Frames, centre: np.ndarray) -> "Moments":
        """Moments about `centre` [D], so that no digits are lost where the mean is large."""
        clips = [np.asarray(clip, np.float64) - centre for clip in clips]
        return cls(
            np.array([float(len(clip)) for clip in clips]),
            np.stack([clip.sum(0) for clip in clips]),
            np.stack([clip.T @ clip for clip in clips]),
        )

    def gaussian(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean [D] and covariance [D, D] of all frames, each clip counted `weight` [N] times."""
        count = weight @ self.count
        mean = weight @ self.first / count
        second = np.tensordot(weight, self.second, 1)
        return mean, (second - count * np.outer(mean, mean)) / (count - 1)


def frechet_audio_distance(clips: Frames, reference: Frames, seed: int = 0) -> dict[str, float]:
    """`{value, low, high}` of N clips against their N originals; 0 for equal distributions.

    The interval is a 95 % percentile bootstrap over clips, each drawn with its original; a draw has
    fewer different clips, so a small distance lies near its lower end. Raises RavelError for fewer
    than two frames, and for embeddings of different sizes.
    """
    _check(clips, reference)
    centre = np.concatenate(list(reference)).mean(0, dtype=np.float64)
    one, other = Moments.of(clips, centre), Moments.of(reference, centre)

    def distance(weight: np.ndarray) -> float:
        return frechet_distance(*one.gaussian(weight), *other.gaussian(weight))

    drawn = draw_weights(len(clips), RESAMPLES, seed).astype(float)
    resampled = [distance(weight) for weight in drawn]
    return percentile_interval(distance(np.ones(len(clips))), resampled, digits=5)


def frechet_distance(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> float:
    """Squared Fréchet distance of two Gaussians, means [D] and covariances [D, D].

    |m - n|^2 + tr(S + T - 2 (S T)^1/2) (Dowson and Landau 1982). The last trace is the sum of the
    singular values of S^1/2 T^1/2, which is stable where S or T is singular.
    """
    product = _root(covariance) @ _root(other_covariance)
    shared = np.linalg.svd(product, compute_uv=False).sum()
    apart = np.square(mean - other_mean).sum()
    return float(max(0.0, apart + np.trace(covariance) + np.trace(other_covariance) - 2 * shared))


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def _check(clips: Frames, reference: Frames) -> None:
    sizes = {np.shape(clip)[1:] for clip in [*clips, *reference]}
    frames = min(sum(map(len, clips)), sum(map(len, reference)))
    if len(clips) != len(reference) or len(sizes) != 1 or frames < 2:
        raise RavelError(
            "A Fréchet audio distance needs as many clips as originals, two or more frames in all, "
            f"and one embedding: got {len(clips)} clips and {len(reference)} originals, {frames} "
            f"frames, embeddings of shapes {sorted(sizes)}."
        )
