"""The Fréchet audio distance against closed forms, against a matrix square root, and its edges."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from core.audio import fad
from core.errors import RavelError


def gaussian(rng, size, rank=None):
    factor = rng.standard_normal((size, rank or size))
    return rng.standard_normal(size), factor @ factor.T


def by_square_root(m, s, n, t):
    """As it is usually computed: |m - n|^2 + tr(S + T - 2 sqrtm(S T))."""
    return np.square(m - n).sum() + np.trace(s + t - 2 * np.real(sqrtm(s @ t)))


def test_of_diagonal_gaussians_it_is_the_closed_form():
    m, n = np.array([0.0, 3.0, -1.0]), np.array([1.0, 1.0, -1.0])
    s, t = np.array([1.0, 4.0, 0.25]), np.array([9.0, 4.0, 1.0])
    expected = np.square(m - n).sum() + np.square(np.sqrt(s) - np.sqrt(t)).sum()
    assert fad.frechet_distance(m, np.diag(s), n, np.diag(t)) == pytest.approx(expected)


@pytest.mark.parametrize("size", [1, 5, 40])
def test_of_any_gaussians_it_is_what_the_matrix_square_root_gives(size):
    rng = np.random.default_rng(size)
    one, other = gaussian(rng, size), gaussian(rng, size)
    assert fad.frechet_distance(*one, *other) == pytest.approx(by_square_root(*one, *other))
    assert fad.frechet_distance(*one, *other) == pytest.approx(fad.frechet_distance(*other, *one))
    assert fad.frechet_distance(*one, *one) == pytest.approx(0, abs=1e-9)


def test_singular_covariances_are_no_trouble():
    rng = np.random.default_rng(0)
    m, s = gaussian(rng, 30, rank=4)
    n, t = gaussian(rng, 30, rank=30)
    nearly = by_square_root(m, s + 1e-9 * np.eye(30), n, t)
    assert fad.frechet_distance(m, s, n, t) == pytest.approx(nearly, rel=1e-4)
    still = np.zeros((30, 30))
    assert fad.frechet_distance(m, still, n, t) == pytest.approx(
        np.square(m - n).sum() + np.trace(t)
    )


def frames(rng, count, mean, spread, clips=50):
    each = mean + spread * rng.standard_normal((clips, count, len(mean)))
    return list(each.astype(np.float32))


def test_of_many_frames_it_is_near_the_gaussians_they_were_drawn_from():
    rng = np.random.default_rng(1)
    mean, spread = np.array([0.5, 0.0, 0.0, 0.0]), np.array([1.0, 2.0, 1.0, 1.0])
    one, other = frames(rng, 400, mean, spread), frames(rng, 400, np.zeros(4), np.ones(4))
    found = fad.frechet_audio_distance(one, other)
    assert found["value"] == pytest.approx(0.25 + 1.0, rel=0.05)
    assert found["low"] <= found["value"] <= found["high"] < 1.4


def test_it_is_what_numpy_and_scipy_make_of_all_frames_also_of_clips_of_unequal_length():
    rng = np.random.default_rng(2)
    one = [rng.standard_normal((n, 6)) for n in (30, 8, 50)]
    other = [2 + 3 * rng.standard_normal((n, 6)) for n in (20, 40, 9)]
    (m, s), (n, t) = (
        (np.mean(all_, 0), np.cov(all_, rowvar=False))
        for all_ in (np.concatenate(one), np.concatenate(other))
    )
    found = fad.frechet_audio_distance(one, other)["value"]
    assert found == pytest.approx(by_square_root(m, s, n, t), abs=1e-4)


def test_no_digits_are_lost_far_from_zero():
    rng = np.random.default_rng(3)
    one, other = (frames(rng, 20, np.full(5, shift), np.ones(5)) for shift in (0.0, 1.0))
    near = fad.frechet_audio_distance(one, other)["value"]
    far = fad.frechet_audio_distance(
        [x.astype(float) + 1e6 for x in one], [x.astype(float) + 1e6 for x in other]
    )
    assert far["value"] == pytest.approx(near, rel=1e-4)


def test_it_grows_as_frames_get_fewer():
    """Why it is said how many there were."""
    rng = np.random.default_rng(4)
    of_few, of_many = (
        fad.frechet_audio_distance(
            *(frames(rng, count, np.zeros(16), np.ones(16)) for _ in range(2))
        )
        for count in (2, 200)
    )
    assert of_few["value"] > 5 * of_many["value"]


def test_equal_sounds_are_at_no_distance():
    same = frames(np.random.default_rng(5), 20, np.zeros(8), np.ones(8))
    assert fad.frechet_audio_distance(same, same) == {"value": 0.0, "low": 0.0, "high": 0.0}


@pytest.mark.parametrize(
    ("clips", "reference"),
    [
        ([np.ones((4, 3))], [np.ones((4, 2))]),
        ([np.ones((1, 3))], [np.ones((4, 3))]),
        ([np.ones((4, 3))], [np.ones((4, 3))] * 2),
        ([], []),
    ],
)
def test_frames_that_cannot_be_compared_get_one_clear_sentence(clips, reference):
    with pytest.raises(RavelError, match="as many clips as originals, two or more frames"):
        fad.frechet_audio_distance(clips, reference)
