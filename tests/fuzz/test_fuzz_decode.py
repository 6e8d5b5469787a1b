"""Thousands of damaged and dishonest sound files: each is decoded or refused in one sentence."""

import io
import resource
import struct
from functools import cache

import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from core.audio.clip import MAX_SECONDS, SAMPLE_RATE, Clip, from_array, read
from core.errors import RavelError
from tests.fuzz.mutate import examples, mutated

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "wav of floats": ("WAV", "FLOAT"),
    "wav, adpcm": ("WAV", "MS_ADPCM"),
    "wav, extensible": ("WAVEX", "PCM_24"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "au": ("AU", "ULAW"),
}
MAGIC = [
    *(b"RIFF", b"RIFX", b"RF64", b"FORM", b"fLaC", b"OggS", b"ID3\3", b".snd", b"caff", b"riff"),
    *(b"NIST_1A\n", b"2BIT", b"Creative", b"SDS ", b"\xff\xfb", b"MATL"),
]
# A seek to before the beginning was once reported on stderr only.
pytestmark = pytest.mark.filterwarnings(
    "error::pytest.PytestUnraisableExceptionWarning", "error::RuntimeWarning"
)
GROWTH = 512  # MiB that a file of some kilobytes may make the process grow by


@cache
def good(kind: str) -> bytes:
    """Half a second of a chord in stereo."""
    seconds = np.arange(8_000) / 16_000
    wave = 0.3 * np.stack([np.sin(2 * np.pi * hz * seconds) for hz in (220, 331)], axis=1)
    form, subtype = FORMATS[kind]
    file = io.BytesIO()
    soundfile.write(file, wave.astype(np.float32), 16_000, format=form, subtype=subtype)
    return file.getvalue()


def decoded_or_refused(data: bytes, **options: float) -> Clip | None:
    """The clip that the bytes decode to, checked; None if they were refused in one sentence."""
    try:
        clip = read(data, **options)
    except RavelError as error:
        text = str(error)
        assert text.endswith(".") and "\n" not in text and "Traceback" not in text
        assert 20 < len(text) < 300
        return None
    assert clip.wave.dtype == np.float32 and clip.wave.ndim == 1
    assert 0 < len(clip.wave) <= (MAX_SECONDS + 1) * SAMPLE_RATE
    assert np.isfinite(clip.wave).all() and np.abs(clip.wave).max() == pytest.approx(1)
    return clip


def grown() -> float:
    """The process's peak of memory so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_files_are_decoded_or_refused(kind):
    decoded_or_refused(good(kind))  # libraries are loaded
    before = grown()

    @examples(500)
    @given(mutated(good(kind)))
    def check(data: bytes) -> None:
        decoded_or_refused(data)

    check()
    assert grown() - before < GROWTH


@examples(500)
@given(
    st.sampled_from(MAGIC),
    st.binary(max_size=400),
)
def test_what_only_begins_as_a_sound_file_is_decoded_or_refused(magic, rest):
    decoded_or_refused(magic + rest)


@examples(500)
@given(
    tag=st.sampled_from([1, 2, 3, 6, 7, 17, 0x31, 0x55, 0xFFFE, 0]),
    channels=st.sampled_from([0, 1, 2, 64, 65, 384, 65_535]),
    rate=st.sampled_from([0, 1, 999, 1_000, 8_000, 16_000, 44_101, 10**6, 2**31, 2**32 - 1]),
    bits=st.sampled_from([0, 1, 7, 8, 16, 24, 32, 64, 65_535]),
    align=st.sampled_from([0, 1, 2, 4, 128, 65_535]),
    claimed=st.sampled_from([0, 1, 4_000, 2**31 - 1, 2**31, 2**32 - 1]),
    held=st.sampled_from([0, 1, 3_999, 40_000]),
)
def test_headers_that_claim_what_they_like_are_decoded_or_refused(
    tag, channels, rate, bits, align, claimed, held
):
    body = (b"\x11\x22\x9a\x3c" * (held // 4 + 1))[:held]
    form = struct.pack("<HHIIHH", tag, channels, rate, (rate * align) % 2**32, align, bits)
    head = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", claimed)
    before = grown()
    decoded_or_refused(b"RIFF" + struct.pack("<I", (claimed + 36) % 2**32) + head + body)
    assert grown() - before < GROWTH


@examples(150)
@given(
    st.floats() | st.sampled_from([1e305, 0.49999, 0.5, 2.0**63]),
    st.none() | st.floats() | st.sampled_from([1e-300, 1e305, 0.3]),
)
@example(1e305, None)
def test_any_part_of_a_file_is_decoded_or_refused(start, duration):
    clip = decoded_or_refused(good("flac"), start=start, duration=duration)
    if clip is not None:
        assert 0 <= start < 0.5 and clip.seconds <= min(0.5, duration or 1) + 1e-3


@examples(100)
@given(
    st.lists(
        st.floats(width=32) | st.sampled_from([0.0, 1e-30, 3e38, float("nan"), float("inf")]),
        max_size=12,
    ),
    st.sampled_from([1, 2, 64, 65]),
    st.sampled_from([1_000, 7_919, 16_000, 96_000]),
    st.sampled_from(["<f4", ">f4", "<f8", "<i2", "<u1", "<i4", "<u4", "<c8", "<U2", "?"]),
)
def test_any_samples_are_decoded_or_refused(pattern, channels, rate, kind):
    with np.errstate(all="ignore"):
        wave = np.resize(np.array(pattern or [0.0]), (rate // 2, channels)).astype(kind)
    try:
        clip = from_array(wave, rate)
    except RavelError as error:
        assert str(error).endswith(".")
        return
    assert np.isfinite(clip.wave).all() and np.abs(clip.wave).max() == pytest.approx(1)
