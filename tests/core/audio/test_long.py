"""Minutes of sound from a log-mel: bounded pieces, and no audible joint."""

import numpy as np
import pytest
import torch

from core.audio import clip, invert, long, pitch
from core.audio.mel import HOP, log_mel
from core.errors import RavelError

PIECE = 150  # frames, so that a few seconds are long


@pytest.fixture(scope="module")
def melody(examples) -> torch.Tensor:
    """The log-mel of six seconds of a real violin."""
    wave = clip.read(examples / "violin-1.flac").wave
    return log_mel(np.concatenate([wave, wave])[: 374 * HOP])


def test_a_short_log_mel_is_played_as_it_is(melody):
    short = melody[:PIECE]
    assert torch.equal(long.to_waveform(short, piece=PIECE), invert.to_waveform(short))


def test_of_a_way_that_looks_at_each_frame_alone_nothing_is_changed(melody):
    def make(x):
        return x.mean(1)[:-1].repeat_interleave(HOP)

    assert torch.equal(long.to_waveform(melody, make, piece=PIECE), make(melody))


def test_no_piece_exceeds_its_limit_and_none_is_left_out(melody):
    seen = []

    def make(x):
        seen.append(len(x))
        return torch.ones((len(x) - 1) * HOP)

    made = long.to_waveform(melody, make, piece=PIECE)
    assert set(seen) == {PIECE} and len(seen) > 2
    assert len(made) == (len(melody) - 1) * HOP
    torch.testing.assert_close(made, torch.ones_like(made))  # the fades sum to one


def test_pieces_of_griffin_lim_are_joined_without_a_gap_and_keep_mel_and_melody(melody):
    whole, made = invert.to_waveform(melody), long.to_waveform(melody, piece=PIECE)
    assert made.shape == whole.shape
    result = log_mel(made)
    apart = [(log_mel(one) - melody).abs()[melody > -12].mean() for one in (whole, made)]
    assert apart[1] < apart[0] * 1.1 + 0.01
    dip = result.logsumexp(1) - melody.logsumexp(1)
    assert dip[melody.logsumexp(1) > -4].abs().max() < 2.0  # nats of power: no hole, no doubling
    before, after = pitch.track(whole), pitch.track(made)
    sure = before.confidence[0] > 0.5
    assert pitch.raw_pitch_accuracy(before.f0[0], after.f0[0], voiced=sure) > 0.9


def test_two_pieces_are_joined_where_they_agree():
    """The second piece has other phases but for one short passage."""
    before = torch.sin(torch.arange(20_000) * 0.1)
    after = torch.cos(torch.arange(20_000) * 0.1)
    after[9_000:10_000] = before[9_000:10_000]
    first = long._joint(before, after)
    assert first >= 9_000 and first + long.FADE <= 10_000


def test_a_wrong_shape_is_one_clear_sentence():
    with pytest.raises(RavelError, match="shape"):
        long.to_waveform(torch.zeros(3000, 64), piece=PIECE)
