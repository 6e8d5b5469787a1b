"""Views: what SpecAugment may do, how patches and channels are drawn, ahead of time or not."""

import numpy as np
import pytest
import torch

from core.audio.scene_mel import scene_log_mel
from core.contrastive import views
from core.contrastive.config import ViewsConfig
from core.data.store import PCM, FeatureStore
from core.errors import RavelError

T, F = 497, 96
SILENCE = float(np.log(1e-3))


def sources(clips=4, processors=1, channels=2, frames=T):
    """Log-mels that say what they are: of clip n, frame t is n + t / 1000; channel m of processor
    p is 10 (1 + p) + m louder in all bands."""
    base = np.arange(clips)[:, None, None, None] + np.arange(frames)[None, None, :, None] / 1000
    base = np.broadcast_to(base, (clips, 1, frames, 64)).astype(np.float32)
    made = [base]
    for p in range(processors):
        shift = np.arange(channels, dtype=np.float32)[None, :, None, None]
        made.append(base + 10 * (1 + p) + shift)
    return made


def plain(**changes):
    return ViewsConfig(**{"specaugment": False, **changes})


def drawn(made, config, indices, frames=None):
    lengths = np.full(len(made[0]), made[0].shape[2]) if frames is None else np.asarray(frames)
    return views.Views(config, made, lengths).draw(torch.as_tensor(indices))


def starts(patches, indices):
    """Where patches of `sources` begin, whatever the channel."""
    first = patches[:, 0, 0] - torch.as_tensor(indices)
    return ((first - first.floor()) * 1000).round().long()


# SpecAugment


@pytest.mark.parametrize(("dim", "most"), [(1, 16), (2, 10), (2, 64), (1, 200)])
def test_masks_are_never_wider_than_set_and_reach_that_width(dim, most):
    torch.manual_seed(0)
    x = torch.randn(400, F, 64)
    changed = views.masked(x, 1, most, dim=dim) != x
    lines = changed.all(dim=3 - dim)  # [B, size]: a whole frame or band is hidden
    assert torch.equal(lines, changed.any(dim=3 - dim))
    widths = lines.sum(dim=1)
    limit = min(most, x.shape[dim])
    assert widths.max() <= limit and widths.min() == 0
    if most < 20:
        assert set(widths.tolist()) == set(range(limit + 1))
    edges = (lines[:, 1:] != lines[:, :-1]).sum(dim=1) + lines[:, 0].int() + lines[:, -1].int()
    assert (edges <= 2).all()  # one run


def test_what_is_hidden_becomes_the_patches_own_mean():
    torch.manual_seed(0)
    x = torch.randn(50, F, 64) + torch.arange(50)[:, None, None]
    hidden = views.masked(x, 1, 10, dim=2)
    changed = hidden != x
    means = x.mean(dim=(1, 2), keepdim=True).expand_as(x)
    assert torch.allclose(hidden[changed], means[changed])
    assert changed.any()


def test_two_masks_are_two_draws():
    torch.manual_seed(0)
    x = torch.randn(300, F, 64)
    counts = (views.masked(x, 2, 10, dim=2) != x).all(dim=1).sum(dim=1)
    assert 10 < counts.max() <= 20
    assert torch.equal(views.masked(x, 0, 10, dim=2), x)
    assert torch.equal(views.masked(x, 2, 0, dim=2), x)


def test_no_warp_is_no_change():
    x = torch.randn(5, F, 64)
    assert torch.equal(views.time_warp(x, 0), x)


@pytest.mark.parametrize("most", [1, 4, 40, 500])
def test_a_warp_keeps_the_ends_and_the_order_and_moves_nothing_further_than_set(most):
    torch.manual_seed(0)
    ramp = torch.arange(F, dtype=torch.float32)[None, :, None].expand(200, F, 64)
    warped = views.time_warp(ramp, most)
    assert torch.allclose(warped[:, 0], ramp[:, 0], atol=1e-4)
    assert torch.allclose(warped[:, -1], ramp[:, -1], atol=1e-4)
    assert (warped.diff(dim=1) >= -1e-4).all()
    moved = (warped - ramp).abs().amax(dim=(1, 2))
    assert moved.max() <= most + 1e-3
    assert moved.max() > min(most, 40) / 2
    assert moved.unique().numel() > 1  # each its own draw


def test_each_branch_and_each_clip_has_its_own_draw():
    torch.manual_seed(0)
    made = [np.random.default_rng(0).standard_normal((1, 1, F, 64)).astype(np.float32)]
    config = ViewsConfig(pair="mixture-mixture")  # one patch only: SpecAugment alone differs
    a, b = drawn(made, config, [0, 0])
    assert not torch.equal(a, b)
    assert not torch.equal(a[0], a[1])


def test_without_specaugment_patches_are_cuts_of_the_clip():
    torch.manual_seed(0)
    indices = [3, 0, 2, 2]
    a, b = drawn(sources(), plain(pair="mixture-mixture"), indices)
    for patches in (a, b):
        begin = starts(patches, indices)
        expected = torch.as_tensor(indices)[:, None] + (begin[:, None] + torch.arange(F)) / 1000
        assert torch.allclose(patches, expected[..., None].expand(-1, -1, 64), atol=1e-4)
    assert not torch.equal(starts(a, indices), starts(b, indices))


# Temporal proximity


def test_patches_come_from_anywhere_in_the_clip_unless_they_must_be_near():
    torch.manual_seed(0)
    indices = torch.zeros(2000, dtype=torch.long)
    a, b = (starts(x, indices) for x in drawn(sources(), plain(pair="mixture-mixture"), indices))
    assert {int(a.min()), int(b.min())} == {0} and {int(a.max()), int(b.max())} == {T - F}
    assert (a - b).abs().max() > 350
    near = drawn(sources(), plain(pair="mixture-mixture", proximity=0.3), indices)
    a, b = (starts(x, indices) for x in near)
    assert (a - b).abs().max() == 30
    assert b.min() == 0 and b.max() == T - F


def test_only_what_is_sound_of_a_short_clip_is_taken():
    torch.manual_seed(0)
    indices = torch.ones(500, dtype=torch.long)
    found = drawn(sources(), plain(pair="mixture-mixture"), indices, [T, 130, T, T])
    for patches in found:
        assert starts(patches, indices).max() == 130 - F
    short = drawn(sources(), plain(pair="mixture-mixture"), indices, [T, 40, T, T])
    assert starts(short[0], indices).max() == 0


def test_silent_patches_are_taken_elsewhere():
    torch.manual_seed(0)
    made = np.full((1, 1, T, 64), SILENCE, np.float16)
    made[:, :, :120] = np.log(0.1)  # the first quarter only, as padded recordings have it
    indices = torch.zeros(2000, dtype=torch.long)
    a, _ = drawn([made], plain(pair="mixture-mixture"), indices)
    silent = (views.level(a) < views.QUIET).float().mean()
    by_chance = (T - F - 120) / (T - F + 1)
    assert silent == pytest.approx(by_chance**views.TRIES, abs=0.05)


def test_a_clip_without_any_sound_still_gives_patches():
    made = np.full((1, 1, T, 64), SILENCE, np.float16)
    a, b = drawn([made, made], plain(), [0, 0])
    assert a.isfinite().all() and b.isfinite().all()


def test_levels_are_of_the_sound_and_not_of_the_floor():
    """Whistles 20 dB apart are 20 dB apart, however faint; digital silence is far below both."""
    from core.audio.scene_mel import scene_log_mel

    tone = torch.sin(torch.arange(16_000) * 0.3)
    levels = views.level(torch.stack([scene_log_mel(g * tone)[:F] for g in (0.1, 0.01, 0.0)]))
    assert float(levels[0] - levels[1]) == pytest.approx(20, abs=0.1)
    assert levels[2] < -100
    edge = scene_log_mel(2**0.5 * 10 ** (-60 / 20) * tone)[:F]
    assert float(views.level(edge)) == pytest.approx(views.QUIET, abs=1.0)


# Channels


def test_the_or_rule_draws_every_processor_and_channel_alike():
    torch.manual_seed(0)
    indices = torch.zeros(3_000, dtype=torch.long)
    made = sources(clips=1, processors=3)
    a, b = drawn(made, plain(), indices)
    assert a.max() < 1  # the first view is the mixture
    which = b[:, 0, 0].floor().long()
    names, counts = which.unique(return_counts=True)
    assert names.tolist() == [10, 11, 20, 21, 30, 31]
    assert (counts / len(indices) - 1 / 6).abs().max() < 0.025


def test_two_channels_are_different_ones_of_one_processor():
    torch.manual_seed(0)
    indices = torch.zeros(300, dtype=torch.long)
    made = sources(clips=1, processors=2, channels=3)
    a, b = drawn(made, plain(pair="channel-channel"), indices)
    first, second = (x[:, 0, 0].floor().long() for x in (a, b))
    assert torch.equal(first // 10, second // 10)
    assert (first != second).all()
    assert set(first.tolist()) == {10, 11, 12, 20, 21, 22}


def test_an_empty_channel_gives_way_to_the_loudest():
    torch.manual_seed(0)
    mixture = np.full((1, 1, T, 64), np.log(0.5), np.float16)
    channels = np.stack([mixture[:, 0], np.full((1, T, 64), SILENCE, np.float16)], axis=1)
    _, b = drawn([mixture, channels], plain(), torch.zeros(200, dtype=torch.long))
    assert torch.allclose(b, torch.full_like(b, np.log(0.5)), atol=1e-2)
    faint = np.stack([mixture[:, 0], np.full((1, T, 64), np.log(0.05), np.float16)], axis=1)
    _, b = drawn([mixture, faint], plain(), torch.zeros(200, dtype=torch.long))
    assert b.flatten(1).mean(dim=1).unique().numel() == 2  # 20 dB down is a channel like another


def test_one_seed_is_one_draw():
    made = sources(processors=2)
    torch.manual_seed(5)
    one = drawn(made, ViewsConfig(), [0, 1, 2])
    torch.manual_seed(5)
    again = drawn(made, ViewsConfig(), [0, 1, 2])
    torch.manual_seed(6)
    other = drawn(made, ViewsConfig(), [0, 1, 2])
    assert all(map(torch.equal, one, again))
    assert not any(map(torch.equal, one, other))


def test_what_cannot_be_is_refused():
    with pytest.raises(RavelError, match=r"views\.separators is empty"):
        views.Views(plain(), sources()[:1], np.full(4, T))
    with pytest.raises(RavelError, match=r"50 frames, fewer than the 96"):
        views.Views(plain(), sources(frames=50), np.full(4, 50))


# Ahead of time


def test_log_mels_made_ahead_are_those_of_clips_separated_one_by_one(scenes, separator):
    from core.separation.separate import load

    store, loaded = FeatureStore.open(scenes), load(separator)
    kept = views.channels(store, loaded, progress=False)
    mixtures = views.mixtures(store, progress=False)
    assert kept.shape == (32, 2, 297, 64) and mixtures.shape == (32, 1, 297, 64)
    assert kept.dtype == mixtures.dtype == np.float16
    for row in (0, 9, 31):
        clip = store.clip(row)
        alone = views.features(loaded.separate(clip))
        assert np.allclose(alone.numpy(), kept[row], atol=0.01)
        wave = torch.from_numpy(store.audio[row].astype("float32") / PCM)
        assert np.array_equal(views.features(wave).numpy(), mixtures[row, 0])


def test_what_was_made_is_kept_until_the_separator_is_another(scenes, separator):
    from core.separation.separate import load

    store = FeatureStore.open(scenes)
    first = views.channels(store, load(separator), progress=False)
    files = {path: path.stat().st_mtime_ns for path in (scenes / "views").iterdir()}
    again = views.channels(store, load(separator), progress=False)
    assert np.array_equal(first, again)
    assert all(path.stat().st_mtime_ns == then for path, then in files.items())
    other = views.channels(store, load(f"{separator}@7"), progress=False)
    assert not np.array_equal(first, other)


def test_frames_are_counted_up_to_the_end_of_the_sound(scenes):
    store = FeatureStore.open(scenes)
    assert set(views.frames_of(store)) <= {296, 297}


def test_a_store_without_audio_says_so(melodies):
    with pytest.raises(RavelError, match="holds log-mels only"):
        views.mixtures(FeatureStore.open(melodies))


# Mixing as augmentation


def noise_log_mels(count=3, seconds=1.0):
    """Waves of noise in different bands, and their log-mels [N, T, 64]."""
    generator = torch.Generator().manual_seed(0)
    waves = 0.1 * torch.randn(count, int(16_000 * seconds), generator=generator)
    for number in range(count):
        spectrum = torch.fft.rfft(waves[number])
        spectrum[: 500 * number] = 0
        waves[number] = torch.fft.irfft(spectrum, waves.shape[1])
    return waves, scene_log_mel(waves)


def test_an_added_clip_is_as_the_log_mel_of_the_sum_of_the_sounds():
    waves, log_mels = noise_log_mels()
    below = torch.tensor([0.0, 4.0, 9.0])
    found = views.added(log_mels, log_mels.roll(1, 0), below)
    other = waves.roll(1, 0)
    gain = 10 ** ((views.level(log_mels) - below - views.level(log_mels.roll(1, 0))) / 20)
    truth = scene_log_mel(waves + gain[:, None] * other)
    assert float((found - truth).mean().abs()) < 0.1  # by chance bands' phases add or cancel
    assert torch.allclose(found.mean(1), truth.mean(1), atol=0.35)


def test_silence_is_not_raised_to_noise_by_adding_it():
    _, log_mels = noise_log_mels(1)
    silence = torch.full_like(log_mels, SILENCE).half().float()
    found = views.added(log_mels, silence, torch.zeros(1))
    assert torch.allclose(found, log_mels, atol=1e-4)


def test_a_share_of_the_patches_has_another_clip_added():
    made, indices = sources(clips=8, processors=0), list(range(8)) * 25
    found = []
    for share in (0.0, 0.5):
        torch.manual_seed(0)
        found.append(drawn(made, plain(pair="mixture-mixture", mix=share), indices))
    for own, mixed in zip(*found, strict=True):
        louder = mixed - own
        assert float(louder.min()) > -1e-4 and float(louder.max()) < np.log(2) / 2 + 1e-3
        assert 0.4 < float((louder.amax((1, 2)) > 0.01).float().mean()) < 0.6
