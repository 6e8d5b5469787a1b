"""What v tells of z: exact where it is fitted, followed while it is learnt, harmless at rest."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import distributed

from core.dsae.decorrelation import Regression, _moments

N, V, Z = 400, 5, 3
RIDGE = 0.01


@pytest.fixture
def clips():
    """v with a dimension that is not in use, and the means of z, which follow it in part."""
    noise = torch.Generator().manual_seed(0)
    v = torch.randn(N, V, generator=noise) + 3
    v[:, 4] = 0.01 * v[:, 4]
    z = v @ torch.randn(V, Z, generator=noise) + 0.2 * torch.randn(N, Z, generator=noise)
    return v, z


def test_a_fit_is_that_of_ridge_regression(clips):
    v, z = clips
    made = Regression(V, Z, RIDGE)
    made.fit(v, z)
    oracle = Ridge(alpha=N * RIDGE).fit(v.numpy(), z.numpy())
    expected = oracle.predict(v.numpy()) - z.numpy().mean(0)
    np.testing.assert_allclose(made(v).numpy(), expected, atol=1e-3)


def test_a_linear_probe_finds_no_label_in_what_is_left():
    noise = torch.Generator().manual_seed(0)
    label = torch.arange(N) % 2
    v = 2.0 * label[:, None] + 0.05 * torch.randn(N, V, generator=noise)
    z = 0.3 * label[:, None] + 0.1 * torch.randn(N, Z, generator=noise)
    made = Regression(V, Z, RIDGE)
    made.fit(v, z)
    gap = lambda of: float((of[label == 1].mean(0) - of[label == 0].mean(0)).abs().max())  # noqa: E731
    assert gap(z) > 0.25
    assert gap(z - made(v)) < 0.005


def test_batch_by_batch_it_comes_to_the_same(clips):
    v, z = clips
    made, exact = Regression(V, Z, RIDGE), Regression(V, Z, RIDGE)
    exact.fit(v, z)
    draws = torch.Generator().manual_seed(1)
    for _ in range(1_500):
        some = torch.randint(N, (8,), generator=draws)
        made.learn(v[some], z[some])
    left = (z - z.mean(0) - made(v) + made(v).mean(0)).std(0)
    torch.testing.assert_close(left, (z - z.mean(0) - exact(v)).std(0), rtol=0.1, atol=0)


def test_it_follows_what_changes(clips):
    """Weights change while they are learnt, so what was long ago is forgotten."""
    v, z = clips
    made = Regression(V, Z, RIDGE)
    for sign in (1, -1):
        for start in range(0, 20 * N, 8):
            rows = slice(start % N, start % N + 8)
            made.learn(v[rows], sign * z[rows])
    exact = Regression(V, Z, RIDGE)
    exact.fit(v, -z)
    error = made(v) - made(v).mean(0) - exact(v)
    assert float(error.std()) < 0.1 * float(exact(v).std())


def test_a_fit_leaves_what_was_learnt_as_it_is(clips):
    v, z = clips
    made, other = Regression(V, Z, RIDGE), Regression(V, Z, RIDGE)
    for one in (made, other):
        one.learn(v[:8], z[:8])
    made.fit(v, z)
    assert not torch.equal(made.slope, other.slope)
    for one in (made, other):
        one.learn(v[8:16], z[8:16])
    assert torch.equal(made.slope, other.slope)


def test_before_training_and_for_a_collapsed_v_nothing_is_predicted(clips):
    v, z = clips
    made = Regression(V, Z, RIDGE)
    assert not made(v).any()
    made.fit(torch.ones(N, V), z)
    torch.testing.assert_close(made(torch.ones(2, V)), torch.zeros(2, Z), atol=1e-4, rtol=0)
    made.learn(torch.ones(1, V), z[:1])  # a batch of one clip
    assert torch.isfinite(made(v)).all()


def test_no_gradient_goes_through_it(clips):
    v, z = clips
    made = Regression(V, Z, RIDGE)
    made.fit(v, z)
    assert not made(v.clone().requires_grad_()).requires_grad


def test_several_processes_learn_what_one_would(clips, monkeypatch):
    """All moments are averaged over the processes, here two, of which the other is played."""
    v, z = clips
    of_other = iter(_moments(v[1::2], z[1::2]))
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda mine: mine.add_(next(of_other)))
    shared, alone = Regression(V, Z, RIDGE), Regression(V, Z, RIDGE)
    shared.learn(v[0::2], z[0::2])
    monkeypatch.undo()
    alone.learn(v, z)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name], value, rtol=1e-3, atol=1e-3)


def test_a_dimension_that_varies_less_than_the_ridge_is_left(clips):
    """The fifth varies by 0.0001: a small ridge takes off what it tells, a large one does not."""
    v, z = clips
    small, large = Regression(V, Z, 1e-6), Regression(V, Z, 0.1)
    for made in (small, large):
        made.fit(v, z)
    assert float(large.slope[4].abs().max()) < 0.01 * float(small.slope[4].abs().max())
    torch.testing.assert_close(large.slope[:4], small.slope[:4], rtol=0.2, atol=0.05)
