"""Remixing against plain loops and closed forms, and as a stage of training."""

import itertools

import pytest
import torch

from core import registry
from core.errors import RavelError
from core.separation import remixing
from core.separation.model import Separator
from core.separation.remixing import Remix
from core.training.config import merge
from tests.core.training.resuming import whole_and_parted

S = 600


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def negative_snr(reference, estimate):
    error, power = (reference - estimate).square().sum(), reference.square().sum()
    return 10 * torch.log10((error + 1e-3 * power) / power)


def by_hand(method, originals, references, estimates, places):
    """Both losses from their definitions, one mixture, permutation and channel at a time."""
    batch, m = references.shape[:2]
    best = []
    for b in range(batch):
        ways = itertools.permutations(range(m))
        loss_of = {
            way: sum(negative_snr(references[b, i], estimates[b, c]) for i, c in enumerate(way)) / m
            for way in ways
        }
        best.append(min(loss_of, key=lambda way: float(loss_of[way].detach())))
        if method == "remixit":
            best[b] = loss_of[best[b]]
    if method == "remixit":
        return torch.stack(best)
    sums = [torch.zeros(S) for _ in range(batch)]
    for b in range(batch):
        for i in range(m):
            sums[places[i, b]] = sums[places[i, b]] + estimates[b, best[b][i]]
    return torch.stack([negative_snr(x, y) for x, y in zip(originals, sums, strict=True)])


@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize("method", ["remixit", "self-remixing"])
def test_losses_and_gradients_are_those_of_the_definitions(method, m):
    torch.manual_seed(m)
    channels = noise(5, m, S)
    made = remixing.remix(channels)
    originals = channels.sum(dim=1)
    leaks = 0.4 * noise(5, m, m, seed=1) + torch.eye(m)[torch.randperm(m)]
    estimates = (leaks @ made.references + 0.2 * noise(5, m, S, seed=2)).requires_grad_()
    if method == "remixit":
        loss = remixing.remixit(made, estimates)
    else:
        loss = remixing.self_remixing(made, originals, estimates)
    expected = by_hand(method, originals, made.references, estimates, made.places)
    assert torch.allclose(loss, expected, atol=1e-3)
    (found,) = torch.autograd.grad(loss.sum(), estimates)
    (gradient,) = torch.autograd.grad(expected.sum(), estimates)
    assert torch.allclose(found, gradient, atol=1e-5)


@pytest.mark.parametrize(("batch", "m"), [(2, 2), (4, 2), (4, 4), (7, 3), (16, 8)])
def test_no_two_channels_of_a_new_mixture_come_from_one_mixture(batch, m):
    torch.manual_seed(0)
    for _ in range(20):
        places = remixing.draw_places(batch, m)
        assert all(sorted(row) == list(range(batch)) for row in places.tolist())
        assert all(len(set(column)) == m for column in places.T.tolist())


def test_with_fewer_mixtures_than_channels_each_channel_is_still_used_once():
    for batch in (1, 2, 3):
        places = remixing.draw_places(batch, 4)
        assert all(sorted(row) == list(range(batch)) for row in places.tolist())


def test_every_exchange_of_two_mixtures_is_as_likely():
    torch.manual_seed(0)
    drawn = torch.stack([remixing.draw_places(4, 2) for _ in range(2_000)])
    pairs = torch.bincount((4 * drawn[:, 0] + drawn[:, 1]).flatten(), minlength=16).view(4, 4)
    assert pairs.diagonal().tolist() == [0] * 4
    expected = 2_000 * 4 / 12
    assert ((pairs + torch.eye(4) * expected - expected).abs() < 0.15 * expected).all()


def test_a_remix_uses_every_channel_once_and_goes_back_to_the_mixtures():
    torch.manual_seed(1)
    channels = noise(4, 3, S)
    made = remixing.remix(channels)
    before = sorted(float(wave.sum()) for wave in channels.flatten(0, 1))
    after = sorted(float(wave.sum()) for wave in made.references.flatten(0, 1))
    assert after == pytest.approx(before)
    assert torch.allclose(made.mixtures, made.references.sum(dim=1))
    back = remixing.put_back(made.references, made.places).sum(dim=1)
    assert torch.allclose(back, channels.sum(dim=1), atol=1e-5)
    assert not torch.allclose(made.mixtures, channels.sum(dim=1), atol=1e-2)


def test_a_student_that_finds_the_teachers_channels_reaches_the_bound_of_both_losses():
    torch.manual_seed(2)
    channels = noise(4, 3, S)
    made = remixing.remix(channels)
    found = made.references[:, [2, 0, 1]]
    assert remixing.remixit(made, found).tolist() == pytest.approx([-30.0] * 4, abs=1e-3)
    loss = remixing.self_remixing(made, channels.sum(dim=1), found)
    assert loss.tolist() == pytest.approx([-30.0] * 4, abs=1e-3)


def test_self_remixing_forgives_what_the_teacher_got_wrong_and_remixit_does_not():
    """The teacher swaps a part of two sources; the true sources still add up to the mixtures."""
    sources = noise(4, 2, S)
    torn = 0.3 * noise(4, S, seed=3)
    teacher = torch.stack([sources[:, 0] + torn, sources[:, 1] - torn], dim=1)
    places = remixing.draw_places(4, 2)
    made = Remix(remixing.take(teacher, places).sum(1), remixing.take(teacher, places), places)
    truth = remixing.take(sources, places)
    assert remixing.self_remixing(made, sources.sum(dim=1), truth).mean() < -29.9
    assert remixing.remixit(made, truth).mean() > -12


def test_a_silent_channel_and_silence_leave_losses_and_gradients_finite():
    channels = noise(3, 2, S)
    channels[:, 1] = 0
    for some in (channels, 0 * channels):
        made, estimates = remixing.remix(some), (some + 0).requires_grad_()
        loss = remixing.remixit(made, estimates)
        loss = loss + remixing.self_remixing(made, some.sum(dim=1), estimates)
        loss.sum().backward()
        assert loss.isfinite().all() and estimates.grad.isfinite().all()


def settings(store, start, **changes):
    values = {"data.store": str(store), "objective.start": str(start), "training.steps": 6}
    values |= {"objective.method": "self-remixing", "objective.teacher_every": 2}
    values |= {"training.validate_every": 6, "training.snapshots": (), **changes}
    values = merge(merge(registry.preset("separation", "tiny"), values), {"system": "separation"})
    return registry.parse(values)


def weights_of(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_the_teacher_follows_the_student_by_a_moving_average(scenes, separator):
    task = registry.task(settings(scenes, separator))
    task.load(torch.device("cpu"))
    model = task.build()
    task.enter(model, "self-remixing", True)
    start = weights_of(model)
    assert torch.equal(weights_of(task.teacher), start)
    expected = start
    for step in range(1, 5):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.01 * step
        task.stepped(model, step)
        if step % 2 == 0:
            expected = 0.8 * expected + 0.2 * weights_of(model)
        assert torch.allclose(weights_of(task.teacher), expected, atol=1e-6)


def test_a_fixed_teacher_stays_and_has_no_gradient(scenes, separator):
    task = registry.task(settings(scenes, separator, **{"objective.teacher_decay": 1.0}))
    task.load(torch.device("cpu"))
    model = task.build()
    task.enter(model, "self-remixing", True)
    start = weights_of(model)
    torch.manual_seed(0)
    task.losses(model, task.batch(torch.arange(3)), "self-remixing")["loss"].backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1.0
    task.stepped(model, 2)
    assert torch.equal(weights_of(task.teacher), start)
    assert all(p.grad is None for p in task.teacher.parameters())
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("method", ["self-remixing", "remixit"])
def test_a_stopped_run_resumes_with_its_teacher_to_the_same_weights(
    scenes, separator, tmp_path, method
):
    config = settings(scenes, separator, **{"objective.method": method})
    whole, parted = whole_and_parted(config, tmp_path, 2)
    for read in (lambda run: run.load("last")[0], lambda run: run.load_kept("last")):
        one, other = read(whole), read(parted)
        assert one.keys() == other.keys() and one
        assert all(torch.equal(one[name], other[name]) for name in one)
    saved = whole.load("last")[0]
    Separator(config.model).load_state_dict(saved)  # the student alone
    teacher = whole.load_kept("last")["teacher.mask.weight"]
    assert not torch.equal(teacher, saved["mask.weight"])


def test_mixit_may_begin_with_a_checkpoint_too(scenes, separator):
    task = registry.task(settings(scenes, separator, **{"objective.method": "mixit"}))
    from core.separation.separate import load

    assert torch.equal(weights_of(task.build()), weights_of(load(separator).model))
    assert task.kept() == {}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"objective.start": ""}, "objective.start"),
        ({"objective.start": "nowhere"}, "nowhere"),
        ({"model.channels": 4}, "model.channels 2, but this run 4"),
        ({"training.batch_size": 1}, "2 or more"),
        ({"objective.sparsity": 1.0}, "apply to mixit only"),
        ({"objective.teacher_decay": 1.5}, "teacher_decay"),
    ],
)
def test_what_cannot_be_remixed_is_refused(scenes, separator, changes, says):
    with pytest.raises(RavelError, match=says):
        registry.task(settings(scenes, separator, **changes)).build()
