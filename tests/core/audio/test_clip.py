"""Clips from files, bytes and arrays, and one clear sentence for each that cannot be one."""

import io
import os
import resource
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from core.audio import clip, decode
from core.errors import RavelError

RATE = clip.SAMPLE_RATE


def sine(frequency=440.0, seconds=1.0, rate=RATE, level=0.5):
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(
        np.float32
    )


def encoded(wave, rate=RATE, format="WAV", subtype=None):
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format=format, subtype=subtype)
    return file.getvalue()


def hour_long(path, rate=RATE, tail=None):
    """A WAV of an hour, a hole on disk but for its header and `tail`, samples at its end."""
    size = 3600 * rate * 2
    header = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt "
    header += struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    with path.open("wb") as file:
        file.write(header + b"data" + struct.pack("<I", size))
        file.truncate(44 + size)
        if tail is not None:
            file.seek(44 + size - 2 * len(tail))
            file.write((tail * 32767).astype("<i2").tobytes())
    return path


def peak_frequency(wave):
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return spectrum.argmax() * RATE / len(wave)


def test_clips_are_read_without_importing_torch():
    code = "import sys, core.audio.clip; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_real_recording_becomes_a_normalised_clip(examples):
    path = examples / "violin-1.flac"
    loaded, (stored, rate) = clip.read(path), soundfile.read(path, dtype="float32")
    assert rate == RATE and loaded.name == "violin-1" and loaded.wave.dtype == np.float32
    np.testing.assert_allclose(loaded.wave, stored / np.abs(stored).max(), rtol=1e-6)
    assert np.abs(loaded.wave).max() == 1


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "file"])
def test_every_kind_of_source_gives_the_same_clip(kind, examples):
    path = examples / "trumpet-1.flac"
    data = path.read_bytes()
    source = {"path": path, "text": str(path), "bytes": data, "file": io.BytesIO(data)}[kind]
    assert clip.read(source).digest == clip.read(path).digest


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 192_000])
def test_resampling_keeps_pitch_length_and_level(rate):
    loaded = clip.read(encoded(sine(rate=rate), rate, subtype="FLOAT"), normalise=False)
    assert abs(len(loaded.wave) - RATE) <= 1
    assert peak_frequency(loaded.wave) == pytest.approx(440, abs=0.5)
    middle = loaded.wave[2000:-2000]
    np.testing.assert_allclose(middle, sine()[2000 : 2000 + len(middle)], atol=2e-4)


def test_what_lies_above_8_khz_is_not_folded_down():
    both = sine(440, rate=48_000) + sine(10_000, rate=48_000, level=0.4)
    loaded = clip.from_array(both, 48_000, normalise=False).wave[2000:-2000]
    np.testing.assert_allclose(loaded, sine()[2000 : 2000 + len(loaded)], atol=1e-3)


def test_channels_are_averaged_also_in_blocks():
    channels = np.random.default_rng(0).uniform(-0.5, 0.5, (100_000, 8)).astype(np.float32)
    loaded = clip.read(encoded(channels, subtype="FLOAT"), normalise=False)
    assert len(channels) > decode.BLOCK_SAMPLES // 8
    np.testing.assert_allclose(loaded.wave, channels.mean(1), atol=1e-7)


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_common_formats_are_read(format):
    loaded = clip.read(encoded(sine(seconds=2), format=format))
    assert loaded.seconds == pytest.approx(2, abs=0.01)
    assert peak_frequency(loaded.wave) == pytest.approx(440, abs=1)


def test_integer_samples_mean_what_a_file_of_them_means():
    pcm = (sine() * 32767).astype(np.int16)
    from_file = clip.read(encoded(pcm, subtype="PCM_16"), normalise=False)
    np.testing.assert_array_equal(clip.from_array(pcm, RATE, normalise=False).wave, from_file.wave)
    unsigned = (sine() * 127 + 128).astype(np.uint8)
    assert abs(clip.from_array(unsigned, RATE, normalise=False).wave.mean()) < 0.01


def test_a_part_is_what_it_is_in_the_whole(examples):
    whole = clip.read(examples / "violin-2.flac", normalise=False)
    part = clip.read(examples / "violin-2.flac", start=0.5, duration=1.25, normalise=False)
    np.testing.assert_array_equal(part.wave, whole.wave[8_000:28_000])


def test_segments_cover_the_clip_and_the_last_is_padded():
    whole = clip.from_array(sine(seconds=10.5), RATE)
    pieces = whole.segments()
    assert [len(piece.wave) for piece in pieces] == [clip.CLIP_SAMPLES] * 3
    joined = np.concatenate([piece.wave for piece in pieces])
    np.testing.assert_array_equal(joined[: len(whole.wave)], whole.wave)
    assert not joined[len(whole.wave) :].any()
    assert len(clip.from_array(sine(seconds=9.5), RATE).segments()) == 2  # 1.5 s are too little
    assert len(clip.from_array(sine(seconds=0.5), RATE).segments()) == 1
    with pytest.raises(RavelError, match=r"lasts 10\.50 s"):
        whole.segment(11)


def test_the_digest_depends_on_the_samples_alone():
    a, b = clip.from_array(sine(440), RATE), clip.from_array(sine(441), RATE)
    assert a.digest != b.digest
    assert a.digest == clip.from_array(sine(440), RATE, name="other").digest


def test_wav_bytes_keep_the_level_and_clip_at_full_scale(tmp_path):
    wave = sine(level=0.25)
    wave[100] = 3.0
    clip.write_wav(tmp_path / "out.wav", wave)
    assert (tmp_path / "out.wav").read_bytes() == clip.wav_bytes(wave)
    back, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert rate == RATE and os.listdir(tmp_path) == ["out.wav"]
    np.testing.assert_allclose(back, np.clip(wave, -1, 1), atol=1 / 32768)


def test_wav_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(RavelError, match="cannot be written"):
        clip.write_wav(tmp_path / "missing" / "out.wav", sine())
    with pytest.raises(RavelError, match="finite"):
        clip.write_wav(tmp_path / "out.wav", np.full(100, np.nan))
    assert not os.listdir(tmp_path)


def test_192_khz_and_8_channels_together_are_read():
    channels = np.repeat(sine(rate=192_000)[:, None], 8, axis=1)
    assert peak_frequency(clip.read(encoded(channels, 192_000)).wave) == pytest.approx(440, abs=1)


def nan_wav():
    wave = sine()
    wave[500] = np.nan
    return encoded(wave, subtype="FLOAT")


def with_size(data, offset, size):
    return data[:offset] + struct.pack("<I", size) + data[offset + 4 :]


def half(data):
    return data[: len(data) // 2]


BAD = {
    "text": (b"This is a letter, not a sound.\n" * 40, "not a sound file"),
    "empty": (b"", r"empty \(0 bytes\)"),
    "no samples": (encoded(np.zeros(0)), "no samples|too short"),
    "silent": (encoded(np.zeros(RATE)), "silent"),
    "silent when mixed": (encoded(np.stack([sine(), -sine()], 1), subtype="FLOAT"), "silent"),
    "NaN": (nan_wav(), "not finite"),
    "infinite": (encoded(np.full(RATE, np.inf, np.float32), subtype="FLOAT"), "not finite"),
    "overflowing": (encoded(np.full(RATE, 1e300), subtype="DOUBLE"), "not finite"),
    "one sample": (encoded(np.ones(1)), "too short"),
    "truncated WAV": (encoded(sine())[:9_000], "28% of what its header says"),
    "truncated FLAC": (encoded(sine(seconds=3), format="FLAC")[:9_000], "damaged"),
    "truncated AIFF": (encoded(sine(), format="AIFF")[:9_000], "damaged"),
    "truncated MP3": (half(encoded(sine(seconds=3), format="MP3")), "damaged"),
    "boastful WAV": (with_size(encoded(sine()), 40, 1_900_000_000), "damaged"),
    "slow WAV": (with_size(encoded(sine()), 24, 1), "sample rate of 1 Hz"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_bytes_get_one_clear_sentence(case, tmp_path):
    data, words = BAD[case]
    path = tmp_path / "take.wav"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(RavelError, match=words) as caught:
            clip.read(source)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_bad_paths_get_one_clear_sentence(tmp_path):
    for path, words in [
        (tmp_path / "none.wav", "does not exist"),
        (tmp_path, "is a folder"),
        ("/dev/null", "not a regular file"),
        ("nul\0.wav", "does not exist"),
    ]:
        with pytest.raises(RavelError, match=words):
            clip.read(path)


def test_a_wav_of_unknown_length_as_programs_stream_it_is_read():
    streamed = with_size(with_size(encoded(sine()), 40, 0xFFFFFFFF), 4, 0xFFFFFFFF)
    assert clip.read(streamed).seconds == 1


def test_an_hour_is_refused_unread_but_a_part_of_it_is_read(tmp_path, monkeypatch):
    path = hour_long(tmp_path / "hour.wav", tail=sine(seconds=10))
    decoded = []
    original = soundfile.SoundFile.read

    def counting(self, frames=-1, *args, **kwargs):
        decoded.append(frames)
        return original(self, frames, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    with pytest.raises(RavelError, match=r"too long \(60.0 min; at most 10.0 min\)"):
        clip.read(path)
    with pytest.raises(RavelError, match="too long"):
        clip.read(path, start=600)
    assert decoded == []
    part = clip.read(path, start=3590, duration=4)
    assert sum(decoded) == len(part.wave) == clip.CLIP_SAMPLES
    assert peak_frequency(part.wave) == pytest.approx(440, abs=0.5)
    with pytest.raises(RavelError, match=r"lasts 3600.00 s"):
        clip.read(path, start=4000, duration=4)


@pytest.mark.parametrize("claim", [0, 5 * RATE, 36 * RATE, (1 << 36) - 1])
def test_a_flac_header_that_lies_about_its_length_costs_no_memory(claim):
    data = bytearray(encoded(sine(seconds=3), format="FLAC"))
    packed = (data[21] & 0xF0) << 32 | claim  # the 36 bits of STREAMINFO's number of samples
    data[21:26] = packed.to_bytes(5, "big")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RavelError, match=r"damaged|too long|does not say"):
        clip.read(bytes(data))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


@pytest.mark.parametrize(
    "wave, rate, words",
    [
        (np.zeros((4, 4, 4)), RATE, "expected numbers of shape"),
        (np.array(["a"]), RATE, "expected numbers"),
        (np.zeros((2, RATE)), RATE, "16000 channels"),
        (np.zeros(RATE), RATE, "silent"),
        (sine(seconds=0.1), RATE, "too short"),
        (sine(), 0, "sample rate"),
        (np.full(RATE, np.nan), RATE, "not finite"),
        (np.zeros(0), RATE, "too short"),
    ],
)
def test_bad_arrays_get_one_clear_sentence(wave, rate, words):
    with pytest.raises(RavelError, match=words):
        clip.from_array(wave, rate)


@pytest.mark.parametrize("part", [{"start": -1}, {"start": np.nan}, {"duration": 0}])
def test_impossible_parts_get_one_clear_sentence(part, examples):
    with pytest.raises(RavelError, match="must be 0 s or later"):
        clip.read(examples / "violin-1.flac", **part)
