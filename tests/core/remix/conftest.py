"""A duet of real recordings and both models that ship."""

import pytest

from core.audio import invert
from core.audio.clip import Clip, read
from core.data.mixtures import of_clips
from core.dsae import latents
from core.remix.changes import Change
from core.remix.remix import remix
from core.separation import separate


@pytest.fixture(scope="session")
def duet(examples) -> Clip:
    """Two seconds and a bit of a flute and a trumpet."""
    clips = [read(examples / f"{name}.flac").segment(0, 2.3) for name in ("flute-1", "trumpet-2")]
    return Clip(of_clips(clips, [0.0, -2.0]).sum(0).numpy(), "duet")


@pytest.fixture(scope="session")
def models():
    return separate.load("separator-duets"), latents.load("ts-dsae-instruments")


@pytest.fixture(scope="session")
def make(duet, models):
    """Remix the duet by Griffin-Lim, which needs no weights."""

    def made(**changes):
        by_number = {int(name.removeprefix("channel_")): c for name, c in changes.items()}
        return remix(duet, *models, by_number, to_waveform=invert.to_waveform)

    return made


@pytest.fixture(scope="session")
def swapped(make):
    """The first channel played by another instrument, the second 6 dB down."""
    return make(channel_1=Change(instrument="violin"), channel_2=Change(level=-6.0))
