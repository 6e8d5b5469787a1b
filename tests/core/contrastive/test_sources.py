"""Random processors as views: what they do to a wave, and what a patch of theirs is."""

from functools import partial

import numpy as np
import pytest
import torch

from core.audio.clip import read
from core.audio.scene_mel import scene_log_mel
from core.contrastive import sources
from core.data.store import PCM
from core.separation.config import ModelConfig
from core.separation.objective import si_snr
from core.separation.separate import untrained, untrained_small

SMALL = ModelConfig(window=256, hop=128, basis=64, bottleneck=16, hidden=32, blocks=2, repeats=1)
MADE = {
    "separator": lambda number: untrained(SMALL, number),
    "filter": sources.random_filter,
    "equaliser": sources.random_equaliser,
}


@pytest.fixture
def waves():
    return 0.1 * torch.randn(3, 16_000, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", MADE)
def test_two_channels_add_up_to_the_wave_and_a_number_names_one_process(waves, kind):
    made = MADE[kind](5)(waves)
    assert made.shape == (3, 2, 16_000)
    torch.testing.assert_close(made.sum(dim=1), waves, atol=1e-5, rtol=0)
    torch.testing.assert_close(MADE[kind](5)(waves), made)
    assert (MADE[kind](6)(waves) - made).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["filter", "equaliser"])
def test_a_random_filter_is_the_same_at_every_moment(kind):
    process, size = MADE[kind](1), 8_000
    wave = torch.zeros(2, size)
    wave[0, 2_000], wave[1, 3_000] = 1.0, 1.0
    early, late = process(wave)[:, 0]
    torch.testing.assert_close(early.roll(1_000), late, atol=1e-5, rtol=0)


def test_a_filtered_channel_is_as_far_from_white_noise_as_it_is_meant_to_be(waves):
    far = [si_snr(sources.random_filter(i)(waves)[:, 0], waves).mean() for i in range(20)]
    assert np.mean(far) == pytest.approx(sources.FILTER_SNR, abs=0.5)


def test_a_random_filter_changes_a_scene_as_much_as_an_untrained_separator_does(examples):
    files = sorted((examples / "scenes").glob("*.flac"))
    scenes = torch.stack([torch.from_numpy(read(f, normalise=False).wave[:48_000]) for f in files])
    far = {}
    for kind in ("separator", "filter"):
        make = partial(untrained_small, device="cpu") if kind == "separator" else MADE[kind]
        made = [make(number)(scenes) for number in range(12)]
        far[kind] = float(torch.stack([si_snr(c, scenes[:, None]) for c in made]).mean())
    assert far["filter"] == pytest.approx(far["separator"], abs=1.0)
    assert far["separator"] == pytest.approx(7.4, abs=0.5)


def test_patches_are_log_mels_of_the_processed_excerpt_and_silence_follows_the_end():
    rng = np.random.default_rng(0)
    pcm = (0.1 * PCM * rng.standard_normal((4, 20_000))).astype(np.int16)
    drawn = sources.Drawn(pcm, sources.random_filter, 1, "cpu")
    patches = drawn.patches(torch.tensor([2, 3]), torch.tensor([10, 100]), 32)
    assert patches.shape == (2, 2, 32, 64)
    size = 512 + 31 * 160
    excerpt = torch.from_numpy(pcm[2, 1_600 : 1_600 + size].astype("float32") / PCM)[None]
    expected = scene_log_mel(sources.random_filter(0)(excerpt))[0]
    torch.testing.assert_close(patches[:, 0], expected)
    assert patches[:, 1, -1].max() < -6.5  # log of epsilon is -6.9


@pytest.mark.parametrize(("pool", "least", "most"), [(1, 1, 1), (50, 5, 20)])
def test_a_pool_of_one_is_one_process_and_a_large_one_is_many(pool, least, most):
    numbers = []

    def make(number):
        numbers.append(number)
        return sources.random_filter(number)

    drawn = sources.Drawn(np.full((1, 20_000), 1_000, np.int16), make, pool, "cpu")
    for _ in range(20):
        drawn.patches(torch.tensor([0]), torch.tensor([0]), 32)
    assert least <= len(set(numbers)) and len(numbers) <= most
