"""A duet through both models that ship, and out again: real recordings, the real way."""

import numpy as np
import pytest
import torch

from core.audio import long, pitch
from core.audio.clip import Clip, read
from core.audio.loudness import loudness
from core.dsae.instruments import read_instruments
from core.errors import RavelError
from core.remix.changes import Change
from core.remix.files import about
from core.remix.remix import remix

VOICED = 0.5


def test_a_remix_that_keeps_everything_is_the_mixture(make, duet):
    made = make()
    assert np.abs(made.wave.numpy() - duet.wave).max() < 1e-5
    assert made.as_separated == 1.0
    assert all(stem.log_mel is None for stem in made.stems)


def test_stems_add_up_to_the_remix_and_have_their_levels(swapped, duet):
    stems = [stem.wave for stem in swapped.stems]
    assert all(len(wave) == len(duet.wave) for wave in stems)
    torch.testing.assert_close(sum(stems), swapped.wave)
    torch.testing.assert_close(stems[1], 10 ** (-6 / 20) * swapped.stems[1].channel)


def test_a_swapped_channel_keeps_its_melody_and_its_loudness(swapped):
    before, after = swapped.stems[0].channel.numpy(), swapped.stems[0].wave.numpy()
    tracks = [pitch.track(wave / np.abs(wave).max()) for wave in (before, after)]
    voiced = tracks[0].confidence[0] >= VOICED
    assert voiced.mean() > 0.3
    kept = pitch.raw_pitch_accuracy(tracks[0].f0[0], tracks[1].f0[0], voiced=voiced)
    assert kept > 0.7
    assert loudness(after) == pytest.approx(loudness(before), abs=0.1)


def test_a_swapped_channel_has_the_timbre_of_the_other_instrument(swapped, models):
    instruments = read_instruments(models[1].checkpoint)
    before, after = (
        dict(instruments.likeness(models[1].encode(Clip((w / w.abs().max()).numpy())).v.numpy()))
        for w in (swapped.stems[0].channel, swapped.stems[0].wave)
    )
    assert after["violin"] > 2 * before["violin"]


def test_the_share_that_is_as_separated_is_reported(swapped, make):
    energy = [float(stem.wave.square().sum()) for stem in swapped.stems]
    assert swapped.as_separated == pytest.approx(energy[1] / sum(energy))
    both = make(channel_1=Change(melody=2), channel_2=Change(level=None))
    assert both.as_separated == 0.0


def test_a_clip_gives_its_instrument_or_its_melody(make, models, examples):
    clip = read(examples / "clarinet-1.flac").segment(0, 1.0)
    made = make(channel_1=Change(instrument=clip), channel_2=Change(melody=clip))
    model, (first, second) = models[1], made.stems
    of_clip = model.encode(clip)
    torch.testing.assert_close(first.log_mel, model.decode(of_clip.v, first.latents.z))
    torch.testing.assert_close(second.log_mel, model.decode(second.latents.v, of_clip.z))
    assert not second.wave[16_000:].any()  # the melody has ended
    assert second.wave[:15_000].any()


def test_two_channels_exchange_their_instruments(make, models):
    made = make(channel_1=Change(instrument=2), channel_2=Change(instrument=1))
    first, second = made.stems
    expected = models[1].decode(second.latents.v, first.latents.z)
    torch.testing.assert_close(first.log_mel, expected)


def test_what_turns_log_mels_into_sound_can_be_handed_in(duet, models):
    seen = []

    def silence(log_mel):
        seen.append(log_mel.shape)
        return torch.zeros((len(log_mel) - 1) * 256)

    made = remix(duet, *models, {2: Change(instrument="oboe")}, to_waveform=silence)
    assert len(seen) == 1 and not made.stems[1].wave.any()


def test_a_silent_channel_is_marked_and_cannot_be_changed(duet, models, monkeypatch):
    separator, model = models
    monkeypatch.setattr(
        separator,
        "separate",
        lambda mixture: torch.from_numpy(np.stack([duet.wave, 0 * duet.wave])),
    )
    made = remix(duet, separator, model, {})
    assert about(made)["channels"][1] == {
        "channel": 2, "silent": True, "sounds_like": [], "instrument": "kept", "melody": "kept",
        "level": 0.0,
    }  # fmt: skip
    for change in ({2: Change(instrument="oboe")}, {1: Change(melody=2)}):
        with pytest.raises(RavelError, match="Channel 2 is silent"):
            remix(duet, separator, model, change)


def test_a_long_mixture_is_remixed_whole(duet, models, monkeypatch):
    """Half a minute, in pieces of four seconds: each piece is made, and none is too long."""
    long_duet = Clip(np.resize(duet.wave, 30 * 16_000), "long")
    sizes = []

    def hum(log_mel):
        sizes.append(len(log_mel))
        return 0.1 * torch.ones((len(log_mel) - 1) * 256)

    made = remix(long_duet, *models, {1: Change(instrument="oboe")}, to_waveform=hum)
    assert max(sizes) <= long.PIECE and len(sizes) > 1
    assert made.stems[0].wave[: 1874 * 256].all()
