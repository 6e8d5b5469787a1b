"""Changes of timbre: smooth over the mels, one for all frames, and none to silence."""

import numpy as np
import pytest
import torch
from scipy.fft import dct

from core.dsae.perturbation import (
    COSINES,
    filtered,
    perturbed,
    random_filters,
    with_dynamics_of,
    with_other_envelopes,
)

FLOOR = -12.0


def test_filters_are_sums_of_so_many_cosines_and_no_more():
    torch.manual_seed(0)
    gains = random_filters(200, 80, torch.device("cpu")).double().numpy()
    # A discrete cosine transform by its definition.
    band = (np.arange(80) + 0.5) / 80
    weights = gains @ np.cos(np.pi * np.arange(80)[:, None] * band).T
    assert np.abs(weights[:, COSINES + 1 :]).max() < 1e-4  # nor a constant: a level is no filter
    assert np.abs(weights[:, 0]).max() < 1e-4
    assert 0.5 < gains.std() < 2.5
    assert np.abs(weights[:, COSINES]).max() > 1  # some are as rippled as allowed


def test_a_filter_adds_the_same_gain_to_every_frame_and_leaves_silence_alone():
    x = torch.full((1, 5, 80), FLOOR)
    x[:, 2:4] = 0.0
    gains = torch.linspace(-3, 3, 80)[None]
    found = filtered(x, gains, FLOOR)
    torch.testing.assert_close(found[0, 2], gains[0])
    torch.testing.assert_close(found[0, 3], gains[0])
    assert torch.equal(found[0, 0], x[0, 0])
    assert filtered(x, gains - 100, FLOOR).min() == FLOOR


def test_frames_get_the_low_cepstra_of_the_other_clip_and_keep_their_own_rest():
    torch.manual_seed(0)
    x, others = torch.randn(3, 4, 80), torch.randn(3, 4, 80)
    found = with_other_envelopes(x, others, torch.tensor([0, 2, 8]))
    cepstra = [dct(y.double().numpy(), norm="ortho", axis=2) for y in (found, x, others)]
    for clip, order in enumerate((0, 2, 8)):
        made, own, other = (one[clip] for one in cepstra)
        np.testing.assert_allclose(made[:, 1 : order + 1], other[:, 1 : order + 1], atol=1e-5)
        np.testing.assert_allclose(made[:, order + 1 :], own[:, order + 1 :], atol=1e-5)
        np.testing.assert_allclose(made[:, 0], own[:, 0], atol=1e-5)  # the level


def test_the_share_of_changed_clips_is_as_set():
    torch.manual_seed(0)
    x = torch.randn(2_000, 3, 80) - 4
    changed = (perturbed(x, 0.7, FLOOR) != x).flatten(1).any(1).float().mean()
    assert abs(float(changed) - 0.7) < 0.05  # five standard deviations
    assert torch.equal(perturbed(x, 0.0, FLOOR), x)


def test_the_loudest_partial_of_each_frame_mostly_stays():
    """A melody of single partials 6 nepers above the rest: where it is remains to be seen."""
    torch.manual_seed(0)
    x = torch.full((300, 20, 80), -8.0)
    places = torch.randint(10, 70, (300, 20))
    x.scatter_(2, places[..., None], -1.0)
    found = perturbed(x, 1.0, FLOOR).argmax(2)
    assert (found == places).float().mean() > 0.75


def test_a_rendition_gets_the_dynamics_of_the_clip_and_keeps_its_spectrum():
    torch.manual_seed(0)
    x, rendition = 2 * torch.randn(2, 3, 40, 80) - 1
    found = with_dynamics_of(x, rendition, FLOOR)
    assert torch.allclose(found.logsumexp(2), x.logsumexp(2), atol=0.05)
    gains = found - rendition
    loud = rendition > FLOOR + 1  # where nothing fades into silence
    spread = torch.where(loud, gains, gains.median(2, keepdim=True).values)
    assert float(spread.std(2).max()) < 1e-4


def test_silence_of_a_rendition_stays_silent_and_noise_is_not_raised_without_bound():
    x = torch.zeros(1, 2, 80)
    silent = torch.full_like(x, FLOOR)
    assert torch.equal(with_dynamics_of(x, silent, FLOOR), silent)
    faint = with_dynamics_of(x + 9, torch.full_like(x, FLOOR + 1), FLOOR)
    assert float(faint.max()) == pytest.approx(FLOOR + 1 + 6)
