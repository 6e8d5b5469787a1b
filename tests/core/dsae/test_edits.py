"""Edits of latents against what they must be, on real recordings and by hand."""

import math

import numpy as np
import pytest
import torch

from core.audio.clip import read
from core.dsae import edits, latents
from core.dsae.edits import Edit
from core.dsae.evaluation import scores as evaluate
from core.errors import RavelError


@pytest.fixture(scope="module")
def model(untrained):
    return latents.load(untrained)


@pytest.fixture(scope="module")
def violin(model, examples):
    return model.encode(read(examples / "violin-1.flac").segment(0.0, 2.0))


@pytest.fixture(scope="module")
def trumpet(model, examples):
    return model.encode(read(examples / "trumpet-1.flac").segment(0.0, 1.5))


def ramp(frames: int, slope: float = 1.0) -> torch.Tensor:
    """A track whose first dimension counts frames."""
    return torch.stack([slope * torch.arange(float(frames)), torch.zeros(frames)], dim=1)


def test_kl_by_dimension_is_the_closed_form_averaged_over_clips():
    means, sds = [(0.0, 2.0), (0.0, -1.0)], [(1.0, 0.5), (1.0, 0.1)]
    clips = [
        latents.Latents(torch.tensor(m), 2 * torch.log(torch.tensor(s)), *2 * [torch.zeros(3, 1)])
        for m, s in zip(means, sds, strict=True)
    ]
    by_hand = [
        (2.0**2 + 0.5**2 - 1) / 2 - math.log(0.5),
        ((-1.0) ** 2 + 0.1**2 - 1) / 2 - math.log(0.1),
    ]
    assert edits.global_kl(clips).tolist() == pytest.approx([0, sum(by_hand) / 2])


def test_a_dimension_counts_as_collapsed_just_where_the_metrics_count_it_as_inactive():
    assert edits.COLLAPSED == evaluate.ACTIVE_NATS


def test_reach_is_zero_for_a_dimension_that_the_decoder_ignores(untrained, violin):
    insensitive = latents.load(untrained)
    with torch.no_grad():
        insensitive.model.decoder.frames[0].weight[:, insensitive.z_size + 3] = 0
    moved = edits.reach(insensitive, violin)
    assert moved[3] == 0 and (np.delete(moved.numpy(), 3) > 0).all()

    low, high = violin.v.clone(), violin.v.clone()
    low[0], high[0] = -2, 2
    change = insensitive.decode(high, violin.z) - insensitive.decode(low, violin.z)
    assert moved[0].item() == pytest.approx(10 / math.log(10) * change.abs().mean().item())


def test_turning_a_dial_sets_that_dimension_alone_and_leaves_the_clip_as_it_was(violin):
    before = violin.v.clone()
    turned = edits.turn(violin, {4: 2.5, 7: -1.0})
    expected = before.clone()
    expected[4], expected[7] = 2.5, -1.0
    assert torch.equal(turned.v, expected) and torch.equal(violin.v, before)
    assert torch.equal(turned.z, violin.z)
    assert torch.equal(edits.turn(violin, {}).v, before)


def test_the_mean_of_two_global_latents_is_halfway(violin, trumpet):
    halfway = edits.morph(violin, trumpet, 0.5, "global").v
    torch.testing.assert_close(edits.mean_v([violin, trumpet]), halfway)


@pytest.mark.parametrize("path", ["straight", "arc"])
@pytest.mark.parametrize("what", ["global", "local", "both"])
def test_a_morph_ends_exactly_at_both_clips(model, violin, trumpet, what, path):
    start, end = (edits.morph(violin, trumpet, at, what, path) for at in (0, 1))
    v = violin.v if what == "local" else trumpet.v
    z = violin.z if what == "global" else trumpet.z
    assert torch.equal(model.decode(start.v, start.z), model.decode(violin.v, violin.z))
    assert torch.equal(model.decode(end.v, end.z), model.decode(v, z))


def test_a_morph_moves_only_the_chosen_part(violin, trumpet):
    assert torch.equal(edits.morph(violin, trumpet, 0.3, "global").z, violin.z)
    assert torch.equal(edits.morph(violin, trumpet, 0.3, "local").v, violin.v)


def test_a_straight_morph_is_linear_and_its_melody_has_a_length_in_between(violin, trumpet):
    made = edits.morph(violin, trumpet, 0.25)
    torch.testing.assert_close(made.v, 0.75 * violin.v + 0.25 * trumpet.v)
    assert len(made.z) == round(0.75 * len(violin.z) + 0.25 * len(trumpet.z))
    torch.testing.assert_close(made.z[-1], 0.75 * violin.z[-1] + 0.25 * trumpet.z[-1])


def test_an_arc_keeps_the_length_of_v_and_turns_evenly():
    z = torch.zeros(8, 1)
    a, b = (edits.point(torch.tensor(v), z) for v in ([2.0, 0.0], [0.0, 2.0]))
    third = edits.morph(a, b, 1 / 3, "global", "arc").v
    expected = [2 * math.cos(math.pi / 6), 2 * math.sin(math.pi / 6)]
    assert third.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    "v", [[0.0, 0.0], [1.0, 0.0], [-3.0, 0.0]], ids=["zero", "same", "opposite"]
)
def test_an_arc_that_does_not_exist_is_a_straight_line(v):
    z = torch.zeros(8, 1)
    a, b = edits.point(torch.tensor([1.0, 0.0]), z), edits.point(torch.tensor(v), z)
    halfway = edits.morph(a, b, 0.5, "global", "arc").v
    torch.testing.assert_close(halfway, (a.v + b.v) / 2)


def test_a_hold_freezes_its_span_and_nothing_else(violin):
    held = edits.hold(violin.z, 0.48, 0.96, 1.6)
    first, last, moment = 30, 60, 100  # 62.5 frames a second
    assert torch.equal(held[first:last], violin.z[moment].expand(last - first, -1))
    assert torch.equal(held[:first], violin.z[:first])
    assert torch.equal(held[last:], violin.z[last:])


def test_a_hold_at_and_beyond_the_end_takes_the_last_frame(violin):
    held = edits.hold(violin.z, 1.0, 9.0, 9.0)
    assert len(held) == len(violin.z)
    assert torch.equal(held[63:], violin.z[-1].expand(len(held) - 63, -1))


def test_a_nudge_goes_from_the_own_melody_to_the_other(violin, trumpet):
    assert torch.equal(edits.nudge(violin.z, trumpet.z, 0), violin.z)
    whole = edits.nudge(violin.z, trumpet.z, 1)
    assert whole.shape == violin.z.shape
    assert torch.equal(whole, edits.stretch(trumpet.z, len(violin.z) / len(trumpet.z)))


def test_a_shift_moves_the_mean_and_keeps_the_shape_of_the_melody(violin, trumpet):
    shifted = edits.shift(violin.z, trumpet.z, 1)
    torch.testing.assert_close(shifted.mean(0), trumpet.z.mean(0))
    torch.testing.assert_close(shifted.diff(dim=0), violin.z.diff(dim=0), atol=1e-5, rtol=1e-4)


def test_a_stretch_by_one_changes_nothing_and_by_two_doubles_the_frames(violin):
    assert torch.equal(edits.stretch(violin.z, 1), violin.z)
    doubled = edits.stretch(violin.z, 2)
    assert len(doubled) == 2 * len(violin.z)
    grid, times = np.arange(len(violin.z)), np.linspace(0, len(violin.z) - 1, len(doubled))
    for i in range(violin.z.shape[1]):
        expected = np.interp(times, grid, violin.z[:, i].numpy())
        np.testing.assert_allclose(doubled[:, i], expected, atol=1e-4)


def test_a_splice_equals_its_sources_outside_the_cross_fade(violin, trumpet):
    joined = edits.splice(violin.z, trumpet.z, 0.8, 0.32)  # frames 50 and 20
    assert len(joined) == 50 + len(trumpet.z) - 20
    assert torch.equal(joined[: 50 - edits.FADE], violin.z[: 50 - edits.FADE])
    assert torch.equal(joined[50 + edits.FADE :], trumpet.z[20 + edits.FADE :])


def test_a_splice_fades_evenly_from_one_melody_to_the_other():
    joined = edits.splice(ramp(100, 0), ramp(100, 0) + 1, 0.8, 0.8, fade=4)[:, 0]
    assert joined[46:54].tolist() == pytest.approx([0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1])


@pytest.mark.parametrize("fade", [0, 1, 2, 5, 9])
@pytest.mark.parametrize(("until", "since"), [(0, 0), (9, 0), (0.016, 0.016), (1, 0.016)])
def test_a_splice_at_the_edges_has_the_requested_length(fade, until, since):
    z, other = ramp(50), ramp(40) + 100
    joined = edits.splice(z, other, until, since, fade)
    cut = min(round(62.5 * until), 50)
    assert len(joined) == cut + 40 - round(62.5 * since)
    assert torch.equal(joined[-1], other[-1])


def test_edits_are_applied_in_their_order(violin, trumpet):
    hold, stretch = Edit("hold", (0.0, 0.5, 1.0)), Edit("stretch", (0.5,))
    both = edits.apply(violin.z, [hold, stretch])
    assert torch.equal(both, edits.stretch(edits.hold(violin.z, 0.0, 0.5, 1.0), 0.5))
    assert not torch.equal(both, edits.apply(violin.z, [stretch, hold]))
    assert torch.equal(edits.apply(violin.z, []), violin.z)
    spliced = edits.apply(violin.z, [Edit("splice", (1.0, 0.5))], trumpet.z)
    assert torch.equal(spliced, edits.splice(violin.z, trumpet.z, 1.0, 0.5))


@pytest.mark.parametrize(
    ("edit", "other", "words"),
    [
        (Edit("reverse", ()), None, "no edit called 'reverse'"),
        (Edit("nudge", (0.5,)), None, "second clip is needed"),
        (Edit("stretch", (20.0,)), None, "16 s is the longest"),
        (Edit("stretch", (0.01,)), None, "shortest that can be played"),
        (Edit("splice", (0.0, 9.0)), ramp(20), "shortest that can be played"),
    ],
)
def test_an_impossible_edit_has_an_error_with_the_reason(edit, other, words):
    with pytest.raises(RavelError, match=words):
        edits.apply(ramp(100), [edit], other)


def test_no_edit_changes_the_track_it_was_given(violin, trumpet):
    z, other = violin.z.clone(), trumpet.z.clone()
    numbers = {"hold": (0.2, 0.9, 0.1), "splice": (1.0, 0.5)}
    for kind in edits.EDITS:
        edits.apply(violin.z, [Edit(kind, numbers.get(kind, (0.7,)))], trumpet.z)
    assert torch.equal(violin.z, z) and torch.equal(trumpet.z, other)
