"""The two losses against slow hand-written ones and closed forms, alone and over processes."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from core.contrastive import objective
from tests.core.contrastive import gather

ROOT = Path(__file__).parents[3]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_coincidence_is_the_sum_of_two_balanced_cross_entropies():
    logits = noise(6, 6)
    p = logits.double().sigmoid().numpy()
    inside = np.eye(6, dtype=bool)
    expected = log_loss(np.ones(6), p[inside], labels=[0, 1])
    expected += log_loss(np.zeros(30), p[~inside], labels=[0, 1])
    assert float(objective.coincidence(logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("n", [2, 5, 64])
def test_coincidence_that_knows_nothing_is_two_ln_two(n):
    found = float(objective.coincidence(torch.zeros(n, n)))
    assert found == pytest.approx(2 * math.log(2), rel=1e-5)


def test_coincidence_is_finite_however_sure_the_head_is():
    sure = 1e4 * (2 * torch.eye(4) - 1)
    assert float(objective.coincidence(sure)) == 0.0
    assert float(objective.coincidence(-sure)) == pytest.approx(2e4)
    assert math.isfinite(float(objective.coincidence(torch.zeros(1, 1))))


def test_alignment_and_uniformity_in_closed_form():
    axes = torch.eye(4)
    assert float(objective.alignment(axes, 5 * axes)) == 0.0
    assert float(objective.alignment(axes, -axes)) == pytest.approx(4.0)
    assert float(objective.alignment(axes, axes.roll(1, 0))) == pytest.approx(2.0)
    assert float(objective.uniformity(axes)) == pytest.approx(-4.0)  # all pairs sqrt(2) apart
    assert float(objective.uniformity(torch.ones(4, 3))) == pytest.approx(0.0, abs=1e-6)


def test_an_objective_that_does_not_weigh_is_not_computed():
    step = gather.Step()
    a, b = gather.views("uneven")
    both = objective.losses(step.model, a, b, 1.0, 1.0, 0.1)
    assert set(both) == {"loss", "similarity", "coincidence"}
    assert torch.allclose(both["loss"], both["similarity"] + both["coincidence"])
    one = objective.losses(step.model, a, b, 0.0, 0.5, 0.1)
    assert set(one) == {"loss", "coincidence"}
    assert torch.allclose(one["loss"], 0.5 * both["coincidence"], atol=1e-6)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What each of two processes that shared batches found."""
    folder = tmp_path_factory.mktemp("gather")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen([sys.executable, gather.__file__, str(rank), folder], env=environment)
        for rank in range(2)
    ]
    try:
        assert [process.wait(timeout=120) for process in both] == [0, 0]
    finally:
        for process in both:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("case", gather.CASES)
def test_two_processes_have_the_loss_and_the_gradients_of_one(two_processes, case):
    step = gather.Step()
    terms = step(*gather.views(case))
    terms["loss"].backward()
    expected = {**{name: p.grad for name, p in step.model.named_parameters()}, **terms}
    for found in two_processes:
        assert found[case].keys() == expected.keys()
        for name, tensor in expected.items():
            scale = float(tensor.detach().abs().max())
            assert torch.allclose(found[case][name], tensor, atol=1e-5 * scale + 1e-7), name


def test_a_process_validates_its_own_pairs_without_the_others(two_processes):
    step = gather.Step()
    a, b = (view[: gather.CASES["uneven"][0]] for view in gather.views("uneven"))
    assert torch.allclose(two_processes[0]["alone"]["loss"], step(a, b)["loss"], atol=1e-5)
