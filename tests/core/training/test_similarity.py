"""NT-Xent against SimCLR's equation and closed forms."""

import math

import numpy as np
import pytest
import torch

from core.training.similarity import nt_xent


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slow_nt_xent(a, b, temperature):
    """SimCLR's equation 1, term by term, in plain numbers."""
    z = [row.double().numpy() for row in (*a, *b)]
    n, terms = len(a), []
    for i in range(2 * n):
        partner = (i + n) % (2 * n)
        alike = [
            math.exp(z[i] @ z[k] / np.linalg.norm(z[i]) / np.linalg.norm(z[k]) / temperature)
            for k in range(2 * n)
        ]
        terms.append(-math.log(alike[partner] / (sum(alike) - alike[i])))
    return sum(terms) / (2 * n)


@pytest.mark.parametrize(("n", "temperature"), [(1, 0.5), (2, 0.1), (7, 0.1), (7, 1.0)])
def test_nt_xent_is_the_equation(n, temperature):
    a, b = noise(n, 5), noise(n, 5, seed=1)
    found = float(nt_xent(a, b, temperature))
    assert found == pytest.approx(slow_nt_xent(a, b, temperature), rel=1e-5, abs=1e-6)


def test_nt_xent_is_symmetric_and_blind_to_scale():
    a, b = noise(6, 5), noise(6, 5, seed=1)
    first = nt_xent(a, b)
    assert torch.allclose(first, nt_xent(b, a), atol=1e-5)
    assert torch.allclose(first, nt_xent(3 * a, 0.1 * b), atol=1e-4)


@pytest.mark.parametrize("n", [2, 32])
def test_identical_embeddings_have_the_loss_of_a_guess(n):
    same = torch.ones(n, 4)
    assert float(nt_xent(same, same)) == pytest.approx(math.log(2 * n - 1), rel=1e-5)


def test_pairs_alone_in_their_direction_have_no_loss():
    axes = torch.eye(8)
    assert float(nt_xent(axes, axes, 0.02)) == pytest.approx(0.0, abs=1e-4)


def test_similarities_are_in_single_precision_also_within_autocast():
    gradients = []
    for enabled in (False, True):
        a, b = noise(8, 5).requires_grad_(), noise(8, 5, seed=1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = nt_xent(a, b)
        loss.backward()
        gradients.append(a.grad)
    torch.testing.assert_close(*gradients)
