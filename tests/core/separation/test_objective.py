"""The losses and figures against brute force, closed forms and torchmetrics."""

import itertools
import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.audio import (
    permutation_invariant_training,
    scale_invariant_signal_noise_ratio,
    signal_noise_ratio,
)

from core.separation import objective

B, S = 3, 800


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def overlapping(n, m, seed=0):
    """References [B, n, S], and channels [B, m, S] in which every reference leaks a little."""
    references = noise(B, n, S, seed=seed)
    weights = noise(B, m, n, seed=seed + 1)
    return references, weights @ references + 0.3 * noise(B, m, S, seed=seed + 2)


def thresholded(reference, estimate, snr_max=30.0):
    """Equation 1, written out."""
    error = ((reference - estimate) ** 2).sum()
    power = (reference**2).sum()
    return 10 * torch.log10((error + 10 ** (-snr_max / 10) * power) / power)


def by_brute_force(references, channels):
    """Every assignment of one example's channels, waveforms and all."""
    n, m = len(references), len(channels)
    best = None
    for assignment in itertools.product(range(n), repeat=m):
        sums = [sum((channels[i] for i in range(m) if assignment[i] == j), 0 * channels[0])
                for j in range(n)]  # fmt: skip
        loss = sum(thresholded(r, s) for r, s in zip(references, sums, strict=True)) / n
        if best is None or loss < best[0]:
            best = (loss, list(assignment))
    return best


@pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 4), (2, 8), (3, 4)])
def test_mixit_is_the_best_of_all_assignments_with_its_gradient(n, m):
    references, channels = overlapping(n, m)
    channels.requires_grad_()
    loss, assignment = objective.mixit(references, channels)
    (found,) = torch.autograd.grad(loss.sum(), channels)
    expected = [by_brute_force(r, c) for r, c in zip(references, channels, strict=True)]
    (gradient,) = torch.autograd.grad(sum(best for best, _ in expected), channels)
    assert torch.allclose(loss, torch.stack([best for best, _ in expected]), atol=1e-4)
    assert assignment.tolist() == [way for _, way in expected]
    assert torch.allclose(found, gradient, atol=1e-6)


def test_mixit_does_not_care_how_the_channels_are_ordered():
    references, channels = overlapping(2, 4)
    order = torch.tensor([2, 0, 3, 1])
    loss, assignment = objective.mixit(references, channels)
    shuffled, of_shuffled = objective.mixit(references, channels[:, order])
    assert torch.allclose(loss, shuffled, atol=1e-5)
    assert torch.equal(assignment[:, order], of_shuffled)


def test_mixit_cares_which_clip_a_sum_is_of():
    references, channels = overlapping(2, 4)
    _, assignment = objective.mixit(references, channels)
    _, swapped = objective.mixit(references.flip(1), channels)
    assert torch.equal(swapped, 1 - assignment)


def test_perfect_channels_reach_the_bound_and_no_more():
    references = noise(B, 2, S)
    parts = torch.rand(B, 2, S, generator=torch.Generator().manual_seed(1))
    channels = torch.cat([references * parts, references * (1 - parts)], dim=1)  # 0, 1, 0, 1
    loss, assignment = objective.mixit(references, channels)
    assert loss.tolist() == pytest.approx([-30.0] * B, abs=1e-3)
    assert assignment.tolist() == [[0, 1, 0, 1]] * B


@pytest.mark.parametrize("silent", [0, 1, (0, 1)])
def test_silent_references_leave_loss_and_gradient_finite(silent):
    references, channels = overlapping(2, 4)
    references[:, silent] = 0
    channels.requires_grad_()
    loss, _ = objective.mixit(references, channels)
    loss.sum().backward()
    assert loss.isfinite().all() and channels.grad.isfinite().all()


def test_silence_from_silence_is_finite_and_the_best_there_is():
    references = torch.zeros(1, 2, S)
    channels = torch.zeros(1, 4, S, requires_grad=True)
    loss, _ = objective.mixit(references, channels)
    loss.sum().backward()
    assert channels.grad.isfinite().all()
    assert loss < objective.mixit(references, 0.1 * noise(1, 4, S))[0]


def test_reduced_precision_around_the_loss_changes_nothing():
    references, channels = overlapping(2, 4)
    channels = references.repeat(1, 2, 1) / 2 + 1e-3 * channels  # near the bound
    exact, assignment = objective.mixit(references, channels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, found = objective.mixit(references, channels)
    assert torch.equal(loss, exact) and torch.equal(found, assignment)


def test_least_squares_finds_the_assignment_of_well_separated_channels():
    references = noise(B, 2, S)
    owners = torch.tensor([0, 1, 1, 0, 0, 1, 0, 1])
    channels = references[:, owners] / 4 + 0.05 * noise(B, 8, S, seed=4)
    exact = objective.assign_exactly(references, channels)
    assert torch.equal(objective.assign_by_least_squares(references, channels), exact)
    assert exact.tolist() == [owners.tolist()] * B


def test_many_channels_are_assigned_by_least_squares():
    references = noise(1, 2, S)
    owners = torch.tensor([0, 1] * 8)
    channels = references[:, owners] / 8 + 0.01 * noise(1, 16, S, seed=4)
    loss, assignment = objective.mixit(references, channels)
    assert assignment.tolist() == [owners.tolist()]
    assert loss.item() < -15


def test_sparsity_is_the_ratio_of_the_norms_of_the_channels_levels():
    channels = noise(B, 4, S) * torch.tensor([1.0, 0.5, 0.1, 2.0])[:, None]
    for one, found in zip(channels.double().numpy(), objective.sparsity(channels), strict=True):
        levels = np.sqrt(np.mean(one**2, axis=1))
        expected = np.linalg.norm(levels, 1) / np.linalg.norm(levels, 2) / 4
        assert float(found) == pytest.approx(expected, rel=1e-5)


def test_sparsity_is_least_for_one_channel_and_greatest_for_equal_ones():
    wave = noise(1, 1, S)
    alone, shared = (objective.sparsity(wave * torch.tensor(weights)[:, None])
                     for weights in ([1.0, 0, 0, 0], [0.25] * 4))  # fmt: skip
    assert float(alone) == pytest.approx(0.25, abs=1e-3)
    assert float(shared) == pytest.approx(0.5)
    scaled = objective.sparsity(torch.cat([wave, 0.3 * wave], dim=1) * torch.tensor([[[10.0]]]))
    assert float(scaled) == pytest.approx(1.3 / (2 * math.hypot(1, 0.3)), rel=1e-4)


def test_covariance_is_that_of_numpy_over_the_mixtures_power():
    _, channels = overlapping(2, 4)
    channels = channels - channels.mean(dim=-1, keepdim=True)
    mixture = channels.sum(dim=1)
    for one, whole, found in zip(
        channels, mixture, objective.covariance(channels, mixture), strict=True
    ):
        matrix = np.abs(np.cov(one.double().numpy(), bias=True))
        off = (matrix.sum() - np.trace(matrix)) / 12
        expected = off / np.mean(whole.double().numpy() ** 2)
        assert float(found) == pytest.approx(expected, rel=1e-4)


def test_covariance_of_a_torn_source_is_more_than_that_of_uncorrelated_channels_and_silence():
    apart = torch.linalg.qr(noise(S, 4))[0].T[None]
    torn = apart[:, :1].expand(-1, 4, -1) / 4
    silent = torch.cat([apart[:, :1], torch.zeros(1, 3, S)], dim=1)
    found = [float(objective.covariance(x, x.sum(dim=1))) for x in (apart, torn, silent)]
    assert found == pytest.approx([0.0, 1 / 16, 0.0], abs=1e-6)


def test_penalties_have_finite_gradients_on_silence():
    channels = torch.zeros(2, 4, S, requires_grad=True)
    total = objective.sparsity(channels) + objective.covariance(channels, channels.sum(dim=1))
    total.sum().backward()
    assert total.isfinite().all() and channels.grad.isfinite().all()


def test_lower_sparsity_is_reached_by_emptying_the_quieter_channels():
    wave = noise(1, 1, S)
    levels = torch.tensor([0.6, 0.3, 0.1], requires_grad=True)
    objective.sparsity(wave * levels[:, None]).sum().backward()
    assert levels.grad[0] < 0 < levels.grad[2]


@pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 4), (4, 4)])
def test_pit_is_the_best_of_all_permutations(n, m):
    references, channels = overlapping(n, m)
    loss, order = objective.pit(references, channels)
    padded = torch.cat([references, torch.zeros(B, m - n, S)], dim=1)
    for b in range(B):
        ways = {
            way: sum(objective.negative_snr(padded[b, r], channels[b, c])
                     for c, r in enumerate(way)) / m
            for way in itertools.permutations(range(m))
        }  # fmt: skip
        assert loss[b] == pytest.approx(float(min(ways.values())), abs=1e-4)
        assert ways[tuple(order[b].tolist())] == pytest.approx(float(loss[b]), abs=1e-4)


def test_pit_agrees_with_torchmetrics_where_the_bound_is_far():
    references, channels = overlapping(3, 3)
    loss, order = objective.pit(references, channels, snr_max=120.0)
    best, channel_of = permutation_invariant_training(
        channels, references, signal_noise_ratio, eval_func="max"
    )
    assert torch.allclose(loss, -best, atol=1e-3)
    assert torch.equal(order.argsort(dim=1), channel_of)


def test_si_snr_is_torchmetrics_without_the_mean_removed():
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio as si_sdr

    reference, estimate = noise(B, S) + 0.5, noise(B, S) + 0.4 * noise(B, S, seed=1) + 0.3
    found = objective.si_snr(estimate, reference)
    assert torch.allclose(found, si_sdr(estimate, reference, zero_mean=False), atol=1e-3)
    assert not torch.allclose(
        found, scale_invariant_signal_noise_ratio(estimate, reference), atol=0.1
    )


def test_si_snr_of_orthogonal_noise_is_the_ratio_of_powers():
    time = torch.arange(S) / S
    reference = torch.sin(2 * torch.pi * 10 * time)
    error = torch.sin(2 * torch.pi * 20 * time)
    for decibels in (-20.0, 0.0, 40.0, 60.0):
        estimate = reference + 10 ** (-decibels / 20) * error
        assert float(objective.si_snr(estimate, reference)) == pytest.approx(decibels, abs=0.05)


def test_si_snr_does_not_depend_on_the_scale_however_quiet():
    reference, estimate = noise(S), noise(S) + noise(S, seed=1)
    figure = objective.si_snr(estimate, reference)
    for scale in (1e-6, 1e-3, 1e3):
        assert torch.allclose(objective.si_snr(scale * estimate, reference), figure, atol=1e-4)
        assert torch.allclose(objective.si_snr(estimate, scale * reference), figure, atol=1e-4)


def test_si_snr_is_bounded_and_silence_never_scores():
    wave, silent = noise(S), torch.zeros(S)
    assert objective.si_snr(wave, wave) == pytest.approx(80.0, abs=0.01)
    for pair in ((silent, wave), (wave, silent), (silent, silent), (wave[:0], wave[:0])):
        assert objective.si_snr(*pair) == pytest.approx(-80.0, abs=0.01)


def test_si_snr_of_pairs_is_that_of_each_pair():
    references, channels = overlapping(3, 4)
    found = objective.si_snr_of_pairs(channels, references)
    each = objective.si_snr(channels[:, :, None], references[:, None])
    assert found.shape == (B, 4, 3)
    assert torch.allclose(found, each, atol=1e-3)


@pytest.mark.parametrize(("m", "n"), [(2, 2), (4, 2), (4, 4)])
def test_best_pairs_is_the_best_of_all_ways_to_pick_channels(m, n):
    pairs = noise(B, m, n)
    best = objective.best_pairs(pairs)
    for figures, found in zip(pairs, best, strict=True):
        ways = [
            sum(figures[channel, j] for j, channel in enumerate(way))
            for way in itertools.permutations(range(m), n)
        ]
        assert float(found.sum()) == pytest.approx(float(max(ways)), abs=1e-5)
