"""What the Separate page asks of core, its mixer's settings, and the scenes that ship."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.audio.clip import from_array, read
from core.checkpoints import checkpoint as checkpoints
from core.service import mixtures
from core.service.mixtures import LAST, MixtureSource
from lab import bundled
from lab.bundled import SCENES, sources
from lab.separate import data
from lab.widgets import mixer, mixture_slot
from lab.widgets.channels import Work
from tests.lab import separators


@pytest.fixture(scope="module")
def untrained_separators(tmp_path_factory) -> Path:
    """A folder of separators that were never trained."""
    return separators.build(tmp_path_factory.mktemp("separators"))


@pytest.fixture
def taken() -> MixtureSource:
    """A rooster and a clock 6 dB below it."""
    clips = tuple(
        read(sources()[name]["path"], name=name, labels={"source": name})
        for name in ("rooster", "clock")
    )
    return MixtureSource("rooster-and-clock", clips, (0.0, -6.0))


def test_stems_add_up_to_the_mixture_and_say_what_they_are(untrained_separators, taken):
    checkpoint = checkpoints.Checkpoint(untrained_separators / "separator-scenes")
    mixture, channels = mixtures.mixture(taken), mixtures.separate(checkpoint, taken)
    work = Work(taken, mixture, checkpoint, None)
    with zipfile.ZipFile(io.BytesIO(data.stems(work, channels))) as archive:
        waves = {n: soundfile.read(archive.open(n)) for n in archive.namelist() if "wav" in n}
        text = archive.read("README.txt").decode()

    assert {rate for _, rate in waves.values()} == {16_000}
    whole = waves.pop("mixture.wav")[0]
    assert np.array_equal(whole, mixture.clip.wave)
    assert np.abs(sum(wave for wave, _ in waves.values()) - whole).max() < 1e-6
    assert "channel-1.wav: rooster, SI-SNRi" in text and "separator-scenes" in text
    assert "kangaroovindaloo (CC BY)" in text and "Ovaltine Vortex (CC0)" in text


def test_channels_that_would_clip_in_a_player_are_recognised():
    loud = mixtures.Mixture(from_array(np.float32([0, 1, -1] * 2000), 16_000), None)
    assert loud.gain == 0.5
    assert loud.is_too_loud(np.float32([0.1, -3]))
    assert not loud.is_too_loud(np.float32([0.1, -2]))


def test_steps_of_a_checkpoint_are_named_by_their_number(untrained_separators):
    checkpoint = checkpoints.Checkpoint(untrained_separators / "separator-duets")
    steps = mixtures.snapshots(checkpoint)
    assert list(steps) == ["0", LAST]
    assert (steps["0"].name, steps[LAST].name) == ("separator-duets@0", "separator-duets")


def test_strips_are_read_from_an_address_and_nonsense_is_passed_over():
    assert mixer.parse("-6,m0,s3.5,ms1", 4) == [
        mixer.Strip(-6.0),
        mixer.Strip(0.0, mute=True),
        mixer.Strip(3.5, solo=True),
        mixer.Strip(1.0, mute=True, solo=True),
    ]
    assert mixer.parse("loud,nan,99,", 3) == [mixer.Strip()] * 3
    assert mixer.parse("", 2) == [mixer.Strip()] * 2
    assert mixer.parse("-1,-2,-3", 2) == [mixer.Strip(-1.0), mixer.Strip(-2.0)]


def test_a_solo_silences_the_others_and_a_mute_wins():
    strips = [mixer.Strip(-3.0), mixer.Strip(2.0, solo=True), mixer.Strip(solo=True, mute=True)]
    assert mixer.decibels(strips) == [None, 2.0, None]
    assert mixer.decibels(strips[:1]) == [-3.0]


def test_every_scene_is_listed_with_its_author_and_none_was_trained_on():
    with (SCENES / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {path.name for path in SCENES.glob("*.flac")}
    assert {row["licence"] for row in rows} <= {"CC0", "CC BY"}
    assert all(row["author"] and row["source"] and row["fold"] == "4" for row in rows)
    for row in rows:
        about = soundfile.info(SCENES / row["file"])
        assert (about.samplerate, about.channels) == (16_000, 1) and about.duration <= 5
        assert row["author"] in bundled.credits()


def test_ready_mixtures_are_made_of_clips_that_no_model_was_trained_on():
    for names in mixture_slot.READY.values():
        assert {sources()[name]["fold"] for name in names} <= {"4", "test"}


@pytest.mark.skipif(
    not checkpoints.list_checkpoints("separation"), reason="no separator ships with this copy"
)
def test_the_separator_that_ships_takes_scenes_apart_better_than_its_untrained_self():
    checkpoint = checkpoints.list_checkpoints("separation")[-1]
    assert checkpoint.name == "separator-scenes"
    gained = {}
    for step, one in mixtures.snapshots(checkpoint).items():
        clips = tuple(
            read(sources()[n]["path"], name=n, labels={"source": n}) for n in ("dog", "rain")
        )
        gained[step] = mixtures.separate(one, MixtureSource("scene", clips, (0.0, 0.0))).improvement
    assert gained[LAST] > 3 and gained[LAST] > gained["0"] + 2


def test_a_mixture_of_one_s_own_keeps_its_level():
    noise = 0.25 * np.random.default_rng(0).uniform(-1, 1, 16_000)
    clip = from_array(noise, 16_000, normalise=False)
    mixture = mixtures.mixture(MixtureSource("own", (clip,)))
    assert mixture.references is None
    assert np.array_equal(mixture.clip.wave, noise.astype(np.float32))


def test_a_clipped_recording_is_distinguished_from_a_loud_one(examples):
    loud = read(examples / "trumpet-1.flac")
    assert not data.is_clipped(loud)
    assert data.is_clipped(from_array(np.clip(3 * loud.wave, -1, 1), 16_000))
