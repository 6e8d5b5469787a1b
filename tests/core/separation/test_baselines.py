"""Baselines on sounds of which it is known what each can do."""

import numpy as np
import pytest
import torch

from core.audio.clip import SAMPLE_RATE, read
from core.data.mixtures import levelled
from core.separation import baselines
from core.separation.evaluate import figures

SECONDS = 2
PAIR = ("violin", "trumpet")


@pytest.fixture(scope="module")
def tones():
    """Two harmonic sounds [2, S] that share no partial and swell at their own pace."""
    time = torch.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE

    def sound(pitch, pace):
        swell = (1 + torch.sin(2 * torch.pi * pace * time)) / 2
        return swell * sum(torch.sin(2 * torch.pi * pitch * k * time) / k for k in (1, 2, 3))

    return levelled(torch.stack([sound(150, 1.5), sound(1900, 1.1)]), torch.zeros(2))


@pytest.fixture(scope="module")
def duet(examples):
    waves = [read(examples / f"{name}-1.flac").segment(0, SECONDS).wave for name in PAIR]
    return levelled(torch.from_numpy(np.stack(waves)), torch.zeros(2))


def gained(references, channels):
    found = figures(references.sum(dim=0)[None], references[None], channels[None])
    return float(found.si_snri)


def test_nmf_takes_tones_apart_that_share_no_bin(tones):
    blind, oracle = baselines.nmf(tones.sum(dim=0), tones, 2)
    assert gained(tones, blind) > 12
    assert gained(tones, oracle) > 12


def test_ideal_ratio_masks_are_far_above_doing_nothing_on_real_sound(duet):
    made = baselines.all_of(duet.sum(dim=0), duet, 2)
    assert gained(duet, made["nothing"]) == 0.0
    assert gained(duet, made["ideal ratio mask"]) > 10
    assert gained(duet, made["ideal ratio mask"]) > gained(duet, made["oracle-grouped nmf"]) + 3


def test_masked_channels_add_up_to_the_mixture(duet):
    mixture = duet.sum(dim=0)
    for count in (2, 4):
        made = baselines.all_of(mixture, duet, count)
        for name in ("nmf", "oracle-grouped nmf", "ideal ratio mask"):
            assert torch.allclose(made[name].sum(dim=0), mixture, atol=1e-5)
        assert made["nmf"].shape == made["nothing"].shape == (count, len(mixture))
        assert made["ideal ratio mask"].shape == duet.shape


def test_one_source_passes_the_ideal_ratio_mask_unchanged(duet):
    alone = duet[:1]
    made = baselines.all_of(alone[0], alone, 2)
    assert torch.allclose(made["ideal ratio mask"][0], alone[0], atol=1e-5)


def test_the_blind_grouping_does_not_use_the_sources(duet):
    mixture = duet.sum(dim=0)
    blind, _ = baselines.nmf(mixture, duet, 2)
    again, oracle = baselines.nmf(mixture, duet.flip(0), 2)
    assert torch.equal(blind, again)
    swapped = baselines.nmf(mixture, duet, 2)[1].flip(0)
    assert torch.allclose(oracle, swapped, atol=1e-6)


def test_a_factorisation_comes_near_to_what_it_is_of():
    rng = np.random.default_rng(0)
    truth = rng.random((40, 3)) ** 4 @ rng.random((3, 50)) ** 4
    parts = baselines.factorise(truth, 6)
    assert np.allclose(parts.spectra.sum(axis=0), 1)
    error = np.linalg.norm(parts.spectra @ parts.activations - truth) / np.linalg.norm(truth)
    assert error < 0.05


def test_components_of_one_timbre_share_a_group():
    bins = np.arange(513)
    low = np.stack([np.exp(-(((bins - centre) / 8) ** 2)) for centre in (30, 32, 34)], axis=1)
    high = np.stack([np.exp(-(((bins - centre) / 8) ** 2)) for centre in (300, 302)], axis=1)
    parts = baselines.Parts(np.hstack([low, high]), np.ones((5, 10)))
    groups = baselines.group(parts, 2)
    assert len(set(groups[:3])) == len(set(groups[3:])) == 1
    assert groups[0] != groups[4]


@pytest.mark.parametrize("samples", [0, 1, 100, 5000])
def test_silent_and_very_short_mixtures_come_out_finite_and_whole(samples):
    sound = torch.randn(2, samples, generator=torch.Generator().manual_seed(0))
    half_silent = sound * torch.tensor([1.0, 0.0])[:, None]
    for references in (0 * sound, half_silent, sound):
        for channels in baselines.all_of(references.sum(dim=0), references, 2).values():
            assert channels.shape == (2, samples) and channels.isfinite().all()


def test_more_references_than_channels_share_the_oracles_last(duet):
    three = torch.cat([duet, duet[:1].roll(4000, dims=1)])
    made = baselines.all_of(three.sum(dim=0), three, 2)
    assert made["oracle-grouped nmf"].shape[0] == 2
    assert made["ideal ratio mask"].shape[0] == 3
